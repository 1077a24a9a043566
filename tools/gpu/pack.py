"""The photographs of a prepared set in one file, the most instructive ones that fit, and back into a prepared set.

A pack is 8 bytes with the length of a header, the header in JSON, and the photographs one after the other as `codec` has them.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu import codec
from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.base.files import appearing, write_text
from lamnet.evaluation.metrics import to_y
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.training.journal import Journal
from lamnet.training.prepared import Photo, PreparedSet

FORMAT = "lamnet photographs 1"
HARDEST = 0.02  # share of photographs that are left out as noise and moire
HARDER = 0.6  # share whose photographs are drawn evenly, before the flat ones follow
_AT_ONCE = 32

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Entry:
    """A photograph of a pack: its HR size, the length of its bytes, and whether it is for watching alone."""

    name: str
    height: int
    width: int
    bytes: int
    licence: str = ""
    watched: bool = False


@dataclass(frozen=True)
class Pack:
    """A pack on disk.

    Attributes:
        start: where the bytes of the first entry begin.
        fingerprint: the number of photographs to train on, and a hash of the whole file.
    """

    path: Path
    entries: tuple[Entry, ...]
    start: int
    fingerprint: str

    @classmethod
    def open(cls, path: Path) -> Pack:
        """Read the header. Raises BadDataError where it is no whole pack."""
        try:
            content = path.read_bytes()
            end = 8 + int.from_bytes(content[:8], "little")
            header: Any = json.loads(content[8:end])
            entries = tuple(Entry(**entry) for entry in header["photographs"])
            if header["format"] != FORMAT or len(content) != end + sum(one.bytes for one in entries):
                raise ValueError("one of another format or length")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadDataError(
                f"{path}: expected a pack of photographs, found {error}; `make gpu-pack` makes one"
            ) from error
        count = sum(not one.watched for one in entries)
        return cls(path, entries, end, f"{count} ({hashlib.sha256(content).hexdigest()[:12]})")

    def photographs(self, watched: bool) -> Iterator[tuple[Entry, Pixels]]:
        """Yield the photographs to train on, or those to watch, decoded on all cores."""
        begins = np.cumsum([self.start, *(one.bytes for one in self.entries)])
        wanted = [(one, int(at)) for one, at in zip(self.entries, begins, strict=False) if one.watched == watched]
        content = self.path.read_bytes()

        def decoded(entry: Entry, at: int) -> tuple[Entry, Pixels]:
            return entry, codec.decode(content[at : at + entry.bytes], entry.height, entry.width)

        with ThreadPoolExecutor() as pool:
            for first in range(0, len(wanted), _AT_ONCE):
                yield from pool.map(lambda pair: decoded(*pair), wanted[first : first + _AT_ONCE])


def write(target: Path, data: Path, watched: Path | None, limit: int, scale: int) -> Pack:
    """Pack the most instructive photographs of a prepared set into a file of at most `limit` bytes.

    The set's photographs are told apart by how far bicubic upscaling misses them (mean absolute error of luma): the hardest
    HARDEST are left out, the others of the HARDER share drawn evenly, for the hardest alone are no better lesson, and where room is
    left the flat ones follow. All of `watched`, another prepared set, are in the pack, to be watched.
    """
    chosen: list[tuple[Entry, bytes]] = []
    room = limit - 8 - len(json.dumps({"format": FORMAT, "photographs": []}))
    for source, is_watched in ((watched, True), (data, False)):
        if source is None:
            continue
        prepared = PreparedSet.open(source)
        if scale not in prepared.scales:
            raise BadDataError(f"{source}: expected LR of scale {scale}, found scales {list(prepared.scales)}")
        places = range(len(prepared.photos)) if is_watched else _ranked(prepared, scale)
        for entry, coded in _coded(prepared, places, is_watched):
            needed = len(coded) + len(json.dumps(asdict(entry))) + 2
            if needed > room:
                break
            room -= needed
            chosen.append((entry, coded))
    if all(entry.watched for entry, _ in chosen):
        raise BadArgumentError(f"megabytes: expected room for a photograph of {data}, got {limit / 1e6:g}")
    header = json.dumps({"format": FORMAT, "photographs": [asdict(entry) for entry, _ in chosen]}).encode()
    with appearing(target, BadDataError) as partial, partial.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.writelines(coded for _, coded in chosen)
    return Pack.open(target)


def unpack(pack: Pack, folder: Path, scales: Sequence[int]) -> PreparedSet:
    """Make the prepared set of a pack, LR by MATLAB's bicubic; one that is there and whole is taken."""
    mark, step = folder / "pack.txt", math.lcm(*scales)
    made = f"{pack.fingerprint} {sorted(scales)}"
    if mark.exists() and mark.read_text() == made:
        return PreparedSet.open(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sources = [Photo(one.name, bytes=one.bytes) for one in pack.entries if not one.watched]

    def every(one: tuple[Entry, Pixels]) -> tuple[Entry, dict[int, Pixels]]:
        hr = crop_to_multiple(one[1], step)
        return one[0], {1: hr, **{scale: reduced(hr, scale) for scale in scales}}

    with Journal(folder, sorted(scales), sources) as journal, ThreadPoolExecutor() as pool:
        for entry, pixels in pool.map(every, pack.photographs(watched=False)):
            height, width = pixels[1].shape[:2]
            photo = Photo(entry.name, height, width, licence=entry.licence, bytes=entry.bytes)
            journal.add(photo, pixels)
        journal.write_index()
    write_text(mark, made)
    return PreparedSet.open(folder)


def reduced(hr: Pixels, scale: int) -> Pixels:
    """LR of HR whose sides are multiples of the scale, as a prepared set has it."""
    return imresize(hr, Fraction(1, scale), "mirror")


def _ranked(prepared: PreparedSet, scale: int) -> list[int]:
    """The places of photographs in the order in which they are taken."""
    with ThreadPoolExecutor() as pool:
        errors = list(pool.map(lambda place: _error(prepared, place, scale), range(len(prepared.photos))))
    order = np.argsort(errors, kind="stable")[::-1]
    first, last = int(HARDEST * len(order)), round(HARDER * len(order))
    order[first:last] = np.random.default_rng(0).permutation(order[first:last])
    return [int(place) for place in order[first:]]


def _error(prepared: PreparedSet, place: int, scale: int) -> float:
    """Measure how far bicubic upscaling is from HR: the mean absolute error of luma, 8-bit levels."""
    hr, lr = _pixels(prepared, place, 1), _pixels(prepared, place, scale)
    return float(np.abs(to_y(hr) - to_y(imresize(lr, scale))).mean())


def _pixels(prepared: PreparedSet, place: int, scale: int) -> Pixels:
    first, last = (int(at) for at in prepared.offsets(scale)[place : place + 2])
    photo = prepared.photos[place]
    flat = np.memmap(prepared.file(scale), np.uint8, "r")[first:last]
    return flat.reshape(photo.height // scale, photo.width // scale, 3)


def _coded(prepared: PreparedSet, places: Sequence[int], watched: bool) -> Iterator[tuple[Entry, bytes]]:
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(places), _AT_ONCE):
            some = places[first : first + _AT_ONCE]
            for place, coded in zip(
                some, pool.map(lambda one: codec.encode(_pixels(prepared, one, 1)), some), strict=True
            ):
                photo = prepared.photos[place]
                yield Entry(photo.name, photo.height, photo.width, len(coded), photo.licence, watched), coded
