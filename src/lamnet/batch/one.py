"""One picture or video of a call, from opening it to its outcome."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lamnet.base import files, locks
from lamnet.base.errors import BadImageError
from lamnet.base.progress import Progress, Work
from lamnet.batch import streams
from lamnet.batch.jobs import TAKEN, Job
from lamnet.batch.outcome import Outcome, failed
from lamnet.batch.upscalers import Upscalers
from lamnet.media import opening, saving
from lamnet.media.picture import Picture
from lamnet.upscale import video
from lamnet.upscale.choice import Choice
from lamnet.upscale.goal import Goal
from lamnet.upscale.planner import Planner
from lamnet.upscale.upscaler import Upscaler

if TYPE_CHECKING:
    from lamnet.media.video.clip import Clip


@dataclass(frozen=True)
class Opened:
    """A job's source, opened, with the Upscaler that suits it and the file for the result."""

    source: Picture | Clip
    upscaler: Upscaler
    target: Path
    notes: tuple[str, ...] = ()

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) as it is seen, of the first page."""
        return _sizes(self.source)[0]

    @cached_property
    def choice(self) -> Choice | None:
        """The weights that suit the source, which is looked at for it; None where there are no others."""
        return self.upscaler.choice(self.source)

    @property
    def planner(self) -> Planner:
        """The planner of the network with those weights."""
        return self.upscaler.planner_for(self.choice)


def open_job(job: Job, upscalers: Upscalers) -> Opened:
    """Open a job's source. Raises BadImageError where that is no picture or video, or the job has a problem."""
    if job.problem is not None:
        raise BadImageError(f"{job.source}: {job.problem}")
    if job.source.suffix.lower() in video.SUFFIXES:
        return _open_clip(job, upscalers)
    picture = opening.open_picture(job.source, upscalers.max_pixels, upscalers.damaged)
    picture = replace(picture, quality=upscalers.quality)
    sizes = _sizes(picture)
    upscaler = max((upscalers.for_size(*size) for size in sizes), key=lambda one: one.scale)
    suffix = upscalers.suffix or saving.suffix_for(picture, upscaler.result_size(*sizes[0]))
    return Opened(picture, upscaler, _result(job, suffix), _about(upscaler, upscalers.goal, *sizes))


def _result(job: Job, suffix: str) -> Path:
    """Name the file for a result. Raises BadImageError where that is another source of the call."""
    result = job.result(suffix)
    if result in job.others:
        raise BadImageError(f"{job.source}: {TAKEN.format(result)}")
    return result


def _about(upscaler: Upscaler, goal: Goal, *sizes: tuple[int, int]) -> tuple[str, ...]:
    """Say where a result is no larger than its source, of one of these sizes: made smaller, or restored in a worse way."""
    if smaller := next((size for size in sizes if goal.factor_for(*size) < 1), None):
        (width, height), (own_width, own_height) = goal.size(*smaller), smaller
        return (f"is {width} x {height}, smaller than its source of {own_width} x {own_height}",)
    if goal.factor != 1 or upscaler.scale == 1:
        return ()
    return (
        f"restored by weights for x{upscaler.scale} and reduced again; tiny has weights for x1, measured as better",
    )


def _open_clip(job: Job, upscalers: Upscalers) -> Opened:
    own = job.source.suffix
    clip = video.open_clip(job.source, upscalers.max_pixels, upscalers.fields)
    upscaler = upscalers.for_size(*clip.shown_size)
    suffix = video.suffix_for(upscaler.planner, clip) if job.needs_suffix else own
    notes = (
        () if suffix == own else (f"is Matroska, since {own} cannot be written, or not with all that is in this one",)
    )
    return Opened(clip, upscaler, _result(job, suffix), notes + _about(upscaler, upscalers.goal, clip.shown_size))


def upscale_one(job: Job, upscalers: Upscalers, overwrite: bool) -> Work[Outcome]:
    """Upscale one picture or video, of files or streams; whatever goes wrong with it is its outcome."""
    if not job.stream:
        return (yield from _upscale_file(job, upscalers, overwrite))
    with streams.folder() as folder:
        local, poured = job, not job.needs_suffix and streams.is_stream(job.target)
        try:
            if job.problem is None and streams.is_stream(job.source):
                local = replace(local, source=folder / "in")
                streams.drain(job.source, local.source)
            if poured:
                local = replace(local, target=folder / "out", needs_suffix=True)
            outcome = yield from _upscale_file(local, upscalers, overwrite)
            if poured and outcome.reason is None:
                streams.pour(Path(outcome.target), job.target)
            return replace(outcome, source=job.source, target=job.target if poured else outcome.target)
        except Exception as error:
            return failed(job.source, job.target, error, local.source, local.target)


def _upscale_file(job: Job, upscalers: Upscalers, overwrite: bool) -> Work[Outcome]:
    """Upscale one picture or video of a file.

    A result that exists is kept, and a mistake where its name was given.
    """
    target = job.target
    try:
        opened = open_job(job, upscalers)
        target = opened.target
        keep = (job.found or job.needs_suffix) and not overwrite
        if keep and target.exists():
            return _kept(job, target)
        _check_free(job.source, target, overwrite)
        target.parent.mkdir(parents=True, exist_ok=True)
        with locks.in_turn(target):
            if keep and target.exists():  # another call was at it
                return _kept(job, target)
            notes = yield from write(opened, job.source.name)
        return Outcome(job.source, target, notes=notes, choice=opened.choice)
    except Exception as error:
        return failed(job.source, target, error)


def _kept(job: Job, target: Path) -> Outcome:
    """Say where a result that is kept is older than its source: it may show what that was before, or another picture."""
    is_older = not job.stream and target.stat().st_mtime < job.source.stat().st_mtime
    return Outcome(job.source, target, kept=True, notes=(f"is older than {job.source}",) if is_older else ())


def write(opened: Opened, task: str) -> Work[tuple[str, ...]]:
    """Write the result of what was opened, an atomic write; the progress is that of the task of this name.

    Returns what the result does not carry over from its source, or what was asked for and not done, a line each.
    """
    with closing(opened.upscaler.steps(opened.source, opened.target, opened.choice)) as parts:
        while True:
            try:
                done = next(parts)
            except StopIteration as end:
                return opened.notes + end.value
            yield Progress(task, done)


def _sizes(source: Picture | Clip) -> list[tuple[int, int]]:
    """(width, height) of each page, or of a video's frames, as they are seen."""
    return [(page.width, page.height) for page in source.pages] if isinstance(source, Picture) else [source.shown_size]


def _check_free(source: Path, target: Path, overwrite: bool) -> None:
    files.check_apart(source, target)
    if os.path.lexists(target) and not overwrite:
        raise BadImageError(f"{target}: exists already; --overwrite replaces it")
