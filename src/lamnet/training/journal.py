"""A prepared set under way: its pixel files, a journal of what is in them, and at the end its index."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadDataError
from lamnet.base.files import write_text
from lamnet.training.given import Given
from lamnet.training.prepared import BICUBIC, INDEX, Photo, PreparedSet

JOURNAL = "journal.jsonl"


class Journal:
    """The photographs written so far, in order; an earlier call's are kept, its half-written picture is cut off.

    Pixels go to disk before their line, so that an interrupted call loses at most a picture.

    Args:
        folder: of the set; it exists.
        scales: of its LR.
        sources: every photograph that the set is to hold.
        given: LR of others; None where it is made.

    Raises BadDataError when the folder holds part of another set, or cannot be written.
    """

    def __init__(
        self, folder: Path, scales: Sequence[int], sources: Sequence[Photo], given: Given | None = None
    ) -> None:
        self._folder, self._scales, self._given = folder, list(scales), given
        path = folder / JOURNAL
        listed = [[photo.name, photo.bytes] for photo in sources]
        settings = {"scales": self._scales, "sources": listed, **({"lr": given.facts} if given else {})}
        self.photos = _earlier_photos(path, settings)
        write_text(path, "".join(json.dumps(entry) + "\n" for entry in [settings, *map(asdict, self.photos)]))
        written = PreparedSet(folder, tuple(scales), self.usable, ())
        self._open = ExitStack()
        self._lines = self._open.enter_context(path.open("a"))
        self._files = {s: self._open.enter_context(written.file(s).open("ab")) for s in (1, *scales)}
        for scale, file in self._files.items():
            file.truncate(int(written.offsets(scale)[-1]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def usable(self) -> tuple[Photo, ...]:
        """The photographs whose pixels are there."""
        return tuple(photo for photo in self.photos if photo.reason is None)

    @property
    def skipped(self) -> tuple[Photo, ...]:
        """The photographs that have a reason instead of pixels."""
        return tuple(photo for photo in self.photos if photo.reason is not None)

    def add(self, photo: Photo, pixels: Mapping[int, NDArray[np.uint8]]) -> None:
        """Write a photograph's pixels, (H, W, 3) by scale with HR under 1, then its line."""
        for scale, part in pixels.items():
            self._files[scale].write(part.tobytes())
            self._files[scale].flush()
        self._lines.write(json.dumps(asdict(photo)) + "\n")
        self._lines.flush()
        self.photos.append(photo)

    def write_index(self) -> None:
        """Make the set whole: its index appears, the journal goes."""
        index = {
            "scales": self._scales,
            "lr": self._given.origin if self._given else BICUBIC,
            **({"unpaired": self._given.unpaired} if self._given else {}),
            "photos": [asdict(photo) for photo in self.usable],
            "skipped": [asdict(photo) for photo in self.skipped],
        }
        self._open.close()
        write_text(self._folder / INDEX, json.dumps(index, indent=1))
        (self._folder / JOURNAL).unlink()


def _earlier_photos(path: Path, settings: Mapping[str, Any]) -> list[Photo]:
    """What a journal that was cut off holds; a last line without its end does not count."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    whole: list[Any] = [json.loads(line) for line in lines if line.endswith("\n")]
    photos = [Photo(**entry) for entry in whole[1:]]
    if whole and whole[0] != settings:
        if any(photo.reason is None for photo in photos):
            raise BadDataError(
                f"{path.parent}: holds part of a set of other photographs, scales or LR; use another folder"
            )
        return []
    return photos
