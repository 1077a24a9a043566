"""One picture or video of a call: which network it goes through, and what became of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lamnet.base import files
from lamnet.base.errors import BadImageError, LamnetError
from lamnet.batch.jobs import Job
from lamnet.media import opening, saving
from lamnet.media.picture import Picture
from lamnet.network.model import LAMNet
from lamnet.upscale import video
from lamnet.upscale.goal import Goal
from lamnet.upscale.upscaler import Upscaler

if TYPE_CHECKING:
    from lamnet.media.video.clip import Clip


@dataclass(frozen=True)
class Outcome:
    """What became of a job: done when there is no problem; `kept` when its result had been there before."""

    source: Path | str
    target: Path | str
    problem: str | None = None
    kept: bool = False


class Upscalers:
    """For a picture of any size the Upscaler whose network is of the least scale that reaches the goal.

    Args:
        networks: by scale.
        make: readies a network, as Upscaler does.
        max_pixels: of one file; more in its header is refused.
    """

    def __init__(
        self, networks: Sequence[LAMNet], goal: Goal, make: Callable[[LAMNet], Upscaler], max_pixels: int
    ) -> None:
        self.goal = goal
        self.max_pixels = max_pixels
        self._upscalers = [make(network) for network in networks]

    def __call__(self, width: int, height: int) -> Upscaler:
        """The one for a picture of this size, the largest where none reaches the goal."""
        factor = self.goal.factor_for(width, height)
        return next((one for one in self._upscalers if one.scale >= factor), self._upscalers[-1])


Work = Callable[[Job, Upscalers, bool, Callable[[float], None]], Outcome]


def upscale_one(
    job: Job,
    upscalers: Upscalers,
    overwrite: bool,
    report: Callable[[float], None],
    exists: Callable[[Path], bool] = Path.exists,
) -> Outcome:
    """Upscale one picture or video, saying how much is done, 0 to 1.

    Args:
        exists: whether there is a result of this name already.
    """
    target = job.target
    try:
        found = open_source(job, upscalers)
        upscaler = upscaler_for(found, upscalers)
        target = target_of(job, found, upscaler)
        keep = job.found and not overwrite
        if keep and exists(target):
            return Outcome(job.source, target, kept=True)
        _check_free(job, target, overwrite)
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            files.alone(target),
            closing(upscaler.steps(found, target)) as steps,
        ):
            if keep and exists(target):  # another call was at it
                return Outcome(job.source, target, kept=True)
            for done in steps:
                report(done)
        return Outcome(job.source, target)
    except LamnetError as error:
        return Outcome(job.source, target, naming(job.source, error))
    except OSError as error:
        return Outcome(job.source, target, f"{error.filename or target}: cannot be written: {error.strerror}")


def open_source(job: Job, upscalers: Upscalers) -> Picture | Clip:
    if job.problem is not None:
        raise BadImageError(f"{job.source}: {job.problem}")
    if job.source.suffix.lower() in video.SUFFIXES:
        return video.open_clip(job.source, upscalers.max_pixels)
    return opening.open_picture(job.source, upscalers.max_pixels)


def upscaler_for(found: Picture | Clip, upscalers: Upscalers) -> Upscaler:
    """Of several pages, the one for that which has to grow most."""
    sizes = [(page.width, page.height) for page in found.pages] if isinstance(found, Picture) else [found.shown_size]
    return max((upscalers(*size) for size in sizes), key=lambda one: one.scale)


def naming(source: Path, error: LamnetError) -> str:
    """An error's message with the file's name, which those of arguments lack."""
    named = isinstance(error, BadImageError) or str(error).startswith(f"{source}: ")
    return str(error) if named else f"{source}: {error}"


def shown_size(found: Picture | Clip) -> tuple[int, int]:
    """(width, height) as it is seen."""
    return (found.pages[0].width, found.pages[0].height) if isinstance(found, Picture) else found.shown_size


def target_of(job: Job, found: Picture | Clip, upscaler: Upscaler) -> Path:
    if isinstance(found, Picture):
        return job.result(saving.suffix_for(found, upscaler.result_size(*shown_size(found))))
    return job.result(job.source.suffix)


def _check_free(job: Job, target: Path, overwrite: bool) -> None:
    files.check_apart(job.source, target)
    if os.path.lexists(target) and not overwrite:
        raise BadImageError(f"{target}: exists already; --overwrite replaces it")
