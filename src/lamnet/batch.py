"""Many pictures in one call: which files, where each result goes, and one line for each that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from lamnet import images, weights
from lamnet.errors import BadImageError, BadWeightsError, LamnetError
from lamnet.model import LAMNet
from lamnet.upscale import Upscaler

BEST_FIRST = ("large", "base", "tiny")


@dataclass(frozen=True)
class Job:
    """One picture to upscale; `listed` is false when it was found in a folder."""

    source: Path
    target: Path
    listed: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a job: done when there is no problem."""

    source: Path
    target: Path
    problem: str | None = None


def load_best(model: str | None, scale: int) -> LAMNet:
    """The network that a name or file stands for, or the best that ships for the scale.

    Raises BadWeightsError when there is none.
    """
    if model is not None:
        return weights.load(model, scale)
    sizes = [size for size in BEST_FIRST if (size, scale) in weights.shipped()]
    if not sizes:
        raise BadWeightsError(f"scale: expected one that weights ship for, got {scale}; see `lamnet models`")
    return weights.load(sizes[0], scale)


def plan_jobs(inputs: Sequence[Path], out: Path | None, scale: int) -> list[Job]:
    """Where each input's result goes: beside it as NAME_x4.png, or into the file or folder `out`.

    Missing inputs become jobs too: they fail when their turn comes, and the others are done.
    """
    single = out is not None and len(inputs) == 1 and not inputs[0].is_dir() and not _is_folder(out)
    if single and out is not None:
        return [Job(inputs[0], out, True)]
    return [job for path in inputs for job in _jobs_of(path, out, scale)]


def run(jobs: Sequence[Job], upscaler: Upscaler, overwrite: bool, progress: Progress) -> Iterator[Outcome]:
    """Upscale one picture after another; a problem with one is its outcome and leaves the others alone."""
    total = progress.add_task("all", total=len(jobs), visible=len(jobs) > 1)
    for job in jobs:
        task = progress.add_task(job.source.name, total=1.0)
        try:
            if os.path.lexists(job.target) and not overwrite:
                raise BadImageError(f"{job.target}: exists already; --overwrite replaces it")
            job.target.parent.mkdir(parents=True, exist_ok=True)
            for done in upscaler.steps(job.source, job.target):
                progress.update(task, completed=done)
            yield Outcome(job.source, job.target)
        except LamnetError as error:
            yield Outcome(job.source, job.target, str(error))
        except OSError as error:
            yield Outcome(job.source, job.target, f"{error.filename or job.target}: {error.strerror}")
        progress.remove_task(task)
        progress.advance(total)


def _jobs_of(path: Path, out: Path | None, scale: int) -> Iterator[Job]:
    found = images.find(path) if path.is_dir() else [path]
    for source in found:
        folder = out or source.parent
        yield Job(source, folder / f"{source.stem}_x{scale}{source.suffix}", not path.is_dir())


def _is_folder(out: Path) -> bool:
    return out.is_dir() or out.suffix.lower() not in images.SUFFIXES
