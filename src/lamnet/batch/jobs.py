"""Which pictures and videos a call is about, and where each one's result goes."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path, PurePath

from lamnet.base.errors import BadArgumentError
from lamnet.media import formats
from lamnet.upscale import video

SUFFIXES = formats.SUFFIXES | video.SUFFIXES
_MARK = re.compile(r"_(x\d+(\.\d+)?|\d+x\d*)$")  # after the names of results: of a factor, or of a size


@dataclass(frozen=True)
class Job:
    """One picture or video to upscale.

    Attributes:
        source: its file.
        target: the result, or the result without the suffix that suits the picture.
        needs_suffix: which of the two.
        found: in a folder or by a pattern, so that a result that exists means work done already and not a mistake.
        shared: others have this target, so that a result of another suffix than its source's says that one too.
        problem: why it cannot be done, where that is known beforehand.
    """

    source: Path
    target: Path
    needs_suffix: bool = True
    found: bool = False
    shared: bool = False
    problem: str | None = None

    def result(self, suffix: str) -> Path:
        """The result, where it would have this suffix."""
        if not self.needs_suffix:
            return self.target
        return self.target.with_name(self.target.name + ending(self.source, suffix, self.shared))


def ending(source: PurePath, suffix: str, shared: bool) -> str:
    """What follows the mark in a result's name: a.gif beside a.png becomes a_x4.gif.png."""
    return suffix if suffix == source.suffix or not shared else source.suffix + suffix


def plan(inputs: Sequence[str], out: Path | str | None, mark: str) -> Iterator[Job]:
    """Where each input's result goes: beside it with `mark` after its name (photo_x4.png), or into the file or folder `out`.

    Args:
        out: with a slash at its end it is a folder, whatever its name.
        inputs: files, folders (with all below them, which `out` then mirrors), or patterns such as "a/**/*.png" (what
            lies below a/ is mirrored).

    Missing inputs become jobs too: they fail when their turn comes, and the others are done. One folder is looked
    through at a time, so that millions of files need no memory. Raises BadArgumentError when `out` is one file and the
    inputs are several, or one of them is empty, for the system takes that for the present folder.
    """
    if "" in inputs:
        raise BadArgumentError("photos: expected names, got an empty one")
    said = isinstance(out, str) and out.endswith(("/", os.sep))
    out = None if out is None else Path(out)
    if out is not None and out.suffix and not said and not _is_folder(out):
        if len(inputs) == 1 and not _is_folder(Path(inputs[0])) and not _matches(inputs[0]):
            return iter([Job(Path(inputs[0]), out, needs_suffix=False)])
        if out.suffix.lower() in SUFFIXES:
            raise BadArgumentError(f"out: expected a folder for the results of several pictures, got {out}")
    jobs = (job for name in inputs for job in _jobs_of(name, out, mark))
    return jobs if len(inputs) == 1 else apart(jobs)


def sources_among(names: Iterable[str], beside: bool) -> list[str]:
    """Of the files of a folder those to upscale, sorted by stem: no hidden ones, no results of earlier calls `beside` them."""
    shown = [name for name in names if not name.startswith(".") and _split(name)[1].lower() in SUFFIXES]
    if beside:
        stems = {_split(name)[0] for name in shown}
        shown = [name for name in shown if _original(_split(name)[0]) not in stems]
    return sorted(shown, key=_split)


def _split(name: str) -> tuple[str, str]:
    path = PurePath(name)
    return path.stem, path.suffix


def _original(stem: str) -> str | None:
    shorter = _MARK.sub("", PurePath(stem).stem if PurePath(stem).suffix in SUFFIXES else stem)
    return shorter if shorter != stem else None


def _jobs_of(name: str, out: Path | None, mark: str) -> Iterator[Job]:
    path = Path(name)
    if _is_folder(path):
        yield from _below(path, out, mark)
        return
    found = _matches(name)
    if not found:
        yield Job(path, (out or path.parent) / (path.stem + mark))
        return
    root = Path(*_before_magic(path))
    jobs: list[Job] = []
    for place, inside in groupby(sorted(found, key=lambda one: (one.parent, one)), key=lambda one: one.parent):
        target = _mirrored(place, root, out)
        beside = _same(place, target)
        if beside or not _is_within(place, root, out):
            for source in sources_among([one.name for one in inside], beside):
                jobs.append(Job(place / source, target / (PurePath(source).stem + mark), found=True))
    yield from apart(jobs)


def _below(folder: Path, out: Path | None, mark: str) -> Iterator[Job]:
    """The jobs of a folder and all below it, but for hidden ones and those in `out`; links to folders are not followed."""
    beside = out is None or _same(folder, out)
    unread: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=unread.append):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (out is None or not _same(here / name, out))
        )
        sources = (here / name for name in sources_among(names, beside))
        target = _mirrored(here, folder, out)
        jobs = (Job(source, target / (source.stem + mark), found=True) for source in sources if _may_be_file(source))
        yield from of_folder(jobs)
    for error in unread:
        place = Path(error.filename)
        yield Job(place, _mirrored(place, folder, out), problem=f"cannot be read: {error.strerror}")


def of_folder(jobs: Iterable[Job]) -> Iterator[Job]:
    """One folder's jobs in the order of `sources_among`, told whether others have the same target: `apart` for millions."""
    for _, group in groupby(jobs, key=lambda job: job.target):
        same = list(group)
        yield from (replace(job, shared=len(same) > 1) for job in same)


def apart(jobs: Iterable[Job]) -> Iterator[Job]:
    """The same jobs, each once, told whether others have the same target, where folders may meet."""
    once = {(job.source, job.target): job for job in jobs}
    count = Counter(target for _, target in once)
    owners: dict[tuple[Path, str], Path] = {}
    sources = {source for source, _ in once}
    for job in once.values():
        shared = count[job.target] > 1
        owner = owners.setdefault((job.target, job.source.suffix), job.source)
        taken = None if owner == job.source else f"expected another name than that of {owner}, or another folder"
        if (result := replace(job, shared=shared).result(job.source.suffix)) in sources:
            taken = f"expected a name for the result that no other picture has, found {result}"
        yield replace(job, shared=shared, problem=job.problem or taken)


def _matches(name: str) -> list[Path]:
    """The pictures that a pattern stands for, hidden ones aside; none when it is no pattern or a file has that name."""
    if os.path.lexists(name) or not glob.has_magic(name):
        return []
    path = Path(name)
    found = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
    shown = (one for one in found if not any(p.startswith(".") and p not in path.parts for p in one.parts))
    return sorted(one for one in shown if one.is_file() and one.suffix.lower() in SUFFIXES)


def _before_magic(pattern: Path) -> list[str]:
    parts = list(pattern.parts)
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return parts[:first]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a job that fails when its turn comes
        return False


def _may_be_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # reading it will say why
        return True


def _mirrored(place: Path, root: Path, out: Path | None) -> Path:
    return place if out is None else out / place.relative_to(root)


def _is_within(place: Path, root: Path, out: Path | None) -> bool:
    """Whether a folder holds results in a folder `out` below the root."""
    if out is None or not out.resolve().is_relative_to(root.resolve()):
        return False
    return place.resolve().is_relative_to(out.resolve())


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
