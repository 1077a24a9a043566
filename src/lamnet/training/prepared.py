"""A prepared set on disk, read: its index, photographs and pixel files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadDataError

INDEX = "index.json"
BICUBIC = "bicubic (MATLAB's imresize, mirrored borders)"  # how LR came to be where nobody gave it


@dataclass(frozen=True)
class Photo:
    """A photograph of a set.

    Attributes:
        name: its path below the folder of the photographs.
        height, width: of its HR, pixels; 0 when it was skipped.
        reason: why it was skipped; None when its pixels are there.
        licence: as a manifest says; "" where none does.
        bytes: length of its file; 0 where an older set does not record it.
        pixels: a hash of the pixels of its HR and of all its LR; "" where an older set does not record it.
        note: what is remarkable about it though its pixels are there; "" for nothing.
    """

    name: str
    height: int = 0
    width: int = 0
    reason: str | None = None
    licence: str = ""
    bytes: int = 0
    pixels: str = ""
    note: str = ""


@dataclass(frozen=True)
class PreparedSet:
    """The index of a prepared set.

    Attributes:
        photos: those whose pixels are there, in the order of the pixel files.
        lr: how LR came to be, BICUBIC or "given: FOLDER".
        unpaired: names of given LR pictures that have no HR.
    """

    folder: Path
    scales: tuple[int, ...]
    photos: tuple[Photo, ...]
    skipped: tuple[Photo, ...]
    lr: str = BICUBIC
    unpaired: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: Path) -> PreparedSet:
        """Read the index of a finished set.

        Raises BadDataError where there is none, or a pixel file has another size than the index says.
        """
        path = folder / INDEX
        if not path.is_file():
            raise BadDataError(f"{folder}: expected a prepared set, found no {INDEX}; `lamnet prepare` makes one")
        try:
            index = json.loads(path.read_text())
            photos, skipped = (tuple(Photo(**entry) for entry in index[key]) for key in ("photos", "skipped"))
            lr, unpaired = index.get("lr", BICUBIC), tuple(index.get("unpaired", ()))
            opened = cls(folder, tuple(index["scales"]), photos, skipped, lr, unpaired)
        except (ValueError, KeyError, TypeError) as error:
            raise BadDataError(f"{path}: expected the index of a prepared set, found {error}") from error
        for scale in (1, *opened.scales):
            _check_size(opened.file(scale), int(opened.offsets(scale)[-1]))
        return opened

    @property
    def megapixels(self) -> float:
        """Millions of HR pixels in all photographs."""
        return sum(photo.height * photo.width for photo in self.photos) / 1e6

    @property
    def fingerprint(self) -> str:
        """The number of photographs and a hash of their names, sizes and pixels, which tell this set from another.

        Of a set that records no pixels, it is what it was before there were any.
        """
        facts = [[photo.name, photo.height, photo.width, photo.bytes] for photo in self.photos]
        hashes = [[photo.pixels] if photo.pixels else [] for photo in self.photos]
        listed = json.dumps([[*fact, *pixels] for fact, pixels in zip(facts, hashes, strict=True)])
        return f"{len(self.photos)} ({hashlib.sha256(listed.encode()).hexdigest()[:12]})"

    def file(self, scale: int) -> Path:
        """The pixel file at a scale; scale 1 is the HR."""
        return self.folder / ("hr.u8" if scale == 1 else f"lr_x{scale}.u8")

    def offsets(self, scale: int) -> NDArray[np.int64]:
        """The byte at which each picture starts in the pixel file, and at which the last one ends: (N + 1,)."""
        sizes = [3 * (photo.height // scale) * (photo.width // scale) for photo in self.photos]
        return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


def _check_size(file: Path, expected: int) -> None:
    found = file.stat().st_size if file.is_file() else "no file"
    if found != expected:
        raise BadDataError(f"{file}: expected {expected} bytes, found {found}")
