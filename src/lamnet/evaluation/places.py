"""The files that an evaluation writes, checked before the work: none is one of its own inputs, or another's place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lamnet.base.errors import BadArgumentError
from lamnet.base.files import is_stream
from lamnet.evaluation import report
from lamnet.media import formats


def prepare(outputs: Mapping[str, Path], files: Iterable[Path] = (), folders: Iterable[Path] = ()) -> None:
    """Make the folders of outputs, and check that each can be written and is a file of its own.

    Args:
        outputs: by the names of their options.
        files: inputs; those that do not exist do not matter.
        folders: folders whose pictures are inputs, at any depth.

    Raises BadArgumentError.
    """
    places = {name: path for name, path in outputs.items() if not is_stream(path)}
    names = dict[str, str]()
    for name, path in places.items():
        first = names.setdefault(os.path.realpath(path), name)
        if first != name:
            raise BadArgumentError(f"{path}: expected a file of its own for {name}, found that of {first}")
    existing = {_identity(path): (name, path) for name, path in places.items() if path.exists()}
    if existing:
        for file in (*files, *(file for folder in folders for file in pictures(folder))):
            if file.exists() and (found := existing.get(_identity(file))):
                raise BadArgumentError(f"{found[1]}: expected a file for {found[0]} that is no input, found {file}")
    for path in outputs.values():
        report.prepare_place(path)


def pictures(folder: Path) -> Iterator[Path]:
    """Yield the files at any depth that are pictures by their names; links to folders are followed, each folder once."""
    seen = set[str]()
    for place, below, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            below.clear()
            continue
        seen.add(real)
        yield from (Path(place, file) for file in files if Path(file).suffix.lower() in formats.SUFFIXES)


def _identity(path: Path) -> tuple[int, int]:
    """Return what is the same for all names of a file."""
    status = path.stat()
    return status.st_dev, status.st_ino
