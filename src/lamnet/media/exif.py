"""EXIF made true for a result by changing numbers in place: what libexif does not know stays, maker notes stay where they were."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

_PREFIX = b"Exif\0\0"
_ORIENTATION, _DETAILS = 0x0112, 0x8769
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 0x011A, 0x011B, 0x0128
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
_THUMBNAIL, _THUMBNAIL_BYTES = 0x0201, 0x0202
_LYING = range(5, 9)  # orientations that exchange width and height
_SHORT, _LONG, _RATIONAL = 3, 4, 5
_INCH = 2


@dataclass(frozen=True)
class Thumbnail:
    """A small JPEG of the picture."""

    data: bytes
    width: int
    height: int


def corrected(
    exif: bytes,
    size: tuple[int, int],
    factor: tuple[float, float],
    per_inch: tuple[float, float] | None,
    thumbnail: Thumbnail | None,
) -> bytes | None:
    """An EXIF block true for a result: upright, of this (width, height), with this thumbnail; None where it is broken.

    Args:
        exif: with or without "Exif" and two zeros in front; the result has none.
        factor: of the horizontal and vertical resolution that it states.
        per_inch: the result's resolution, where that is known, for a block that states none.
        thumbnail: in place of that in the block; None leaves none.
    """
    try:
        block = _Block(exif.removeprefix(_PREFIX))
        block.set_thumbnail(thumbnail)
        main = block.entries(block.first)
        if per_inch and _X_RESOLUTION not in main and _UNIT not in main:
            block.add_resolution(per_inch)
            main, factor = block.entries(block.first), (1, 1)
        details = block.entries(block.long(main[_DETAILS] + 8)) if _DETAILS in main else {}
        for place in _at(main, [_ORIENTATION]):
            if block.number(place) in _LYING and _X_RESOLUTION in main and _Y_RESOLUTION in main:
                block.swap(main[_X_RESOLUTION], main[_Y_RESOLUTION])
            block.set_number(place, 1)
        for tags, number in ((_WIDTHS, size[0]), (_HEIGHTS, size[1])):
            for place in (*_at(main, tags), *_at(details, tags)):
                block.set_number(place, number)
        for tag, by in ((_X_RESOLUTION, factor[0]), (_Y_RESOLUTION, factor[1])):
            for place in _at(main, [tag]):
                block.scale(place, by)
    except (struct.error, KeyError):
        return None
    return bytes(block.data)


def _at(entries: dict[int, int], tags: Iterable[int]) -> list[int]:
    return [entries[tag] for tag in tags if tag in entries]


class _Block:
    """The bytes of a little TIFF. Raises struct.error and KeyError where it is broken."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self._order = {b"II*\0": "<", b"MM\0*": ">"}[data[:4]]
        self.first = self.long(4)

    def long(self, at: int) -> int:
        return struct.unpack_from(self._order + "L", self.data, at)[0]

    def entries(self, directory: int) -> dict[int, int]:
        """Where each tag's entry is."""
        places = range(directory + 2, self._next(directory), 12)
        return {struct.unpack_from(self._order + "H", self.data, place)[0]: place for place in places}

    def number(self, entry: int) -> int:
        """Of a field of short numbers the first."""
        return struct.unpack_from(self._order + "H", self.data, entry + 8)[0]

    def swap(self, one: int, other: int) -> None:
        """The contents of two fields, their tags aside."""
        first, second = self.data[one + 2 : one + 12], self.data[other + 2 : other + 12]
        self.data[one + 2 : one + 12], self.data[other + 2 : other + 12] = second, first

    def set_number(self, entry: int, number: int) -> None:
        kind = _LONG if number >= 2**16 else struct.unpack_from(self._order + "H", self.data, entry + 2)[0]
        layout = self._order + {_SHORT: "HLHxx", _LONG: "HLL"}[kind]
        struct.pack_into(layout, self.data, entry + 2, kind, 1, number)

    def scale(self, entry: int, by: float) -> None:
        kind, count, place = struct.unpack_from(self._order + "HLL", self.data, entry + 2)
        if (kind, count) == (_RATIONAL, 1):
            number, unit = struct.unpack_from(self._order + "LL", self.data, place)
            if unit:
                struct.pack_into(self._order + "LL", self.data, place, *_ratio(Fraction(number, unit) * Fraction(by)))

    def set_thumbnail(self, thumbnail: Thumbnail | None) -> None:
        """In the second directory, whose old one goes where it is the last thing in the block, as it is nearly always."""
        link = self._next(self.first)
        second = self.long(link)
        if not second:
            return
        entries = self.entries(second)
        if _THUMBNAIL in entries and _THUMBNAIL_BYTES in entries:
            start = self.long(entries[_THUMBNAIL] + 8)
            if second < start and start + self.long(entries[_THUMBNAIL_BYTES] + 8) >= len(self.data) - 3:
                del self.data[start:]
            if thumbnail:
                numbers = {_THUMBNAIL: self._append(thumbnail.data), _THUMBNAIL_BYTES: len(thumbnail.data)}
                numbers |= {_ORIENTATION: 1, _WIDTHS[0]: thumbnail.width, _HEIGHTS[0]: thumbnail.height}
                for tag in numbers.keys() & entries.keys():
                    self.set_number(entries[tag], numbers[tag])
                return
        struct.pack_into(self._order + "L", self.data, link, 0)

    def add_resolution(self, per_inch: tuple[float, float]) -> None:
        """To a copy of the first directory behind all else."""
        count, end = self._next(self.first) - self.first - 2, self._next(self.first) + 4
        old = bytes(self.data[self.first + 2 : end - 4])
        new = [old[at : at + 12] for at in range(0, count, 12)]
        for tag, number in ((_X_RESOLUTION, per_inch[0]), (_Y_RESOLUTION, per_inch[1])):
            at = self._append(struct.pack(self._order + "LL", *_ratio(Fraction(number))))
            new.append(struct.pack(self._order + "HHLL", tag, _RATIONAL, 1, at))
        new.append(struct.pack(self._order + "HHLHxx", _UNIT, _SHORT, 1, _INCH))
        new.sort(key=lambda entry: struct.unpack_from(self._order + "H", entry))
        directory = struct.pack(self._order + "H", len(new)) + b"".join(new) + bytes(self.data[end - 4 : end])
        self.first = self._append(directory)
        struct.pack_into(self._order + "L", self.data, 4, self.first)

    def _next(self, directory: int) -> int:
        """Where a directory says where the next one is."""
        (count,) = struct.unpack_from(self._order + "H", self.data, directory)
        if directory + 2 + count * 12 > len(self.data):
            raise struct.error("a directory beyond the end")
        return directory + 2 + count * 12

    def _append(self, data: bytes) -> int:
        self.data += b"\0" * (len(self.data) % 2)
        self.data += data
        return len(self.data) - len(data)


def _ratio(number: Fraction) -> tuple[int, int]:
    """As EXIF holds it: two numbers of 32 bits."""
    short = number.limit_denominator(10_000)
    return min(short.numerator, 2**32 - 1), short.denominator
