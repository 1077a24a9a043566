"""Reading of a prepared set: its index, photographs and pixel files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lamnet.base import records
from lamnet.base.errors import BadDataError
from lamnet.base.files import read_text

INDEX = "index.json"
_LONGEST_SIDE = 2**24
_BLOCK = 2**24  # bytes read at a time
_NAMED = 5  # photographs in a line
BICUBIC = "bicubic (MATLAB's imresize, mirrored borders)"  # the origin of LR that is made from HR
SCALES = range(2, 9)  # that a set may have LR of
GIVEN = "given: "  # begins the origin of other LR, its folder follows

_Entry = TypeVar("_Entry")


@dataclass(frozen=True)
class Photo:
    """A photograph of a set.

    Attributes:
        name: its path below the folder of the photographs.
        height, width: of its HR, pixels; 0 when it was skipped.
        reason: why it was skipped; None when its pixels are there.
        licence: from a manifest; "" without one.
        bytes: length of its file; 0 where an older set does not record it.
        pixels: a hash of the pixels of its HR and of all its LR; "" where an older set does not record it.
        note: a remark on a photograph that was not skipped; "" without one.
        modified: when its file and that of its given LR were last written to, microseconds since 1970; () where an older
            set does not record it.
    """

    name: str
    height: int = 0
    width: int = 0
    reason: str | None = None
    licence: str = ""
    bytes: int = 0
    pixels: str = ""
    note: str = ""
    modified: tuple[int, ...] = ()


@dataclass(frozen=True)
class GivenPair:
    """A photograph and the LR picture that was given for it.

    Attributes:
        hr, lr: their paths below the folders of HR and of LR.
        bytes: length of the file of LR; 0 where it is a link that leads nowhere.
    """

    hr: str
    lr: str
    bytes: int


@dataclass(frozen=True)
class PreparedSet:
    """The index of a prepared set.

    Attributes:
        photos: those with pixels, in the order of the pixel files.
        lr: the origin of LR, BICUBIC or "given: FOLDER" as it was typed.
        unpaired: names of given LR pictures that have no HR.
        lr_folder: the whole path of the folder of given LR; "" where an older set does not record it.
        pairs: the given LR pictures; None where an older set does not record them.
    """

    folder: Path
    scales: tuple[int, ...]
    photos: tuple[Photo, ...]
    skipped: tuple[Photo, ...]
    lr: str = BICUBIC
    unpaired: tuple[str, ...] = ()
    lr_folder: str = ""
    pairs: tuple[GivenPair, ...] | None = None

    @classmethod
    def open(cls, folder: Path) -> PreparedSet:
        """Read the index of a finished set.

        Raises BadDataError where there is none, or a pixel file has another size than the index says.
        """
        opened = cls.recorded(folder)
        for scale in (1, *opened.scales):
            _check_size(opened.file(scale), int(opened.offsets(scale)[-1]))
        return opened

    @classmethod
    def recorded(cls, folder: Path) -> PreparedSet:
        """Read the index of a finished set and not its pixels. Raises BadDataError where there is none."""
        path = folder / INDEX
        if not path.is_file():
            raise BadDataError(f"{folder}: expected a prepared set, found no {INDEX}; `lamnet prepare` makes one")
        try:
            return _of_index(folder, records.mapping(records.parsed(read_text(path)), "index"))
        except (OSError, ValueError) as error:
            raise BadDataError(f"{path}: expected the index of a prepared set, found {error}") from error

    def whole_photos(self) -> Iterator[Photo]:
        """Yield photographs until the first one whose pixels in the files do not match its hash.

        Of a photograph without a hash only the length is known.
        """
        with ExitStack() as stack:
            try:
                files = {s: stack.enter_context(self.file(s).open("rb")) for s in (1, *self.scales)}
            except FileNotFoundError:
                return
            for photo in self.photos:
                hashed = hash_of(_parts(files, photo))
                if hashed is None or photo.pixels not in ("", hashed):
                    return
                yield photo

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

    def unused(self, side: int, reads_lr: bool) -> Iterator[str]:
        """Yield a line for each part of the set that a training leaves unused: given LR, photographs below a patch's `side`."""
        if self.lr != BICUBIC and not reads_lr:
            yield f"{self.folder}: its LR ({self.lr}) is not used, the recipe draws LR from HR"
        if small := [photo.name for photo in self.photos if min(photo.height, photo.width) < side]:
            more = f" and {len(small) - _NAMED} more" if len(small) > _NAMED else ""
            yield (
                f"{self.folder}: {len(small)} of {len(self.photos)} photographs are smaller than a patch of {side}x{side} "
                f"pixels and never drawn: {', '.join(small[:_NAMED])}{more}"
            )

    def file(self, scale: int) -> Path:
        """Name the pixel file at a scale; scale 1 is HR."""
        return self.folder / ("hr.u8" if scale == 1 else f"lr_x{scale}.u8")

    def offsets(self, scale: int) -> NDArray[np.int64]:
        """Compute the byte at which each picture starts in the pixel file, and at which the last one ends: (N + 1,)."""
        sizes = [3 * (photo.height // scale) * (photo.width // scale) for photo in self.photos]
        return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


def hash_of(parts: Iterable[bytes | memoryview | None]) -> str | None:
    """Hash a photograph's pixels: HR, then LR by rising scale. None where some are missing."""
    hashed = hashlib.sha256()
    for part in parts:
        if part is None:
            return None
        hashed.update(part)
    return hashed.hexdigest()[:16]


def is_possible(photo: Photo, scales: Iterable[int]) -> bool:
    """Tell whether a photograph's size is one that a set of these scales can hold."""
    sides = (photo.height, photo.width)
    return all(0 < side <= _LONGEST_SIDE and not any(side % scale for scale in scales) for side in sides)


def _of_index(folder: Path, index: Any) -> PreparedSet:
    """Make the set of an index. Raises ValueError where an entry is invalid."""
    scales = [records.whole(scale, "scales", 2, 8) for scale in records.items(index.get("scales"), "scales")]
    if not scales or len(set(scales)) < len(scales):
        raise ValueError(f"scales: expected different ones, found {scales}")
    photos, skipped = (_entries(Photo, index, key) for key in ("photos", "skipped"))
    for number, photo in enumerate(photos, 1):
        if photo.reason is not None or not is_possible(photo, scales):
            raise ValueError(f"photos {number}: expected sides that scales {scales} divide, found none")
    if not photos:
        raise ValueError("photos: expected at least one, found none")
    lr = records.text(index.get("lr", BICUBIC), "lr")
    unpaired = tuple(str(name) for name in records.items(index.get("unpaired", []), "unpaired"))
    lr_folder = str(index.get("lr_folder", ""))  # its bytes need not be UTF-8
    pairs = _entries(GivenPair, index, "pairs") if "pairs" in index else None
    return PreparedSet(folder, tuple(scales), photos, skipped, lr, unpaired, lr_folder, pairs)


def _entries(kind: type[_Entry], index: Any, key: str) -> tuple[_Entry, ...]:
    """Read a list of an index. Raises ValueError where an entry is invalid."""
    listed = enumerate(records.items(index.get(key), key), 1)
    return tuple(records.record(kind, entry, f"{key} {number}") for number, entry in listed)


def _parts(files: Mapping[int, IO[bytes]], photo: Photo) -> Iterator[bytes | None]:
    """Yield the pixels of the next photograph in pixel files, HR first, in blocks; None where a file ends before."""
    for scale, file in sorted(files.items()):
        left = 3 * (photo.height // scale) * (photo.width // scale)
        while left:
            block = file.read(min(left, _BLOCK))
            left -= len(block)
            yield block or None
            if not block:
                return


def _check_size(file: Path, expected: int) -> None:
    found = file.stat().st_size if file.is_file() else "no file"
    if found != expected:
        raise BadDataError(f"{file}: expected {expected} bytes, found {found}")
