"""A dry run: the sizes, plan, memory and time of a request's pictures and videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lamnet.base.errors import BadImageError
from lamnet.batch.buckets import Transfer
from lamnet.batch.jobs import Job
from lamnet.batch.one import Opened, open_job
from lamnet.batch.outcome import Intent, Note, Outcome, failed
from lamnet.batch.places import notes_of, place_of
from lamnet.batch.request import Request
from lamnet.batch.upscalers import Upscalers
from lamnet.media import saving
from lamnet.media.picture import Picture
from lamnet.upscale import video
from lamnet.upscale.engines import seconds_per_pixel
from lamnet.upscale.plan import Plan
from lamnet.upscale.planner import Planner

if TYPE_CHECKING:
    from lamnet.media.video.clip import Clip


def describe(request: Request) -> Iterator[Outcome | Intent | Note]:
    """Describe the work of `local.run` for a request, and the outcomes that would fail.

    Of buckets only names are given. Raises as `local.run`.
    """
    upscalers = Upscalers.of(request)
    place = place_of(request, upscalers.goal)
    if isinstance(place, Transfer):
        yield from place.describe(upscalers)
    else:
        yield from describe_jobs(place.jobs(), upscalers)
    yield from notes_of(place)


def describe_jobs(jobs: Iterable[Job], upscalers: Upscalers) -> Iterator[Outcome | Intent]:
    """Describe each picture or video that can be opened: target, sizes, plan, memory, time."""
    speeds: dict[Planner, float] = {}
    for job in jobs:
        target = job.target
        try:
            if job.stream and job.problem is None:
                raise BadImageError(
                    f"{job.source}: expected files for a dry run, which reads no stream, found a stream"
                )
            opened = open_job(job, upscalers)
            target, planner = opened.target, opened.planner
            if planner not in speeds:
                speeds[planner] = seconds_per_pixel(planner.engine)
            if isinstance(opened.source, Picture):
                about = _about_picture(opened, opened.source, speeds[planner])
            else:
                about = _about_clip(opened, opened.source, speeds[planner])
            yield Intent(job.source, target, about, opened.choice)
        except Exception as error:
            yield failed(job.source, target, error)


def _about_picture(opened: Opened, picture: Picture, speed: float) -> str:
    width, height = opened.shown_size
    size, plan = opened.planner.result_size(width, height), opened.planner.plan(height, width)
    saving.check_target(picture, opened.target, size)
    pages = len(picture.pages)
    return (
        f"{width} x {height} -> {size[0]} x {size[1]}{f', {pages} pages' if pages > 1 else ''}, "
        f"{_about_plan(plan, passes_of(picture), speed)}"
    )


def _about_clip(opened: Opened, clip: Clip, speed: float) -> str:
    encoding = video.encoding_for(opened.planner, clip, opened.target)
    plan = video.plan_of(opened.planner, clip, encoding)
    return (
        f"{clip.width} x {clip.height} -> {encoding.width} x {encoding.height}, {clip.packets} frames, "
        f"{encoding.codec} {encoding.pixels}{', deinterlaced' if clip.interlaced else ''}, "
        f"{_about_plan(plan, passes_of(clip), speed)}"
    )


def _about_plan(plan: Plan, passes: int, speed: float) -> str:
    return f"{plan}, {plan.memory / 1e9:.1f} GB, about {seconds_of(plan, passes, speed):.0f} s"


def passes_of(source: Picture | Clip) -> int:
    """Count how often pixels of a page's or frame's size go through the network; transparency does beside the colours."""
    if not isinstance(source, Picture):
        return source.packets
    return len(source.pages) * (1 + (source.pages[0].bands in (2, 4)) + len(source.in_grey(0).pages))


def seconds_of(plan: Plan, passes: int, speed: float) -> float:
    """The seconds that passes by a plan take at this speed, in seconds per pixel."""
    return speed * plan.pixels * passes * (1.7 if plan.exact else 1)
