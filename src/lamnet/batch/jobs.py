"""Jobs: the pictures and videos that a call is about, and the file for the result of each."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path

from lamnet.base.errors import BadArgumentError
from lamnet.batch import names, streams
from lamnet.batch.left_out import LeftOut
from lamnet.media import formats
from lamnet.upscale import video

SUFFIXES = formats.SUFFIXES | video.SUFFIXES
CHUNK = 10_000  # jobs known at a time: some 10 MB, and about a second of looking through folders


@dataclass(frozen=True)
class Job:
    """One picture or video to upscale.

    Attributes:
        source: its file.
        target: the file for the result; as a rule still without the suffix, which depends on the picture.
        needs_suffix: the target has no suffix yet.
        found: the source was found in a folder or by a pattern, so that a result that exists is work done before and not
            a mistake.
        shared: other jobs have the same target, so that a result with another suffix than its source's has both.
        problem: why the job cannot be done, where that is known beforehand.
        stream: the source or the target is a stream.
    """

    source: Path
    target: Path
    needs_suffix: bool = True
    found: bool = False
    shared: bool = False
    problem: str | None = None
    stream: bool = False

    def result(self, suffix: str) -> Path:
        """The file for a result with this suffix: a_x4.png; of a.gif, where there is an a.png too, a_x4.gif.png."""
        if not self.needs_suffix:
            return self.target
        both = self.shared and suffix != self.source.suffix
        return self.target.with_name(self.target.name + (self.source.suffix if both else "") + suffix)


def find(sources: Sequence[str], out: Path | str | None, mark: str, left_out: LeftOut | None = None) -> Iterator[Job]:
    """Find the jobs of a call, one folder at a time, so that millions of files need no memory.

    A missing source becomes a job too, and a folder in which nothing can be read: it fails when its turn comes, and the
    others are done.

    Args:
        sources: files, folders with all below them, or patterns such as "a/**/*.png".
        out: a folder for the results, in which folders below a source folder, or below a/ of the pattern, are mirrored;
            or the file for one result; None puts each result into its source's folder. With a slash at its end it is a
            folder, whatever its name.
        mark: what results have after their sources' names, such as "_x4"; or a whole name, "{stem}" for the source's.
        left_out: gets what folders and patterns hold that is no source.

    Raises BadArgumentError where `out` is one file and the sources are several, or a source is the empty name, which the
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
    left_out = LeftOut() if left_out is None else left_out
    jobs = (job for name in sources for job in or_a_problem(_jobs_of(name, out, mark, left_out), Path(name), left_out))
    return jobs if len(sources) == 1 else without_clashes(jobs)


def in_chunks(jobs: Iterator[Job]) -> Iterator[tuple[str, list[Job]]]:
    """The jobs in lists of up to CHUNK, each with its name for the progress: "all", or "1 to 10,000" where there are more.

    Folders are looked through once and only as far as needed, so that the progress knows no other total.
    """
    before = 0
    while chunk := list(islice(jobs, CHUNK)):
        is_all = before == 0 and len(chunk) < CHUNK
        yield ("all" if is_all else f"{before + 1:,} to {before + len(chunk):,}"), chunk
        before += len(chunk)


def sources_among(found: Iterable[str], with_results: bool, left_out: LeftOut, mark: str = "") -> list[str]:
    """The sources among the files of a folder, sorted by stem, without hidden ones; the others are left out.

    In a folder `with_results`, the results of earlier calls are no sources: a_x4.png where there is an a.png.
    """
    shown: list[str] = []
    for name in sorted(found):
        if not name.startswith("."):
            known = names.split(name)[1].lower() in SUFFIXES
            shown.append(name) if known else left_out.add(name)
    if with_results:
        stems = {names.shortened(names.split(name)[0]) for name in shown}
        shown = [name for name in shown if names.original(names.split(name)[0], SUFFIXES, mark) not in stems]
    return sorted(shown, key=names.split)


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
    """The job of a stream: stdin's result goes to stdout where no place is given, other streams need one."""
    if out is not None:
        stem = "stdin" if name == streams.STANDARD else Path(name).stem
        return Job(Path(name), out / names.marked(stem, mark), stream=True)
    if name == streams.STANDARD:
        return Job(Path(name), Path(streams.STANDARD), needs_suffix=False, stream=True)
    return Job(Path(name), Path(name), problem="expected a place for the result of a stream, --out", stream=True)


def _below(folder: Path, out: Path | None, mark: str, left_out: LeftOut) -> Iterator[Job]:
    """The jobs of a folder and all below it, without hidden folders, `out`, and links to folders."""
    with_results = out is None or _same(folder, out)
    unread: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=unread.append):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (out is None or not _same(here / name, out))
        )
        for name in folders:
            if (here / name).is_symlink():
                left_out.add(name, "links to folders")
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


def or_a_problem(jobs: Iterable[Job], place: Path, left_out: LeftOut) -> Iterator[Job]:
    """The jobs of a place, or one that fails where there are none."""
    some, before = False, left_out.total
    for job in jobs:
        some = True
        yield job
    if not some:
        found = str(left_out) if left_out.total > before else "none"
        left_out.clear()
        yield Job(place, place, problem=f"expected pictures or videos there, found {found}")


def of_folder(jobs: Iterable[Job]) -> Iterator[Job]:
    """One folder's jobs, in the order of `sources_among`, with `shared` set: `without_clashes` for millions of files."""
    for _, group in groupby(jobs, key=lambda job: job.target):
        same = list(group)
        yield from (replace(job, shared=len(same) > 1) for job in same)


def without_clashes(jobs: Iterable[Job]) -> Iterator[Job]:
    """The same jobs, each once, with `shared` set, where results of several folders may meet in one.

    A job whose result would take the place of another's, or of a source, gets a problem.
    """
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
    """The files that a pattern stands for, without hidden ones; none when it is no pattern or a file has that name."""
    if os.path.lexists(name) or not glob.has_magic(name):
        return []
    path = Path(name)
    try:
        found = list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except (OSError, ValueError, NotImplementedError):  # "a**" is no pattern in all versions of Python
        return []
    shown = (one for one in found if not any(p.startswith(".") and p not in path.parts for p in one.parts))
    return sorted(one for one in shown if one.is_file())


def _before_magic(pattern: Path) -> list[str]:
    """The parts of a pattern before the first one with a wildcard."""
    parts = list(pattern.parts)
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return parts[:first]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a job that fails when its turn comes
        return False


def _may_be_file(path: Path, left_out: LeftOut) -> bool:
    try:
        if path.is_file():
            if path.suffix.lower() in video.NAMES_OF_CODE and _is_text(path):
                left_out.add(path.name)
                return False
            return True
        left_out.add(path.name, "links to nothing" if path.is_symlink() else "no files")
    except OSError:  # reading it will say why
        return True
    return False


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(1024)
    return bool(start) and b"\0" not in start


def _mirrored(place: Path, root: Path, out: Path | None) -> Path:
    """The folder for the results of a folder `place` below the root."""
    return place if out is None else out / place.relative_to(root)


def _holds_results(place: Path, root: Path, out: Path | None) -> bool:
    """Tell whether a folder below the root is `out` or in it."""
    if out is None or not out.resolve().is_relative_to(root.resolve()):
        return False
    return place.resolve().is_relative_to(out.resolve())


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
