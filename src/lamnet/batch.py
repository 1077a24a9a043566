"""Many pictures and videos in one call: which files, where each result goes, and one line for each that fails."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from lamnet import images, pictures, video, weights
from lamnet.errors import BadArgumentError, BadImageError, BadWeightsError, LamnetError
from lamnet.goals import Goal
from lamnet.model import LAMNet
from lamnet.pictures import Picture
from lamnet.upscale import Upscaler

SUFFIXES = images.SUFFIXES | video.SUFFIXES
BEST_FIRST = ("large", "base", "tiny")
DEFAULT_SCALE = 4  # and the largest there is


@dataclass(frozen=True)
class Job:
    """One picture to upscale.

    `target` is the result, or lacks its suffix and gets the one that suits the picture; `found` says that the source was
    found in a folder or by a pattern, so that a result that exists means work done already and not a mistake.
    """

    source: Path
    target: Path
    needs_suffix: bool
    found: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a job: done when there is no problem; `kept` when its result had been there before."""

    source: Path
    target: Path
    problem: str | None = None
    kept: bool = False


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
    own = None if model is None or _is_name(model) else weights.load(model).config.scale
    return Goal(factor=own or DEFAULT_SCALE)


def load_for(model: str | None, goal: Goal, jobs: Sequence[Job]) -> list[tuple[LAMNet, list[Job]]]:
    """The networks that jobs need, each with its jobs: of the least scale that reaches the goal with each picture.

    Raises BadWeightsError as `load_best`, BadArgumentError for a factor beyond every network.
    """
    groups: dict[int | None, list[Job]] = {}
    if goal.factor is not None:
        groups[_scale_for(model, goal.factor)] = list(jobs)
    for job in jobs if goal.factor is None else ():
        try:
            page = pictures.open_picture(job.source).pages[0]
            scale = _scale_for(model, min(goal.factor_for(page.width, page.height), DEFAULT_SCALE))
        except BadImageError:  # its turn to fail comes later
            scale = _scale_for(model, 1)
        groups.setdefault(scale, []).append(job)
    loaded = [(load_best(model, scale), some) for scale, some in groups.items()]
    for network, _ in loaded:
        if goal.factor is not None and goal.factor > network.config.scale:
            raise BadArgumentError(
                f"scale: expected at most {network.config.scale} with this model, got {goal.factor:g}"
            )
    return loaded


def plan_jobs(inputs: Sequence[str], out: Path | None, mark: str) -> list[Job]:
    """Where each input's result goes: beside it with `mark` after its name (photo_x4.png), or into the file or folder `out`.

    Args:
        inputs: files, folders (with all below them, which `out` then mirrors), or patterns such as "a/**/*.png".

    Missing inputs become jobs too: they fail when their turn comes, and the others are done.
    """
    paths = [Path(name) for name in inputs]
    if out is not None and out.suffix and not out.is_dir():
        if len(paths) == 1 and not paths[0].is_dir() and not _matches(inputs[0]):
            return [Job(paths[0], out, needs_suffix=False, found=False)]
        if out.suffix.lower() in SUFFIXES:
            raise BadArgumentError(f"out: expected a folder for the results of several pictures, got {out}")
    return [job for name in inputs for job in _jobs_of(name, out, mark)]


def run(jobs: Sequence[Job], upscaler: Upscaler, overwrite: bool, progress: Progress) -> Iterator[Outcome]:
    """Upscale one picture after another; a problem with one is its outcome and leaves the others alone."""
    total = progress.add_task("all", total=len(jobs), visible=len(jobs) > 1)
    written: set[Path] = set()
    for job in jobs:
        task = progress.add_task(ascii(job.source.name)[1:-1], total=1.0)
        yield upscale_one(
            job, upscaler, overwrite, written, lambda done, task=task: progress.update(task, completed=done)
        )
        progress.remove_task(task)
        progress.advance(total)


def describe(jobs: Sequence[Job], upscaler: Upscaler) -> Iterator[Outcome | str]:
    """What `run` would do, one line for each picture that can be opened: target, sizes, plan, memory, time."""
    speed: float | None = None
    for job in jobs:
        try:
            picture = pictures.open_picture(job.source, upscaler.max_pixels)
            target, page = target_of(job, picture, upscaler), picture.pages[0]
            size, plan = upscaler.result_size(page.width, page.height), upscaler.plan(page.height, page.width)
            pictures.check_target(picture, target, size)
            speed = speed or upscaler.seconds_per_pixel()
            passes = 1 + (picture.pages[0].bands in (2, 4))
            seconds = speed * plan.pixels * passes * len(picture.pages) * (1.7 if plan.exact else 1)
            yield (
                f"{job.source} -> {target}: {page.width} x {page.height} -> {size[0]} x {size[1]}"
                f"{f', {len(picture.pages)} pages' if len(picture.pages) > 1 else ''}, {plan}, "
                f"{plan.memory / 1e9:.1f} GB, about {seconds:.0f} s"
            )
        except LamnetError as error:
            yield Outcome(job.source, job.target, str(error))


def recorded(outcomes: Iterable[Outcome], manifest: Path | None) -> Iterator[Outcome]:
    """The same outcomes; those that failed also go into a file, one JSON object a line, whole once all are known."""
    failed: list[str] = []
    try:
        for outcome in outcomes:
            if outcome.problem is not None:
                failed.append(json.dumps({"source": str(outcome.source), "problem": outcome.problem}))
            yield outcome
    finally:
        if manifest is not None:
            partial = images.partial_of(manifest)
            with images.named(manifest, "cannot be written"):
                partial.write_text("".join(line + "\n" for line in failed))
                partial.replace(manifest)


def upscale_one(
    job: Job, upscaler: Upscaler, overwrite: bool, written: set[Path], report: Callable[[float], None]
) -> Outcome:
    """Upscale one picture or video, saying how much is done, 0 to 1. `written` are the results of this call so far."""
    target = job.target
    try:
        target, steps = _prepare(job, upscaler)
        if not overwrite and job.found and target.exists() and target not in written:
            return Outcome(job.source, target, kept=True)
        _check_free(job, target, overwrite and target not in written)
        target.parent.mkdir(parents=True, exist_ok=True)
        for done in steps:
            report(done)
        written.add(target)
        return Outcome(job.source, target)
    except LamnetError as error:
        return Outcome(job.source, target, str(error))
    except OSError as error:
        return Outcome(job.source, target, f"{error.filename or target}: cannot be written: {error.strerror}")


def _prepare(job: Job, upscaler: Upscaler) -> tuple[Path, Iterator[float]]:
    """The job's result with its suffix, and the work that makes it, not begun."""
    if job.source.suffix.lower() in video.SUFFIXES:
        if upscaler.goal and upscaler.goal.factor != upscaler.scale:
            raise BadArgumentError(f"{job.source}: expected a network's own scale for a video, got {upscaler.goal}")
        target = job.target.with_name(job.target.name + job.source.suffix * job.needs_suffix)
        return target, video.steps(upscaler, job.source, target)
    picture = pictures.open_picture(job.source, upscaler.max_pixels)
    target = target_of(job, picture, upscaler)
    return target, upscaler.steps(picture, target)


def target_of(job: Job, picture: Picture, upscaler: Upscaler) -> Path:
    """The job's result with its suffix."""
    if not job.needs_suffix:
        return job.target
    size = upscaler.result_size(picture.pages[0].width, picture.pages[0].height)
    return job.target.with_name(job.target.name + pictures.suffix_for(picture, size))


def _is_name(model: str) -> bool:
    return model in weights.SIZES and not Path(model).exists()


def _scale_for(model: str | None, factor: float) -> int | None:
    """The least scale of the model that reaches the factor, its largest where none does; None, its own, for a file."""
    if model is not None and not _is_name(model):
        return None
    scales = sorted({scale for size, scale in weights.shipped() if model in (None, size)})
    return next((scale for scale in scales if scale >= factor), scales[-1] if scales else round(factor))


def _check_free(job: Job, target: Path, overwrite: bool) -> None:
    if target.exists() and target.samefile(job.source):
        raise BadImageError(f"{target}: expected another name for the result than its source's")
    if os.path.lexists(target) and not overwrite:
        raise BadImageError(f"{target}: exists already; --overwrite replaces it")


def _matches(name: str) -> list[Path]:
    """The pictures that a pattern stands for, hidden ones aside; none when it is no pattern or a file has that name."""
    if os.path.lexists(name) or not glob.has_magic(name):
        return []
    path = Path(name)
    found = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
    shown = (one for one in found if not any(p.startswith(".") and p not in path.parts for p in one.parts))
    return sorted(one for one in shown if one.is_file() and one.suffix.lower() in SUFFIXES)


def _jobs_of(name: str, out: Path | None, mark: str) -> Iterator[Job]:
    path = Path(name)
    if path.is_dir():
        sources = _below(path, out)
        names = set(sources)
        for source in sources:
            original = source.with_name(source.name.replace(mark + source.suffix, source.suffix))
            if out is None and original != source and original in names:
                continue  # a result of an earlier call
            folder = source.parent if out is None else out / source.parent.relative_to(path)
            yield Job(source, folder / (source.stem + mark), needs_suffix=True, found=True)
        return
    found = _matches(name)
    for source in found or [path]:
        yield Job(source, (out or source.parent) / (source.stem + mark), needs_suffix=True, found=bool(found))


def _below(folder: Path, out: Path | None) -> list[Path]:
    """Pictures in a folder and all below it, but for hidden ones and those in `out`; links to folders are not followed."""
    sources: list[Path] = []
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (out is None or not _same(here / name, out))
        )
        paths = (here / name for name in sorted(names) if not name.startswith("."))
        sources += [path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file()]
    return sources


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
