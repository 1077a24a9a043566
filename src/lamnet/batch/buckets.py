"""Pictures in buckets (s3://, gs://, ...): each goes through local files, and its result appears whole or not at all."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from lamnet.base import extras
from lamnet.base.errors import BadArgumentError, BadImageError, LamnetError
from lamnet.base.files import partial_of
from lamnet.base.progress import Work
from lamnet.batch import jobs, names, one
from lamnet.batch.jobs import Job
from lamnet.batch.left_out import LeftOut
from lamnet.batch.outcome import Intent, Note, Outcome, failed
from lamnet.batch.upscalers import Upscalers
from lamnet.upscale import video

_URI = re.compile(r"[a-z][a-z0-9+.-]*://")
WEB = re.compile(r"(https?|s?ftps?|data|blob):(?=//|.*,)", re.IGNORECASE)
"""Addresses that are not of buckets."""


def is_uri(name: str) -> bool:
    """Tell whether a name is the address of a bucket, or of anything else that pyarrow.fs opens."""
    return _URI.match(name) is not None


@dataclass(frozen=True)
class Bucket:
    """A folder of objects: `files` is the pyarrow.fs.FileSystem that `root` is a path in."""

    scheme: str
    files: Any
    root: Path

    def address(self, path: Path) -> str:
        """Return an object's address, without the keys that the caller's may contain."""
        return f"{self.scheme}://{path}"

    def exists(self, path: Path) -> bool:
        """Tell whether there is an object of this name."""
        with _naming(self.address(path), "cannot be looked up"):
            return self.files.get_file_info(str(path)).is_file


@dataclass(frozen=True)
class Transfer:
    """The jobs from one bucket, or folder, to another, and one of them done; results that exist are kept.

    Attributes:
        mark: the end of results' names, after those of their sources.
        overwrite: replace results that exist.
    """

    source: Bucket
    target: Bucket
    mark: str
    overwrite: bool = False
    left_out: LeftOut = field(default_factory=LeftOut)

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs, folder by folder as they are listed; their paths are within the buckets."""
        with _naming(self.source.address(self.source.root), "cannot be listed"):
            if self.source.exists(self.source.root):
                root = self.source.root.parent
                yield self._job(root, root, self.source.root.name)
            else:
                found = partial(self._below, self.source.root)
                yield from jobs.or_a_problem(found, self.source.root, self.left_out)

    def describe(self, upscalers: Upscalers, most: int = 10) -> Iterator[Intent | Note]:
        """Describe the first jobs and count all, from names alone: no object is read."""
        number = 0
        for number, job in enumerate((job for job in self.jobs() if job.problem is None), 1):
            if number <= most:
                target = job.result(_likely_suffix(job, upscalers))
                yield Intent(self.source.address(job.source), self.target.address(target))
        yield Note(f"{number} in all")

    def upscale(self, job: Job, upscalers: Upscalers) -> Work[Outcome]:
        """Upscale one object; a result that is there is kept without reading its source."""
        likely = _likely_suffix(job, upscalers)
        source, target = self.source.address(job.source), job.result(likely)
        with tempfile.TemporaryDirectory(prefix="lamnet-") as folder:
            local = replace(job, source=Path(folder, "in" + job.source.suffix), target=Path(folder, "out"))
            result = local.result(likely)
            try:
                if job.problem is None and self._keeps(target):
                    return Outcome(source, self.target.address(target), kept=True)
                if job.problem is None:
                    self._download(job.source, local.source)
                opened = one.open_job(local, upscalers)
                result = opened.target
                target = job.result(result.suffix)  # the picture may need another than its name says
                if self._keeps(target):
                    return Outcome(source, self.target.address(target), kept=True)
                notes = yield from one.write(opened, job.source.name)
                self._upload(result, target)
                return Outcome(source, self.target.address(target), notes=notes, choice=opened.choice)
            except Exception as error:
                return failed(source, self.target.address(target), error, local.source, result)

    def _keeps(self, target: Path) -> bool:
        return not self.overwrite and self.target.exists(target)

    def _download(self, source: Path, file: Path) -> None:
        with _naming(self.source.address(source), "cannot be read"):
            _copy(self.source.files, source, None, file)

    def _upload(self, file: Path, target: Path) -> None:
        """Upload a result under another name first: some file systems show a file while it is being written."""
        partial = partial_of(target)
        with _naming(self.target.address(target), "cannot be written"):
            if self.target.files.type_name == "local":
                self.target.files.create_dir(str(target.parent), recursive=True)
            _copy(None, file, self.target.files, partial)
            self.target.files.move(str(partial), str(target))

    def _below(self, folder: Path, left_out: LeftOut) -> Iterator[Job]:
        found, folders = self._listed(folder, left_out)
        yield from jobs.of_folder(self._job(self.source.root, folder, name) for name in found)
        for below in folders:
            is_target = self.source.files == self.target.files and below == self.target.root
            if not is_target and not below.name.startswith("."):
                yield from self._below(below, left_out)

    def _listed(self, folder: Path, left_out: LeftOut) -> tuple[list[str], list[Path]]:
        """List names of pictures and paths of folders; further facts of millions of objects would take far more memory."""
        infos = self.source.files.get_file_info(_pyarrow_fs(str(folder)).FileSelector(str(folder)))
        among = (info.base_name for info in infos if info.is_file)
        found = jobs.sources_among(among, self.source == self.target, left_out, self.mark)
        return found, sorted(Path(info.path) for info in infos if not info.is_file)

    def _job(self, root: Path, folder: Path, name: str) -> Job:
        source = folder / name
        return Job(
            source, self.target.root / folder.relative_to(root) / names.marked(source.stem, self.mark), found=True
        )


def _likely_suffix(job: Job, upscalers: Upscalers) -> str:
    """Return the suffix that a result has unless its picture, which is not read yet, needs another."""
    own = job.source.suffix
    return own if own.lower() in video.SUFFIXES else upscalers.suffix or own


def transfer(sources: Sequence[str], out: str | None, mark: str, overwrite: bool = False) -> Transfer:
    """Open the buckets of a call: `out`, or the bucket itself, gets the results.

    Raises:
        BadArgumentError: there are several sources.
        BadImageError: pyarrow cannot open an address.
        MissingExtraError: pyarrow is not installed.
    """
    if len(sources) != 1:
        raise BadArgumentError(f"photos: expected one address where a bucket is involved, got {len(sources)}")
    source = _open(sources[0])
    return Transfer(source, source if out is None else _open(out), mark, overwrite)


def _open(name: str) -> Bucket:
    fs = _pyarrow_fs(name)
    address = name if is_uri(name) else Path(name).absolute().as_uri()
    with _naming(_without_keys(address), "cannot be opened"):
        files, path = fs.FileSystem.from_uri(address)
        return Bucket(address.split(":")[0], files, Path(path))


def _pyarrow_fs(address: str) -> Any:
    what = "an address in place of a path" if address.startswith("file:") else "a bucket"
    return extras.require("pyarrow.fs", "ray", f"{_without_keys(address)}: {what}")


def _copy(source_files: Any, source: Path, target_files: Any, target: Path) -> None:
    """Copy a file from one file system to another; None is that of this machine."""
    fs = _pyarrow_fs(str(source))
    local = fs.LocalFileSystem()
    fs.copy_files(
        str(source),
        str(target),
        source_filesystem=source_files or local,
        destination_filesystem=target_files or local,
    )


@contextmanager
def _naming(address: str, problem: str) -> Generator[None]:
    """Turn pyarrow's errors within into one BadImageError that names the address and the problem."""
    try:
        yield
    except LamnetError:
        raise
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise BadImageError(f"{address}: {problem}: {' '.join(_without_keys(str(error)).split())}") from error


def _without_keys(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", re.sub(r"\?\S*=\S*", "", text))
