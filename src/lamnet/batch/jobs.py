"""Jobs: the pictures and videos of a call, and the file for the result of each; `finding` and `buckets` find them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path

from lamnet.base.other_files import OtherFiles
from lamnet.batch import names
from lamnet.batch.left_out import LeftOut
from lamnet.media import formats
from lamnet.upscale import video

SUFFIXES = formats.SUFFIXES | video.SUFFIXES
TAKEN = "expected a name for the result that no other picture has, found {}"
CHUNK = 10_000  # jobs in memory at a time: some 10 MB, and about a second of listing folders


@dataclass(frozen=True)
class Job:
    """One picture or video to upscale.

    Attributes:
        source: its file.
        target: the file for the result; as a rule still without the suffix, which depends on the picture.
        needs_suffix: the target has no suffix yet.
        found: the source was found in a folder or by a pattern, so that an existing result is earlier work and not a
            mistake.
        shared: other jobs have the same target, so that a result with another suffix than its source's has both.
        problem: why the job cannot be done, where that is known beforehand.
        stream: the source or the target is a stream.
        others: sources of the call that the result may have the name of, by its suffix.
    """

    source: Path
    target: Path
    needs_suffix: bool = True
    found: bool = False
    shared: bool = False
    problem: str | None = None
    stream: bool = False
    others: frozenset[Path] = frozenset()

    def result(self, suffix: str) -> Path:
        """Name the file for a result with this suffix: a_x4.png; of a.gif, where there is an a.png too, a_x4.gif.png."""
        if not self.needs_suffix:
            return self.target
        both = self.shared and suffix != self.source.suffix
        return self.target.with_name(self.target.name + (self.source.suffix if both else "") + suffix)


def in_chunks(jobs: Iterator[Job]) -> Iterator[tuple[str, list[Job]]]:
    """Yield the jobs in lists of up to CHUNK, each with a label for its progress: "all", or "1 to 10,000" of more.

    Folders are listed once and only as far as needed, so no other total is known for the progress.
    """
    before = 0
    while chunk := list(islice(jobs, CHUNK)):
        is_all = before == 0 and len(chunk) < CHUNK
        yield ("all" if is_all else f"{before + 1:,} to {before + len(chunk):,}"), chunk
        before += len(chunk)


def sources_among(found: Iterable[str], with_results: bool, left_out: LeftOut, mark: str = "") -> list[str]:
    """List the sources among the files of a folder, sorted by stem, without hidden ones; the others are left out.

    In a folder `with_results`, the results of earlier calls are no sources: a_x4.png where there is an a.png.
    """
    shown: list[str] = []
    for name in sorted(found):
        if not name.startswith("."):
            known = names.split(name)[1].lower() in SUFFIXES
            shown.append(name) if known else left_out.others.add(name)
    if with_results:
        stems = {names.shortened(names.split(name)[0]) for name in shown}
        results = {name for name in shown if names.original(names.split(name)[0], SUFFIXES, mark) in stems}
        shown = [name for name in shown if name not in results]
        for name in sorted(results):
            left_out.results.add(name)
    return sorted(shown, key=names.split)


def or_a_problem(jobs_of: Callable[[LeftOut], Iterable[Job]], place: Path, left_out: LeftOut) -> Iterator[Job]:
    """Yield the jobs of a place, or one that fails where there are none and names what there is instead.

    `jobs_of` counts what is no source, of this place alone; where there are jobs, that is added to `left_out`.
    """
    some, here = False, LeftOut()
    for job in jobs_of(here):
        some = True
        yield job
    found = str(here.others) if here.others.total else "none"
    if not some:
        here.others = OtherFiles()
    left_out.merge(here)
    if not some:
        yield Job(place, place, problem=f"expected pictures or videos there, found {found}")


def of_folder(jobs: Iterable[Job]) -> Iterator[Job]:
    """Yield one folder's jobs, in the order of `sources_among`, with `shared` set: `without_clashes` for millions of files."""
    for _, group in groupby(jobs, key=lambda job: job.target):
        same = list(group)
        yield from (replace(job, shared=len(same) > 1) for job in same)


def without_clashes(jobs: Iterable[Job]) -> Iterator[Job]:
    """Yield jobs whose results may meet in one folder, each once, with `shared` set.

    A job whose result would replace that of another, or a source, gets a problem.
    """
    once = {(job.source, job.target): job for job in jobs}
    count = Counter(target for _, target in once)
    owners: dict[tuple[Path, str], Path] = {}
    sources = {source for source, _ in once}
    alike: dict[Path, set[Path]] = {}
    for source in sources:
        stem = Path(source.stem)
        for name in {source.name, str(stem), stem.stem}:
            alike.setdefault(source.parent / name, set()).add(source)
    for job in once.values():
        if job.problem is not None:  # its names may be no files'
            yield job
            continue
        shared = count[job.target] > 1
        owner = owners.setdefault((job.target, job.source.suffix), job.source)
        taken = None if owner == job.source else f"expected another name than that of {owner}, or another folder"
        if (result := replace(job, shared=shared).result(job.source.suffix)) in sources:
            taken = TAKEN.format(result)
        others = frozenset(alike.get(job.target, ()))
        yield replace(job, shared=shared, problem=taken, others=others)
