"""Pictures in buckets (s3://, gs://, ...): each through a local file, its result there whole or not at all."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from lamnet.base.errors import BadArgumentError, BadImageError, LamnetError, MissingExtraError
from lamnet.base.files import partial_of
from lamnet.batch import jobs, one
from lamnet.batch.jobs import Job
from lamnet.batch.one import Outcome, Upscalers

_URI = re.compile(r"[a-z][a-z0-9+.-]*://")


def is_uri(name: str) -> bool:
    """Whether a name is that of a bucket, or of anything else that pyarrow.fs opens."""
    return _URI.match(name) is not None


@dataclass(frozen=True)
class Bucket:
    """A folder of objects: `files` is the pyarrow.fs.FileSystem that `root` is a path in."""

    scheme: str
    files: Any
    root: Path

    def named(self, path: Path) -> str:
        """An object's address, without what the caller's may hold of keys."""
        return f"{self.scheme}://{path}"

    def exists(self, path: Path) -> bool:
        """Whether there is an object of this name."""
        return self.files.get_file_info(str(path)).is_file


@dataclass(frozen=True)
class Transfer:
    """From one bucket, or folder, to another: what there is to do, and one picture of it."""

    source: Bucket
    target: Bucket
    mark: str

    def plan(self) -> Iterator[Job]:
        """The jobs, folder by folder as they are listed; their paths are those within the buckets."""
        with _said(self.source.named(self.source.root), "cannot be listed"):
            if self.source.exists(self.source.root):
                root = self.source.root.parent
                yield self._job(root, root, self.source.root.name)
            else:
                yield from self._below(self.source.root)

    def describe(self, most: int = 10) -> Iterator[str]:
        """Lines about the first jobs and how many there are, from names alone: no object is read."""
        number = 0
        for number, job in enumerate(self.plan(), 1):
            if number <= most:
                target = job.result(job.source.suffix)
                yield f"{self.source.named(job.source)} -> {self.target.named(target)}"
        yield f"{number} in all"

    def upscale_one(self, job: Job, upscalers: Upscalers, overwrite: bool, report: Callable[[float], None]) -> Outcome:
        """As `batch.upscale_one`; a result that is there is kept without reading its source."""
        source, target = self.source.named(job.source), job.result(job.source.suffix)
        with tempfile.TemporaryDirectory(prefix="lamnet-") as folder:
            here, there = Path(folder, "in" + job.source.suffix), Path(folder, "out")

            def target_of(result: Path) -> Path:
                return job.target.with_name(job.target.name + result.name.removeprefix(there.name))

            try:
                if not overwrite and self.target.exists(target):
                    return Outcome(source, self.target.named(target), kept=True)
                with _said(source, "cannot be read"):
                    _copy(self.source.files, job.source, None, here)
                outcome = one.upscale_one(
                    replace(job, source=here, target=there),
                    upscalers,
                    overwrite,
                    report,
                    exists=lambda result: self.target.exists(target_of(result)),
                )
                target = target_of(Path(outcome.target))
                if outcome.problem is None and not outcome.kept:
                    with _said(self.target.named(target), "cannot be written"):
                        self._upload(Path(outcome.target), target)
                problem = outcome.problem and outcome.problem.replace(str(here), source).replace(
                    str(outcome.target), self.target.named(target)
                )
                return Outcome(source, self.target.named(target), problem, outcome.kept)
            except (LamnetError, OSError) as error:
                return Outcome(source, self.target.named(target), " ".join(str(error).split()))

    def _upload(self, result: Path, target: Path) -> None:
        """Under another name first: some file systems show a file while it is being written."""
        partial = partial_of(target)
        if self.target.files.type_name == "local":
            self.target.files.create_dir(str(target.parent), recursive=True)
        _copy(None, result, self.target.files, partial)
        self.target.files.move(str(partial), str(target))

    def _below(self, folder: Path) -> Iterator[Job]:
        names, folders = self._listed(folder)
        yield from jobs.of_folder(self._job(self.source.root, folder, name) for name in names)
        for below in folders:
            is_target = self.source.files == self.target.files and below == self.target.root
            if not is_target and not below.name.startswith("."):
                yield from self._below(below)

    def _listed(self, folder: Path) -> tuple[list[str], list[Path]]:
        """Names of pictures and paths of folders: what else is known of millions of objects takes far more memory."""
        infos = self.source.files.get_file_info(import_module("pyarrow.fs").FileSelector(str(folder)))
        names = jobs.sources_among((info.base_name for info in infos if info.is_file), self.source == self.target)
        return names, sorted(Path(info.path) for info in infos if not info.is_file)

    def _job(self, root: Path, folder: Path, name: str) -> Job:
        source = folder / name
        return Job(source, self.target.root / folder.relative_to(root) / (source.stem + self.mark), found=True)


def transfer(inputs: Sequence[str], out: str | None, mark: str) -> Transfer:
    """What a call with the address of a bucket asks for: `out`, or the same bucket, gets the results.

    Raises:
        BadArgumentError: there are several inputs, or an address that pyarrow cannot open.
        MissingExtraError: pyarrow is not installed.
    """
    if len(inputs) != 1:
        raise BadArgumentError(f"photos: expected one address where a bucket is involved, got {len(inputs)}")
    source = _open(inputs[0])
    return Transfer(source, source if out is None else _open(out), mark)


def _open(name: str) -> Bucket:
    try:
        fs: Any = import_module("pyarrow.fs")
    except ImportError as error:
        raise MissingExtraError(
            f'{name}: buckets need PyArrow, which is not here ({error}); pip install "lamnet-sr[ray]"'
        ) from error
    address = name if is_uri(name) else Path(name).absolute().as_uri()
    with _said(_without_keys(address), "cannot be opened"):
        files, path = fs.FileSystem.from_uri(address)
        return Bucket(address.split(":")[0], files, Path(path))


def _copy(source_files: Any, source: Path, target_files: Any, target: Path) -> None:
    fs: Any = import_module("pyarrow.fs")
    local = fs.LocalFileSystem()
    fs.copy_files(
        str(source),
        str(target),
        source_filesystem=source_files or local,
        destination_filesystem=target_files or local,
    )


@contextmanager
def _said(address: str, what: str) -> Generator[None]:
    """Turn what pyarrow says of an address into one BadImageError that names it."""
    try:
        yield
    except LamnetError:
        raise
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise BadImageError(f"{address}: {what}: {' '.join(_without_keys(str(error)).split())}") from error


def _without_keys(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", re.sub(r"\?\S*=\S*", "", text))
