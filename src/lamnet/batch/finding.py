"""Finding the jobs of a call among the files of this machine: folders, patterns, names and streams."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from lamnet.base.errors import BadArgumentError
from lamnet.batch import names, streams
from lamnet.batch.jobs import SUFFIXES, Job, of_folder, or_a_problem, sources_among, without_clashes
from lamnet.batch.left_out import LeftOut
from lamnet.upscale import video


def find(sources: Sequence[str], out: Path | str | None, mark: str, left_out: LeftOut | None = None) -> Iterator[Job]:
    """Find the jobs of a call, one folder at a time, so that millions of files need no memory.

    A missing source becomes a job too, and a folder in which nothing can be read: it fails when its turn comes, and the
    others are done.

    Args:
        sources: files, folders with all below them, or patterns such as "a/**/*.png".
        out: a folder for the results, in which folders below a source folder, or below a/ of the pattern, are mirrored;
            or the file for one result; None puts each result into its source's folder. A name with a slash at its end is
            always a folder.
        mark: the end of results' names, after those of their sources, such as "_x4"; or a whole name with "{stem}" for
            the source's.
        left_out: counts the files in folders and patterns that are no sources.

    Raises BadArgumentError where `out` is one file and the sources are several, or a source has an empty name, which the
    system takes for the current folder.
    """
    if "" in sources:
        raise BadArgumentError("photos: expected names, got an empty one")
    if len(sources) > 1 and out is not None and streams.is_stream(out):
        raise BadArgumentError(f"out: expected a folder for the results of several pictures, got the stream {out}")
    ends_in_slash = isinstance(out, str) and out.endswith(("/", os.sep))
    out = None if out is None else Path(out)
    if out is not None and streams.is_stream(out) and not _is_folder(Path(sources[0])) and not _matches(sources[0]):
        return iter([Job(Path(sources[0]), out, needs_suffix=False, stream=True)])
    if out is not None and out.suffix and not ends_in_slash and not _is_folder(out):
        if len(sources) == 1 and not _is_folder(Path(sources[0])) and not _matches(sources[0]):
            return iter([Job(Path(sources[0]), out, needs_suffix=False, stream=streams.is_stream(sources[0]))])
        if out.suffix.lower() in SUFFIXES:
            raise BadArgumentError(f"out: expected a folder for the results of several pictures, got {out}")
    counted = LeftOut() if left_out is None else left_out
    jobs = (job for name in sources for job in or_a_problem(partial(_jobs_of, name, out, mark), Path(name), counted))
    return jobs if len(sources) == 1 else without_clashes(jobs)


def _jobs_of(name: str, out: Path | None, mark: str, left_out: LeftOut) -> Iterator[Job]:
    path = Path(name)
    if _is_folder(path):
        yield from _below(path, out, mark, left_out)
        return
    if streams.is_stream(name):
        yield _of_stream(name, out, mark)
        return
    found = _matches(name)
    if not found:
        yield Job(path, (out or path.parent) / names.marked(path.stem, mark))
        return
    root = Path(*_before_magic(path))
    jobs: list[Job] = []
    for place, inside in groupby(sorted(found, key=lambda one: (one.parent, one)), key=lambda one: one.parent):
        target = _mirrored(place, root, out)
        with_results = _same(place, target)
        if with_results or not _holds_results(place, root, out):
            for source in sources_among([one.name for one in inside], with_results, left_out, mark):
                jobs.append(Job(place / source, target / names.marked(Path(source).stem, mark), found=True))
    yield from without_clashes(jobs)


def _of_stream(name: str, out: Path | None, mark: str) -> Job:
    """Make the job of a stream; without a place, stdin's result goes to stdout, and other streams have a problem."""
    if out is not None:
        stem = "stdin" if name == streams.STANDARD else Path(name).stem
        return Job(Path(name), out / names.marked(stem, mark), stream=True)
    if name == streams.STANDARD:
        return Job(Path(name), Path(streams.STANDARD), needs_suffix=False, stream=True)
    return Job(Path(name), Path(name), problem="expected a place for the result of a stream, --out", stream=True)


def _below(folder: Path, out: Path | None, mark: str, left_out: LeftOut) -> Iterator[Job]:
    """Yield the jobs of a folder and all below it, without hidden folders, `out`, and links to folders."""
    with_results = out is None or _same(folder, out)
    unread: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=unread.append):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (out is None or not _same(here / name, out))
        )
        for name in folders:
            if (here / name).is_symlink():
                left_out.others.add(name, "links to folders")
        target = _mirrored(here, folder, out)
        sources = (here / name for name in sources_among(files, with_results, left_out, mark))
        yield from of_folder(
            Job(source, target / names.marked(source.stem, mark), found=True)
            for source in sources
            if _may_be_file(source, left_out)
        )
    for error in unread:
        place = Path(error.filename)
        yield Job(place, _mirrored(place, folder, out), problem=f"cannot be read: {error.strerror}")


def _matches(name: str) -> list[Path]:
    """List the files that match a pattern, without hidden ones; none for a name without wildcards or that of a file."""
    if os.path.lexists(name) or not glob.has_magic(name):
        return []
    path = Path(name)
    try:
        found = list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except (OSError, ValueError):  # some versions of Python refuse "a**"
        return []
    shown = (one for one in found if not any(p.startswith(".") and p not in path.parts for p in one.parts))
    return sorted(one for one in shown if one.is_file())


def _before_magic(pattern: Path) -> list[str]:
    """Return the parts of a pattern before the first one with a wildcard."""
    parts = list(pattern.parts)
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return parts[:first]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the job will fail when its turn comes
        return False


def _may_be_file(path: Path, left_out: LeftOut) -> bool:
    try:
        if path.is_file():
            if path.suffix.lower() in video.NAMES_OF_CODE and _is_text(path):
                left_out.others.add(path.name)
                return False
            return True
        left_out.others.add(path.name, "links to nothing" if path.is_symlink() else "no files")
    except OSError:  # the error comes up again when it is read
        return True
    return False


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(1024)
    return bool(start) and b"\0" not in start


def _mirrored(place: Path, root: Path, out: Path | None) -> Path:
    """Name the folder for the results of a folder `place` below the root."""
    return place if out is None else out / place.relative_to(root)


def _holds_results(place: Path, root: Path, out: Path | None) -> bool:
    """Tell whether a folder below the root is `out` or in it."""
    if out is None or not out.resolve().is_relative_to(root.resolve()):
        return False
    return place.resolve().is_relative_to(out.resolve())


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
