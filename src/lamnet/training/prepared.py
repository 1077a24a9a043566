"""A prepared set on disk: its index, photographs and pixel files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadDataError

INDEX, JOURNAL = "index.json", "journal.jsonl"


@dataclass(frozen=True)
class Photo:
    """A photograph of a set, named by its path below the set's folder; sizes are of its HR.

    `reason` says why it was skipped, None when its pixels are there; `bytes` is its file's length, 0 where not recorded.
    """

    name: str
    height: int = 0
    width: int = 0
    reason: str | None = None
    licence: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class PreparedSet:
    """The index of a prepared set; `photos` are those whose pixels are there, in file order."""

    folder: Path
    scales: tuple[int, ...]
    photos: tuple[Photo, ...]
    skipped: tuple[Photo, ...]

    @classmethod
    def open(cls, folder: Path) -> PreparedSet:
        """Read the index of a finished set; raises BadDataError where there is none, or files of another size."""
        path = folder / INDEX
        if not path.is_file():
            raise BadDataError(f"{folder}: expected a prepared set, found no {INDEX}; `lamnet prepare` makes one")
        try:
            index = json.loads(path.read_text())
            photos, skipped = (tuple(Photo(**entry) for entry in index[key]) for key in ("photos", "skipped"))
            opened = cls(folder, tuple(index["scales"]), photos, skipped)
        except (ValueError, KeyError, TypeError) as error:
            raise BadDataError(f"{path}: expected the index of a prepared set, found {error}") from error
        for scale in (1, *opened.scales):
            file, size = opened.file(scale), int(opened.offsets(scale)[-1])
            if not file.is_file() or file.stat().st_size != size:
                raise BadDataError(f"{file}: expected {size} bytes, found {found_size(file)}")
        return opened

    @property
    def megapixels(self) -> float:
        """Of all HR."""
        return sum(photo.height * photo.width for photo in self.photos) / 1e6

    @property
    def fingerprint(self) -> str:
        """What tells this set from another: how many photographs, and a hash of their names and sizes."""
        listed = json.dumps([[photo.name, photo.height, photo.width, photo.bytes] for photo in self.photos])
        return f"{len(self.photos)} ({hashlib.sha256(listed.encode()).hexdigest()[:12]})"

    def file(self, scale: int) -> Path:
        """The pixel file at a scale; scale 1 is the HR."""
        return self.folder / ("hr.u8" if scale == 1 else f"lr_x{scale}.u8")

    def offsets(self, scale: int) -> NDArray[np.int64]:
        """Where each picture starts in the pixel file, and where the last one ends: (N + 1,)."""
        sizes = [3 * (photo.height // scale) * (photo.width // scale) for photo in self.photos]
        return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


def found_size(file: Path) -> str:
    return f"{file.stat().st_size}" if file.is_file() else "no file"
