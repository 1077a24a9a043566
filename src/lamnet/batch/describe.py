"""What a call would do: sizes, plan, memory, time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lamnet.base.errors import LamnetError
from lamnet.batch.jobs import Job
from lamnet.batch.one import Outcome, Upscalers, naming, open_source, shown_size, target_of, upscaler_for
from lamnet.media import saving
from lamnet.media.picture import Picture
from lamnet.upscale import video
from lamnet.upscale.plan import Plan
from lamnet.upscale.upscaler import Upscaler

if TYPE_CHECKING:
    from lamnet.media.video.clip import Clip


def describe(jobs: Iterable[Job], upscalers: Upscalers) -> Iterator[Outcome | str]:
    """What `run` would do, one line for each picture or video that can be opened: target, sizes, plan, memory, time."""
    speeds: dict[int, float] = {}
    for job in jobs:
        try:
            found = open_source(job, upscalers)
            upscaler = upscaler_for(found, upscalers)
            target = target_of(job, found, upscaler)
            speed = speeds.get(upscaler.scale) or upscaler.seconds_per_pixel()
            speeds[upscaler.scale] = speed
            if isinstance(found, Picture):
                about = _about_picture(found, target, upscaler, speed)
            else:
                about = _about_clip(found, target, upscaler, speed)
            yield f"{job.source} -> {target}: {about}"
        except LamnetError as error:
            yield Outcome(job.source, job.target, naming(job.source, error))


def _about_picture(picture: Picture, target: Path, upscaler: Upscaler, speed: float) -> str:
    width, height = shown_size(picture)
    size, plan = upscaler.result_size(width, height), upscaler.plan(height, width)
    saving.check_target(picture, target, size)
    pages = len(picture.pages)
    passes = pages * (1 + (picture.pages[0].bands in (2, 4)))
    return (
        f"{width} x {height} -> {size[0]} x {size[1]}{f', {pages} pages' if pages > 1 else ''}, "
        f"{_about_plan(plan, passes, speed)}"
    )


def _about_clip(clip: Clip, target: Path, upscaler: Upscaler, speed: float) -> str:
    encoding = video.encoding_for(upscaler.planner, clip, target)
    plan = video.plan_of(upscaler.planner, clip, encoding)
    return (
        f"{clip.width} x {clip.height} -> {encoding.width} x {encoding.height}, {clip.packets} frames, "
        f"{encoding.codec} {encoding.pixels}, {_about_plan(plan, clip.packets, speed)}"
    )


def _about_plan(plan: Plan, passes: int, speed: float) -> str:
    seconds = speed * plan.pixels * passes * (1.7 if plan.exact else 1)
    return f"{plan}, {plan.memory / 1e9:.1f} GB, about {seconds:.0f} s"
