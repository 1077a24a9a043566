"""Many pictures and videos in one call: which network each goes through, one line for each that fails."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from lamnet import images, pictures, video, weights
from lamnet.errors import BadArgumentError, BadImageError, BadWeightsError, LamnetError
from lamnet.goals import Goal
from lamnet.jobs import Job
from lamnet.model import LAMNet
from lamnet.pictures import Picture
from lamnet.tiling import Plan
from lamnet.upscale import Upscaler

if TYPE_CHECKING:
    from lamnet.clip import Clip

BEST_FIRST = ("large", "base", "tiny")
DEFAULT_SCALE = 4  # and the largest there is


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


def load_best(model: str | None, scale: int | None) -> LAMNet:
    """The network that a name or file stands for, or the best that ships for the scale; a file may keep its own.

    Raises BadWeightsError when there is none.
    """
    if model is not None:
        return weights.load(model, scale)
    sizes = [size for size in BEST_FIRST if (size, scale) in weights.shipped()]
    if not sizes:
        raise BadWeightsError(f"scale: expected one that weights ship for, got {scale}; see lamnet models")
    return weights.load(sizes[0], scale)


def default_goal(model: str | None) -> Goal:
    """A weights file's own scale, else 4. Raises BadWeightsError for a file that is none."""
    own = None if model is None or weights.is_name(model) else weights.load(model).config.scale
    return Goal(factor=own or DEFAULT_SCALE)


def networks_for(model: str | None, goal: Goal) -> list[LAMNet]:
    """The networks that pictures of any size may need for the goal, by scale.

    Raises BadWeightsError as `load_best`, BadArgumentError for a factor beyond every network.
    """
    if model is not None and not weights.is_name(model):
        networks = [weights.load(model)]
    else:
        scales = sorted({scale for size, scale in weights.shipped() if model in (None, size)})
        if goal.factor is not None:
            scales = [scale for scale in scales if scale >= goal.factor][:1] or scales[-1:]
        networks = [load_best(model, scale) for scale in scales or [DEFAULT_SCALE]]
    most = networks[-1].config.scale
    if goal.factor is not None and goal.factor > most:
        raise BadArgumentError(f"scale: expected at most {most} with this model, got {goal.factor:g}")
    return networks


def run(
    jobs: Iterable[Job],
    one: Work,
    make: Callable[[], Upscalers],
    overwrite: bool,
    progress: Progress,
    total: int | None,
) -> Generator[Outcome]:
    """Upscale one picture after another; a problem with one is its outcome and leaves the others alone.

    Args:
        one: what upscales one of them: `upscale_one`, or a bucket's.
        total: how many there are, where that is known.
    """
    upscalers = make()
    whole = progress.add_task("all", total=total, visible=total != 1)
    for job in jobs:
        task = progress.add_task(ascii(job.source.name)[1:-1], total=1.0)
        yield one(job, upscalers, overwrite, lambda done, task=task: progress.update(task, completed=done))
        progress.remove_task(task)
        progress.advance(whole)


def describe(jobs: Iterable[Job], upscalers: Upscalers) -> Iterator[Outcome | str]:
    """What `run` would do, one line for each picture or video that can be opened: target, sizes, plan, memory, time."""
    speeds: dict[int, float] = {}
    for job in jobs:
        try:
            found = _open(job, upscalers)
            upscaler = _upscaler_for(found, upscalers)
            target = _target(job, found, upscaler)
            speed = speeds.get(upscaler.scale) or upscaler.seconds_per_pixel()
            speeds[upscaler.scale] = speed
            if isinstance(found, Picture):
                about = _about_picture(found, target, upscaler, speed)
            else:
                about = _about_clip(found, target, upscaler, speed)
            yield f"{job.source} -> {target}: {about}"
        except LamnetError as error:
            yield Outcome(job.source, job.target, _naming(job.source, error))


def recorded(outcomes: Generator[Outcome], manifest: Path | None) -> Generator[Outcome]:
    """The same outcomes; those that failed also go into a file, one JSON object a line, at the end.

    An interrupted call leaves those so far; one that ends before the first leaves the file that was there.
    """
    failed: list[str] = []
    known = False
    try:
        with closing(outcomes):
            for outcome in outcomes:
                known = True
                if outcome.problem is not None:
                    failed.append(json.dumps({"source": str(outcome.source), "problem": outcome.problem}))
                yield outcome
        known = True
    finally:
        if known and manifest is not None:
            with images.appearing(manifest) as partial:
                partial.write_text("".join(line + "\n" for line in failed))


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
        found = _open(job, upscalers)
        upscaler = _upscaler_for(found, upscalers)
        target = _target(job, found, upscaler)
        keep = job.found and not overwrite
        if keep and exists(target):
            return Outcome(job.source, target, kept=True)
        _check_free(job, target, overwrite)
        target.parent.mkdir(parents=True, exist_ok=True)
        picture = isinstance(found, Picture)
        with (
            images.alone(target),
            closing(upscaler.steps(found, target) if picture else video.steps(upscaler, found, target)) as steps,
        ):
            if keep and exists(target):  # another call was at it
                return Outcome(job.source, target, kept=True)
            for done in steps:
                report(done)
        return Outcome(job.source, target)
    except LamnetError as error:
        return Outcome(job.source, target, _naming(job.source, error))
    except OSError as error:
        return Outcome(job.source, target, f"{error.filename or target}: cannot be written: {error.strerror}")


def _open(job: Job, upscalers: Upscalers) -> Picture | Clip:
    if job.problem is not None:
        raise BadImageError(f"{job.source}: {job.problem}")
    if job.source.suffix.lower() in video.SUFFIXES:
        return video.open_clip(job.source, upscalers.max_pixels)
    return pictures.open_picture(job.source, upscalers.max_pixels)


def _upscaler_for(found: Picture | Clip, upscalers: Upscalers) -> Upscaler:
    """Of several pages, the one for that which has to grow most."""
    sizes = [(page.width, page.height) for page in found.pages] if isinstance(found, Picture) else [found.shown_size]
    return max((upscalers(*size) for size in sizes), key=lambda one: one.scale)


def _naming(source: Path, error: LamnetError) -> str:
    """An error's message with the file's name, which those of arguments lack."""
    named = isinstance(error, BadImageError) or str(error).startswith(f"{source}: ")
    return str(error) if named else f"{source}: {error}"


def _size(found: Picture | Clip) -> tuple[int, int]:
    """(width, height) as it is seen."""
    return (found.pages[0].width, found.pages[0].height) if isinstance(found, Picture) else found.shown_size


def _target(job: Job, found: Picture | Clip, upscaler: Upscaler) -> Path:
    if isinstance(found, Picture):
        return job.result(pictures.suffix_for(found, upscaler.result_size(*_size(found))))
    return job.result(job.source.suffix)


def _about_picture(picture: Picture, target: Path, upscaler: Upscaler, speed: float) -> str:
    width, height = _size(picture)
    size, plan = upscaler.result_size(width, height), upscaler.plan(height, width)
    pictures.check_target(picture, target, size)
    pages = len(picture.pages)
    passes = pages * (1 + (picture.pages[0].bands in (2, 4)))
    return (
        f"{width} x {height} -> {size[0]} x {size[1]}{f', {pages} pages' if pages > 1 else ''}, "
        f"{_about_plan(plan, passes, speed)}"
    )


def _about_clip(clip: Clip, target: Path, upscaler: Upscaler, speed: float) -> str:
    encoding = video.encoding_for(upscaler, clip, target)
    plan = video.beside_encoder(upscaler, encoding).plan(clip.height, clip.width)
    return (
        f"{clip.width} x {clip.height} -> {encoding.width} x {encoding.height}, {clip.packets} frames, "
        f"{encoding.codec} {encoding.pixels}, {_about_plan(plan, clip.packets, speed)}"
    )


def _about_plan(plan: Plan, passes: int, speed: float) -> str:
    seconds = speed * plan.pixels * passes * (1.7 if plan.exact else 1)
    return f"{plan}, {plan.memory / 1e9:.1f} GB, about {seconds:.0f} s"


def _check_free(job: Job, target: Path, overwrite: bool) -> None:
    images.check_apart(job.source, target)
    if os.path.lexists(target) and not overwrite:
        raise BadImageError(f"{target}: exists already; --overwrite replaces it")
