"""What the folders of photographs for training hold: photographs, LR that is given, licences, and other files."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from lamnet.base.errors import BadDataError
from lamnet.base.files import read_text
from lamnet.base.other_files import OtherFiles
from lamnet.media import formats
from lamnet.training.given import Given, lr_beside
from lamnet.training.prepared import Photo

MANIFEST = "manifest.csv"  # has the licences
_BESIDE = "lies in a folder of LR, and its HR is among the photographs too; --lr takes such pairs"


def found(hr_dir: Path, lr_dir: Path | None, scale: int) -> tuple[list[Photo], Given | None]:
    """List the photographs, with LR that is given; where none is, pictures among them that are LR have a reason to be skipped."""
    sources = _sources(hr_dir, lr_dir)
    if lr_dir is None:
        names = [photo.name for photo in sources]
        reasons = {**_results_beside(names), **dict.fromkeys(lr_beside(names), _BESIDE)}
        return [replace(photo, reason=photo.reason or reasons.get(photo.name)) for photo in sources], None
    lr = {picture.name: picture for picture in _sources(lr_dir, hr_dir)}
    lengths = {name: picture.bytes for name, picture in lr.items()}
    given = Given.find(lr_dir, scale, [photo.name for photo in sources], lengths)
    for place, photo in enumerate(sources):
        if (pair := given.pairs.get(photo.name)) is not None:
            sources[place] = replace(photo, modified=photo.modified + lr[pair.lr].modified)
    return sources, given


def other_files(folder: Path, apart: Sequence[Path] = ()) -> OtherFiles:
    """Count what `prepare` does not read in a folder and below it: files that are by their names no pictures, and links to folders.

    Not counted are hidden files, the table of licences, and what lies in the folders `apart`.
    """
    others = OtherFiles()
    for path in sorted(_files(folder, apart, [])):
        if path.is_dir():
            others.add(path.name, "links to folders")
        elif path.suffix.lower() not in formats.SUFFIXES and path != folder / MANIFEST:
            others.add(path.name)
    return others


def licences(manifest: Path) -> Mapping[str, str] | None:
    """Read licences by file name; None without a manifest. Raises BadDataError where it is no such table, or has two for one file."""
    if not manifest.is_file():
        return None
    try:
        table = csv.DictReader(io.StringIO(read_text(manifest), newline=""))
        rows, columns = list(table), table.fieldnames or []
    except (OSError, ValueError, csv.Error) as error:
        raise BadDataError(f"{manifest}: expected a table of licences, found {error}") from error
    if not {"file", "licence"} <= set(columns):
        found = ", ".join(columns) or "none"
        raise BadDataError(f"{manifest}: expected columns file and licence, with commas between, found {found}")
    found = dict[str, str]()
    for row in rows:
        name, licence = row["file"], row["licence"]
        if name and licence and found.setdefault(name, licence) != licence:
            raise BadDataError(f"{manifest}: expected one licence for {name}, found {found[name]} and {licence}")
    return found


def _results_beside(names: Sequence[str]) -> dict[str, str]:
    """Find the pictures that are by their names our results of others beside them, and why each is no photograph."""
    stems = {name: str(PurePosixPath(name).with_suffix("")) for name in names}
    originals = {stem: name for name, stem in stems.items()}
    marked = {name: without for name, stem in stems.items() if (without := formats.without_mark(stem)) is not None}
    return {
        name: f"is by its name the result of {originals[stem]}" for name, stem in marked.items() if stem in originals
    }


def _sources(folder: Path, apart: Path | None) -> list[Photo]:
    """List the pictures in a folder and below it, without those in another folder, sorted by name, with the lengths and times of their files.

    A folder that cannot be read stands among them, with its reason to be skipped.
    """
    unread: list[OSError] = []
    found = [
        _source(path, path.relative_to(folder).as_posix())
        for path in _files(folder, () if apart is None else (apart,), unread)
        if path.suffix.lower() in formats.SUFFIXES and not path.is_dir()
    ]
    for error in unread:
        name = Path(error.filename).relative_to(folder).as_posix()
        found.append(Photo(name, reason=f"cannot be read: {error.strerror}"))
    return sorted(found, key=lambda photo: photo.name)


def _files(folder: Path, apart: Sequence[Path], unread: list[OSError]) -> Iterator[Path]:
    """Yield the files in a folder and below it, without hidden ones and those in others; links to folders stand among them."""
    for place, folders, names in os.walk(folder, onerror=unread.append):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not any(Path(place, name).samefile(other) for other in apart)
        ]
        linked = [name for name in folders if Path(place, name).is_symlink()]
        yield from (Path(place, name) for name in (*names, *linked) if not name.startswith("."))


def _source(path: Path, name: str) -> Photo:
    try:
        facts = path.stat()
    except OSError:  # a link that leads nowhere
        return Photo(name, modified=(0,))
    return Photo(name, bytes=facts.st_size, modified=(facts.st_mtime_ns // 1000,))
