"""A prepared set in the making: its pixel files, a journal of the photographs in them, and at the end its index."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lamnet.base import records
from lamnet.base.errors import BadDataError
from lamnet.base.files import naming_errors, read_text, write_text
from lamnet.training.given import Given
from lamnet.training.prepared import BICUBIC, INDEX, Photo, PreparedSet, hash_of, is_possible

JOURNAL = "journal.jsonl"
_SYNCED_EVERY_S = 1.0


class Journal:
    """The photographs written so far, in order; whole ones of an earlier call are kept, the others are cut off.

    Pixels reach the disk before their lines in the journal, and a line has a hash of its pixels. So photographs that a
    killed call, a power cut or a copy has left incomplete are found and made again. A killed call loses a second's work.

    Args:
        folder: of the set; it exists, and no other process works in it.
        scales: of its LR.
        sources: every photograph that the set shall hold.
        given: LR that comes with the photographs; None where it is made from them.

    Raises BadDataError when the folder holds part of another set, or cannot be written.
    """

    def __init__(
        self, folder: Path, scales: Sequence[int], sources: Sequence[Photo], given: Given | None = None
    ) -> None:
        self._folder, self._scales, self._given = folder, list(scales), given
        path = folder / JOURNAL
        listed = [[photo.name, photo.bytes] for photo in sources]
        settings = {"scales": self._scales, "sources": listed, **(given.facts if given else {})}
        self.photos = _whole(folder, self._scales, _earlier_photos(path, settings, sources))
        lines = "".join(json.dumps(entry) + "\n" for entry in [settings, *map(asdict, self.photos)])
        write_text(path, lines, durable=True)
        with naming_errors(folder / INDEX, "cannot be replaced", BadDataError):
            (folder / INDEX).unlink(missing_ok=True)  # a finished set that has lost pixels
        written = PreparedSet(folder, tuple(scales), self.usable, ())
        self._pending: list[str] = []
        self._synced_at = time.monotonic()
        with naming_errors(path, "cannot be written", BadDataError):
            self._lines = path.open("a")
        self._files = {
            scale: _PixelFile(written.file(scale), int(written.offsets(scale)[-1])) for scale in (1, *scales)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._sync()
        except BadDataError:
            if kind is None:
                raise
        finally:
            self._close()

    @property
    def usable(self) -> tuple[Photo, ...]:
        """The photographs whose pixels are in the files."""
        return tuple(photo for photo in self.photos if photo.reason is None)

    @property
    def skipped(self) -> tuple[Photo, ...]:
        """The photographs that were skipped, with their reason."""
        return tuple(photo for photo in self.photos if photo.reason is not None)

    def add(self, photo: Photo, pixels: Mapping[int, NDArray[np.uint8]]) -> None:
        """Write a photograph's pixels, (H, W, 3) by scale with HR under 1, then its line.

        Raises BadDataError, which names the file, where the disk is full.
        """
        parts = {scale: np.ascontiguousarray(part).reshape(-1).data for scale, part in sorted(pixels.items())}
        for scale, part in parts.items():
            self._files[scale].append(part)
        if parts and not photo.pixels:
            photo = replace(photo, pixels=hash_of(parts.values()) or "")
        self._pending.append(json.dumps(asdict(photo)) + "\n")
        self.photos.append(photo)
        if time.monotonic() - self._synced_at >= _SYNCED_EVERY_S:
            self._sync()

    def write_index(self) -> None:
        """Finish the set: write its index and remove the journal."""
        index = {
            "scales": self._scales,
            "lr": self._given.origin if self._given else BICUBIC,
            **({"unpaired": self._given.unpaired, **self._given.facts} if self._given else {}),
            "photos": [asdict(photo) for photo in self.usable],
            "skipped": [asdict(photo) for photo in self.skipped],
        }
        self._sync()
        self._close()
        write_text(self._folder / INDEX, json.dumps(index, indent=1), durable=True)
        with naming_errors(self._folder / JOURNAL, "cannot be removed", BadDataError):
            (self._folder / JOURNAL).unlink()

    def remove(self) -> None:
        """Remove the files, where no photograph is worth going on with."""
        self._pending.clear()
        self._close()
        for path in (self._folder / JOURNAL, *(file.path for file in self._files.values())):
            with suppress(OSError):  # they stand in nobody's way
                path.unlink()

    def _sync(self) -> None:
        """Bring pixels to the disk, then their lines in the journal."""
        if not self._pending:
            return
        for file in self._files.values():
            file.sync()
        with naming_errors(self._folder / JOURNAL, "cannot be written", BadDataError):
            self._lines.write("".join(self._pending))
            self._lines.flush()
            os.fsync(self._lines.fileno())
        self._pending.clear()
        self._synced_at = time.monotonic()

    def _close(self) -> None:
        for file in (*self._files.values(), self._lines):
            with suppress(OSError):  # a failed write has been reported
                file.close()


def relicense(finished: PreparedSet, licences: Mapping[str, str] | None) -> PreparedSet:
    """Bring the licences in a finished set's index up to a table by name, if there is one; a photograph that it lacks has none."""
    if licences is None:
        return finished
    path = finished.folder / INDEX
    photos = tuple(replace(photo, licence=licences.get(photo.name, "")) for photo in finished.photos)
    if photos == finished.photos:
        return finished
    index = records.mapping(records.parsed(read_text(path)), "index")
    write_text(path, json.dumps({**index, "photos": [asdict(photo) for photo in photos]}, indent=1), durable=True)
    return replace(finished, photos=photos)


class _PixelFile:
    """A file of pixels that is cut to a length and then grows; errors name the file."""

    def __init__(self, path: Path, length: int) -> None:
        self.path = path
        with naming_errors(path, "cannot be written", BadDataError):
            self._file = path.open("ab", buffering=0)
            self._file.truncate(length)

    def append(self, part: memoryview) -> None:
        with naming_errors(self.path, "cannot be written", BadDataError):
            while part:
                part = part[self._file.write(part) :]

    def sync(self) -> None:
        with naming_errors(self.path, "cannot be written", BadDataError):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _earlier_photos(path: Path, settings: Mapping[str, Any], sources: Sequence[Photo]) -> list[Photo]:
    """Read the photographs of these sources from an unfinished journal, or from the index of a set to be repaired.

    They end at the first line of another source.
    """
    if not path.exists() and (path.parent / INDEX).exists():
        recorded = PreparedSet.recorded(path.parent)
        known = {photo.name: photo for photo in (*recorded.photos, *recorded.skipped)}
        return _fitting([known.get(source.name, source) for source in sources], settings, sources)
    try:
        text = read_text(path, errors="replace") if path.exists() else ""
        first, *lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")] or [""]
        found: Any = records.parsed(first) if first else settings
    except (OSError, ValueError) as error:
        raise BadDataError(
            f"{path}: expected the journal of a set under way, found {error}; remove it to begin anew"
        ) from error
    photos: list[Photo] = []
    with suppress(ValueError):
        for number, line in enumerate(lines, 2):
            photos.append(records.record(Photo, records.parsed(line), f"line {number}"))
    if found != settings:
        if any(photo.reason is None for photo in photos):
            raise BadDataError(
                f"{path.parent}: holds part of a set of other photographs, scales or LR; use another folder"
            )
        return []
    return _fitting(photos, settings, sources)


def _fitting(photos: Sequence[Photo], settings: Mapping[str, Any], sources: Sequence[Photo]) -> list[Photo]:
    """Take the photographs until the first one that is not the source in its place, or has no hash."""
    fitting: list[Photo] = []
    for photo, source in zip(photos, sources, strict=False):
        same = (photo.name, photo.bytes) == (source.name, source.bytes) and photo.modified in ((), source.modified)
        there = bool(photo.pixels) and is_possible(photo, settings["scales"])
        absent = not (photo.pixels or photo.height or photo.width)
        if not same or not (there if photo.reason is None else absent):
            break
        fitting.append(replace(photo, modified=source.modified))
    return fitting


def _whole(folder: Path, scales: Sequence[int], photos: Sequence[Photo]) -> list[Photo]:
    """Take the photographs until the first one whose pixels are not whole."""
    usable = tuple(photo for photo in photos if photo.reason is None)
    whole = sum(1 for _ in PreparedSet(folder, tuple(scales), usable, ()).whole_photos())
    if whole == len(usable):
        return list(photos)
    return list(photos[: photos.index(usable[whole])])
