"""Directories of fields as TIFF, EXIF and the multi-picture format have them ("IFD"): read, and written at a file's end.

Everything is read from a file or an io.BytesIO. What breaks off or makes no sense raises BrokenError.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, NamedTuple

import numpy as np

EXIF, GPS = 34665, 34853  # fields that point to directories,
INTEROP = 40965  # this one in EXIF's
SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 3, 4, 5, 7, 16  # types of fields
ITEM = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes
WHOLE = (1, 3, 4, 13, 16, 18)  # types that are numbers without a sign
_PAIRS = (5, 10)  # rationals: two items each
_UNSIGNED = (1, 2, 4)  # bytes of items that a page's description can be
_LIMIT = 2**26  # bytes of a directory's fields: more is no description
_MOST_FIELDS = 2**16


class BrokenError(ValueError):
    """A directory that cannot be read."""


@dataclass(frozen=True)
class Layout:
    """A byte order, "<" or ">", and whether offsets have 64 bits, as in a BigTIFF."""

    order: str
    big: bool = False

    @classmethod
    def of(cls, file: IO[bytes]) -> Layout:
        """Return the layout that a header states."""
        file.seek(0)
        start = file.read(4)
        order = {b"II": "<", b"MM": ">"}.get(start[:2])
        if order is None or len(start) < 4:
            raise BrokenError("no header")
        return cls(order, struct.unpack(order + "H", start[2:]) == (43,))

    @property
    def count(self) -> struct.Struct:
        """The number of fields, in front of them."""
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def field(self) -> struct.Struct:
        """Tag, type, number of items, and the items or their offset."""
        return struct.Struct(self.order + ("HHQ8s" if self.big else "HHL4s"))

    @property
    def offset(self) -> struct.Struct:
        """A place in the file."""
        return struct.Struct(self.order + ("Q" if self.big else "L"))

    @property
    def start(self) -> int:
        """The place in the header that holds the first directory's offset."""
        return 8 if self.big else 4


class Entry(NamedTuple):
    """A field as it stands in a directory: `inline` are its items or their offset, `place` is where it stands."""

    tag: int
    kind: int
    number: int
    inline: bytes
    place: int


@dataclass(frozen=True)
class Field:
    """A field's type and its little-endian bytes."""

    kind: int
    data: bytes

    @property
    def first(self) -> int | None:
        """The first number, where it is one that a page's description can be."""
        size = ITEM[self.kind]
        return int.from_bytes(self.data[:size], "little") if size in _UNSIGNED else None


class Directory(dict[int, "Field | Directory"]):
    """Fields by tag; those that point to a directory hold it."""

    def number(self, tag: int) -> int | None:
        """Return a field's first number, None where there is none."""
        found = self.get(tag)
        return found.first if isinstance(found, Field) else None


def follow(file: IO[bytes], layout: Layout, place: int) -> int:
    """Return the offset that stands at a place."""
    return _unpack(file, layout.offset, place)[0]


def entries(file: IO[bytes], layout: Layout, at: int) -> tuple[list[Entry], int]:
    """Return the fields of a directory as they stand, and the place that says where the next directory is."""
    (count,) = _unpack(file, layout.count, at)
    table = file.read(min(count, _MOST_FIELDS) * layout.field.size)
    if len(table) < count * layout.field.size:
        raise BrokenError("a directory beyond the end")
    first, size = at + layout.count.size, layout.field.size
    found = [Entry._make((*fields, first + i * size)) for i, fields in enumerate(layout.field.iter_unpack(table))]
    return found, first + count * size


def chain(file: IO[bytes], layout: Layout) -> Iterator[int]:
    """Yield where the directories of a file are, one after the other; a chain that closes on itself ends there."""
    place, seen = layout.start, set[int]()
    while (at := follow(file, layout, place)) and at not in seen:
        yield at
        seen.add(at)
        place = entries(file, layout, at)[1]


def read(
    file: IO[bytes],
    layout: Layout,
    at: int,
    wanted: Set[int] | None = None,
    base: int = 0,
    pointers: Set[int] = frozenset({EXIF, GPS}),
) -> Directory:
    """Read a directory: the wanted fields, or all, and the directories that `pointers` point to, broken ones left out.

    Offsets count from `base`. At most 64 MiB are read.
    """
    directory, left = Directory(), _LIMIT
    for tag, kind, number, inline, _ in entries(file, layout, at)[0]:
        if tag in pointers and kind in ITEM:
            inner = base + layout.offset.unpack(inline)[0]
            with suppress(BrokenError):
                below = frozenset({INTEROP} if tag == EXIF else ())
                directory[tag] = read(file, layout, inner, None, base, below)
        elif kind in ITEM and (wanted is None or tag in wanted):
            size = number * ITEM[kind] * (2 if kind in _PAIRS else 1)
            data = inline[:size]
            if size > len(inline):
                _seek(file, base + layout.offset.unpack(inline)[0])
                data = file.read(min(size, left))
            if len(data) == size:
                left -= size
                directory[tag] = Field(kind, _swapped(data, kind, layout))
    return directory


def write(file: IO[bytes], layout: Layout, directory: Directory) -> int:
    """Write a directory at the end of a file; return where it is."""
    fields: list[bytes] = []
    for tag, field in sorted(directory.items()):
        if isinstance(field, Directory):
            at = write(file, layout, field)
            field = Field(LONG8 if layout.big else LONG, at.to_bytes(layout.offset.size, "little"))
        data = _swapped(field.data, field.kind, layout)
        number = len(data) // (ITEM[field.kind] * (2 if field.kind in _PAIRS else 1))
        if len(data) > layout.offset.size:
            at = to_end(file)
            file.write(data)
            data = layout.offset.pack(at)
        fields.append(layout.field.pack(tag, field.kind, number, data))
    at = to_end(file)
    file.write(layout.count.pack(len(fields)) + b"".join(fields) + layout.offset.pack(0))
    return at


def to_end(file: IO[bytes]) -> int:
    """Go to the end of a file, made even as TIFF wants it; return where it is."""
    end = file.seek(0, io.SEEK_END)
    return end + file.write(b"\0" * (end % 2))


def alone(directory: Directory) -> bytes:
    """Return a directory as a little TIFF of its own, as EXIF is."""
    file = io.BytesIO(b"II*\0\0\0\0\0")
    layout = Layout("<")
    at = write(file, layout, directory)
    file.seek(layout.start)
    file.write(layout.offset.pack(at))
    return file.getvalue()


def _seek(file: IO[bytes], at: int) -> None:
    if at >= 2**63:
        raise BrokenError("beyond the end of any file")
    file.seek(at)


def _unpack(file: IO[bytes], layout: struct.Struct, at: int) -> tuple[int, ...]:
    _seek(file, at)
    data = file.read(layout.size)
    if len(data) < layout.size:
        raise BrokenError("beyond the end")
    return layout.unpack(data)


def _swapped(data: bytes, kind: int, layout: Layout) -> bytes:
    """Return items of a file's byte order as little-endian ones, or the other way round."""
    if layout.order == "<" or ITEM[kind] == 1:
        return data
    return np.frombuffer(data, f"u{ITEM[kind]}").byteswap().tobytes()
