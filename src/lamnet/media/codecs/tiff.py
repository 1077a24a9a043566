"""EXIF and pages of TIFF files, which libvips does not see to: directories are read, and written anew at a file's end."""

from __future__ import annotations

import io
import shutil
import struct
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np

# What an EXIF directory and a TIFF's say of the picture itself: title, camera, software, date, author, rating, copyright.
_DESCRIPTIVE = frozenset(
    {269, 270, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095}
)
_EXIF, _GPS, _INTEROP = 34665, 34853, 40965  # fields that point to directories
_SUBFILE, _WIDTH, _HEIGHT = 254, 256, 257
_EXIF_WIDTH, _EXIF_HEIGHT = 40962, 40963
_OFFSETS = (273, 324)  # where strips and tiles lie
_IPTC = 33723
Space = Literal["CIELab", "ICCLab", "YCbCr", "white at 0"]
_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 258, 259, 262, 274
_WHITE_AT_0, _RGB, _YCBCR = 0, 2, 6
_LABS: dict[int | None, Space] = {8: "CIELab", 9: "ICCLab"}
_JPEGS = (6, 7)  # compressions whose decoders make RGB of YCbCr
_LONG, _UNDEFINED, _LONG8 = 4, 7, 16
_ITEM = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_UNSIGNED = {1: "B", 2: "H", 4: "L"}
_PAIRS = (5, 10)  # rationals: two items each
_MOST = 2**26  # bytes of a directory's fields: more is no description


@dataclass(frozen=True)
class Field:
    """A field's type and its little-endian bytes."""

    kind: int
    data: bytes


class Directory(dict[int, "Field | Directory"]):
    """Fields by tag; those that point to a directory hold it."""


@dataclass(frozen=True)
class _Layout:
    """A TIFF's byte order, "<" or ">", and whether it is a BigTIFF."""

    order: str
    big: bool

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def field(self) -> struct.Struct:
        return struct.Struct(self.order + ("HHQ8s" if self.big else "HHL4s"))

    @property
    def offset(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "L"))

    @property
    def start(self) -> int:
        """Where the header says where the first directory is."""
        return 8 if self.big else 4


@dataclass(frozen=True)
class Page:
    """What a page says of itself: EXIF, as a little TIFF of its own, whether it is another one in a smaller size, and turned."""

    exif: bytes | None = None
    reduced: bool = False
    oriented: bool = False


def pages_of(path: Path, count: int) -> list[Page]:
    """The first pages of a TIFF; of those that are broken nothing is known."""
    found: list[Page] = []
    with path.open("rb") as file:
        try:
            layout = _layout_of(file)
            at = layout.start
            for _ in range(count):
                directory, at = _read(file, layout, _follow(file, layout, at), _DESCRIPTIVE | {_SUBFILE, _ORIENTATION})
                subfile = directory.pop(_SUBFILE, None)
                reduced = isinstance(subfile, Field) and bool(subfile.data[0] & 1)
                oriented = directory.pop(_ORIENTATION, None) is not None
                found.append(Page(_little_tiff(directory) if directory else None, reduced, oriented))
        except (struct.error, KeyError):
            pass
    return found + [Page()] * (count - len(found))


@dataclass(frozen=True)
class Mended:
    """A TIFF that says what libvips can read, None if the file does; in what its page's numbers are, where not what libvips takes them for."""

    data: bytes | None
    space: Space | None


def mended(path: Path, page: int) -> Mended:
    """A TIFF with orientations that there are, and its page, if in 8 or 16 bits of Lab or in plain YCbCr, saying RGB."""
    with path.open("rb") as file:
        try:
            layout = _layout_of(file)
        except (struct.error, KeyError):
            return Mended(None, None)
        changes, space = _to_mend(file, layout, page)
        if not changes:
            return Mended(None, space)
        file.seek(0)
        data = bytearray(file.read())
    for place, value in changes.items():
        _, kind, _, _ = layout.field.unpack_from(data, place)
        item = struct.Struct(layout.order + _UNSIGNED[_ITEM[kind]])
        item.pack_into(data, place + layout.field.size - layout.offset.size, value)
    return Mended(bytes(data), space)


def _to_mend(file: IO[bytes], layout: _Layout, page: int) -> tuple[dict[int, int], Space | None]:
    """Numbers by the places of their entries, and `Mended.space`."""
    changes: dict[int, int] = {}
    space: Space | None = None
    at, seen = layout.start, set[int]()
    with suppress(struct.error):
        while (start := _follow(file, layout, at)) and start not in seen:
            directory, at = _read(file, layout, start, {_BITS, _PHOTOMETRIC, _ORIENTATION, _COMPRESSION})
            said, bits, turn, packed = (
                _number(directory, tag) for tag in (_PHOTOMETRIC, _BITS, _ORIENTATION, _COMPRESSION)
            )
            if len(seen) == page:
                if said in _LABS and bits in (8, 16):
                    space = _LABS[said]
                elif said == _YCBCR and packed not in _JPEGS:
                    space = "YCbCr"
                elif said == _WHITE_AT_0 and bits in (32, 64):
                    space = "white at 0"
                if space and space != "white at 0":
                    changes[_place(file, layout, start, _PHOTOMETRIC)] = _RGB
            if turn is not None and turn not in range(1, 9):
                changes[_place(file, layout, start, _ORIENTATION)] = 1
            seen.add(start)
    return changes, space


def _number(directory: Directory, tag: int) -> int | None:
    """A field's first number, where it is one that a page's description can be."""
    field = directory.get(tag)
    if not isinstance(field, Field) or _ITEM[field.kind] not in _UNSIGNED:
        return None
    return int.from_bytes(field.data[: _ITEM[field.kind]], "little")


def _place(file: IO[bytes], layout: _Layout, start: int, wanted: int) -> int:
    """Where in a file a directory's entry for a tag, which it has, is."""
    _go(file, start)
    (count,) = _unpack(file, layout.count)
    tags = (_unpack(file, layout.field)[0] for _ in range(count))
    return start + layout.count.size + next(i for i, tag in enumerate(tags) if tag == wanted) * layout.field.size


def add_page(path: Path, page: Path, exif: bytes | None, iptc: bytes | None = None) -> None:
    """Put the only page of a TIFF behind those of another of the same byte order and kind, with EXIF as in `Page`, and IPTC.

    `page` may be `path` itself: then its page gets the EXIF.
    """
    with path.open("r+b") as file:
        layout = _layout_of(file)
        base = 0
        if page != path:
            base = _to_end(file)
            with page.open("rb") as other:
                shutil.copyfileobj(other, file, 2**20)
        directory, _ = _read(file, layout, base + _follow(file, layout, base + layout.start), None, base)
        for tag in _OFFSETS:
            if isinstance(field := directory.get(tag), Field):
                directory[tag] = _moved(field, base, layout.big)
        directory.update(_true_for(directory, exif) if exif else {})
        if iptc:
            directory[_IPTC] = Field(_UNDEFINED, iptc)
        last = layout.start
        while base and (at := _follow(file, layout, last)):
            _go(file, at)
            (count,) = _unpack(file, layout.count)
            last = at + layout.count.size + count * layout.field.size
        at = _write(file, layout, directory)
        file.seek(last)
        file.write(layout.offset.pack(at))


def _true_for(page: Directory, exif: bytes) -> Directory:
    """The EXIF that belongs to a page, stating its size."""
    file = io.BytesIO(exif.removeprefix(b"Exif\0\0"))
    try:
        layout = _layout_of(file)
        directory, _ = _read(file, layout, _follow(file, layout, layout.start), _DESCRIPTIVE)
    except (struct.error, KeyError):
        return Directory()
    details = directory.get(_EXIF)
    if isinstance(details, Directory):
        for own, tag in ((_EXIF_WIDTH, _WIDTH), (_EXIF_HEIGHT, _HEIGHT)):
            if own in details:
                details[own] = page[tag]
    return directory


def _little_tiff(directory: Directory) -> bytes:
    file = io.BytesIO(b"II*\0\0\0\0\0")
    layout = _Layout("<", big=False)
    at = _write(file, layout, directory)
    file.seek(layout.start)
    file.write(layout.offset.pack(at))
    return file.getvalue()


def _layout_of(file: IO[bytes]) -> _Layout:
    file.seek(0)
    start = file.read(4)
    order = {b"II": "<", b"MM": ">"}[start[:2]]
    return _Layout(order, big=struct.unpack(order + "H", start[2:]) == (43,))


def _go(file: IO[bytes], at: int) -> None:
    if at >= 2**63:
        raise struct.error("beyond the end of any file")
    file.seek(at)


def _follow(file: IO[bytes], layout: _Layout, at: int) -> int:
    _go(file, at)
    return _unpack(file, layout.offset)[0]


def _unpack(file: IO[bytes], layout: struct.Struct) -> tuple[int, ...]:
    return layout.unpack(file.read(layout.size))


def _read(
    file: IO[bytes],
    layout: _Layout,
    at: int,
    wanted: Set[int] | None,
    base: int = 0,
    pointers: Set[int] = frozenset({_EXIF, _GPS}),
) -> tuple[Directory, int]:
    """A directory with the wanted fields, or all but pointers, and the place that says where the next one is.

    Raises struct.error where the file ends too early. Offsets count from `base`.
    """
    _go(file, at)
    (count,) = _unpack(file, layout.count)
    table = file.read(min(count, 2**16) * layout.field.size)
    directory, left = Directory(), _MOST
    for tag, kind, number, inline in layout.field.iter_unpack(table):
        if tag in pointers and kind in _ITEM:
            inner = base + layout.offset.unpack(inline)[0]
            below = frozenset({_INTEROP}) if tag == _EXIF else frozenset[int]()
            with suppress(struct.error):  # a broken one is left out
                directory[tag] = _read(file, layout, inner, None, base, below)[0]
        elif kind in _ITEM and (wanted is None or tag in wanted):
            size = number * _ITEM[kind] * (2 if kind in _PAIRS else 1)
            if size > len(inline):
                _go(file, base + layout.offset.unpack(inline)[0])
            data = inline[:size] if size <= len(inline) else file.read(min(size, left))
            if len(data) == size:
                left -= size
                directory[tag] = Field(kind, _swapped(data, kind, layout))
    return directory, at + layout.count.size + count * layout.field.size


def _write(file: IO[bytes], layout: _Layout, directory: Directory) -> int:
    """Write a directory at the end of a file; where it is."""
    fields: list[bytes] = []
    for tag, field in sorted(directory.items()):
        if isinstance(field, Directory):
            at = _write(file, layout, field)
            field = Field(_LONG8 if layout.big else _LONG, at.to_bytes(layout.offset.size, "little"))
        data = _swapped(field.data, field.kind, layout)
        number = len(data) // (_ITEM[field.kind] * (2 if field.kind in _PAIRS else 1))
        if len(data) > layout.offset.size:
            at = _to_end(file)
            file.write(data)
            data = layout.offset.pack(at)
        fields.append(layout.field.pack(tag, field.kind, number, data))
    at = _to_end(file)
    file.write(layout.count.pack(len(fields)) + b"".join(fields) + layout.offset.pack(0))
    return at


def _to_end(file: IO[bytes]) -> int:
    """The end of a file, made even as TIFF wants it."""
    end = file.seek(0, io.SEEK_END)
    return end + file.write(b"\0" * (end % 2))


def _moved(field: Field, by: int, big: bool) -> Field:
    offsets = np.frombuffer(field.data, f"<u{_ITEM[field.kind]}").astype("<u8" if big else "<u4") + by
    return Field(_LONG8 if big else _LONG, offsets.astype("<u8" if big else "<u4").tobytes())


def _swapped(data: bytes, kind: int, layout: _Layout) -> bytes:
    if layout.order == "<" or _ITEM[kind] == 1:
        return data
    return np.frombuffer(data, f"u{_ITEM[kind]}").byteswap().tobytes()
