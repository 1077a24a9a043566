"""EXIF made true for a result by changing numbers in place: what libexif does not know stays, maker notes stay where they were."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from lamnet.media import ifd, tags
from lamnet.media.ifd import BrokenError, Layout

_PREFIX = b"Exif\0\0"
_WIDTHS, _HEIGHTS = (tags.WIDTH, tags.PIXELS_ACROSS), (tags.HEIGHT, tags.PIXELS_DOWN)
_TRANSPOSED = range(5, 9)  # orientations that exchange width and height
_SIGNED_RATIONAL = 10
_WHOLE = {1: "B", ifd.SHORT: "H", ifd.LONG: "L", 6: "b", 8: "h", 9: "l"}  # types, as `struct` has them
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
    """Return an EXIF block true for a result: upright, of this (width, height), with this thumbnail; None where it is broken.

    Args:
        exif: with or without "Exif" and two zeros in front; the result has none.
        factor: multiplies the horizontal and vertical resolution that it states.
        per_inch: the result's resolution, where that is known, for a block that states none.
        thumbnail: in place of that in the block; None leaves none.
    """
    try:
        block = _Block(exif.removeprefix(_PREFIX))
        block.set_thumbnail(thumbnail)
        main = block.entries(block.first)
        if per_inch and tags.X_RESOLUTION not in main and tags.UNIT not in main:
            block.add_resolution(per_inch)
            main, factor = block.entries(block.first), (1, 1)
        details = block.entries(block.long(main[ifd.EXIF] + 8)) if ifd.EXIF in main else {}
        for place in _places(main, [tags.ORIENTATION]):
            if block.number(place) in _TRANSPOSED and tags.X_RESOLUTION in main and tags.Y_RESOLUTION in main:
                block.swap(main[tags.X_RESOLUTION], main[tags.Y_RESOLUTION])
            block.set_number(place, 1)
        for sides, number in ((_WIDTHS, size[0]), (_HEIGHTS, size[1])):
            for place in (*_places(main, sides), *_places(details, sides)):
                block.set_number(place, number)
        for tag, by in ((tags.X_RESOLUTION, factor[0]), (tags.Y_RESOLUTION, factor[1])):
            for place in _places(main, [tag]):
                block.scale(place, by)
    except BrokenError:
        return None
    return bytes(block.data)


def _places(entries: dict[int, int], wanted: Iterable[int]) -> list[int]:
    return [entries[tag] for tag in wanted if tag in entries]


class _Block:
    """The bytes of a little TIFF, changed in place. Its methods raise BrokenError where it is broken."""

    def __init__(self, data: bytes) -> None:
        if data[:4] not in (b"II*\0", b"MM\0*"):
            raise BrokenError("no header")
        self.data = bytearray(data)
        self._layout = Layout.of(io.BytesIO(data))
        self.first = self.long(4)

    def long(self, at: int) -> int:
        """Return the number of 32 bits at a place."""
        return self._unpack("L", at)[0]

    def entries(self, directory: int) -> dict[int, int]:
        """Return where each tag's entry is."""
        return {entry.tag: entry.place for entry in self._entries(directory)[0]}

    def number(self, entry: int) -> int:
        """Return the first number of a field of whole ones, 0 of another."""
        (kind,) = self._unpack("H", entry + 2)
        return self._unpack(_WHOLE[kind], entry + 8)[0] if kind in _WHOLE else 0

    def swap(self, one: int, other: int) -> None:
        """Exchange the contents of two fields, their tags aside."""
        first, second = self.data[one + 2 : one + 12], self.data[other + 2 : other + 12]
        self.data[one + 2 : one + 12], self.data[other + 2 : other + 12] = second, first

    def set_number(self, entry: int, number: int) -> None:
        """Set a field to one number: a short one where it is one and can hold that, else a long one."""
        kind = ifd.SHORT if number < 2**16 and self._unpack("H", entry + 2)[0] == ifd.SHORT else ifd.LONG
        self._pack("HLHxx" if kind == ifd.SHORT else "HLL", entry + 2, kind, 1, number)

    def scale(self, entry: int, by: float) -> None:
        """Multiply a field of one rational number."""
        kind, count, place = self._unpack("HLL", entry + 2)
        if kind in (ifd.RATIONAL, _SIGNED_RATIONAL) and count == 1:
            number, unit = self._unpack("LL", place)
            if unit:
                self._pack("LL", place, *ratio(Fraction(number, unit) * Fraction(by)))

    def set_thumbnail(self, thumbnail: Thumbnail | None) -> None:
        """Set the thumbnail of the second directory, if there is one.

        The old one goes where it is the last thing in the block, as it is nearly always.
        """
        link = self._entries(self.first)[1]
        second = self.long(link)
        if not second:
            return
        entries = self.entries(second)
        if tags.THUMBNAIL in entries and tags.THUMBNAIL_BYTES in entries:
            start = self.long(entries[tags.THUMBNAIL] + 8)
            if second < start and start + self.long(entries[tags.THUMBNAIL_BYTES] + 8) >= len(self.data) - 3:
                del self.data[start:]
            if thumbnail:
                numbers = {tags.THUMBNAIL: self._append(thumbnail.data), tags.THUMBNAIL_BYTES: len(thumbnail.data)}
                numbers |= {tags.ORIENTATION: 1, _WIDTHS[0]: thumbnail.width, _HEIGHTS[0]: thumbnail.height}
                for tag in numbers.keys() & entries.keys():
                    self.set_number(entries[tag], numbers[tag])
                return
        self._pack("L", link, 0)

    def add_resolution(self, per_inch: tuple[float, float]) -> None:
        """Add fields of a resolution, to a copy of the first directory behind all else."""
        entries, link = self._entries(self.first)
        order = self._layout.order
        new = [bytes(self.data[entry.place : entry.place + 12]) for entry in entries]
        for tag, number in ((tags.X_RESOLUTION, per_inch[0]), (tags.Y_RESOLUTION, per_inch[1])):
            at = self._append(struct.pack(order + "LL", *ratio(Fraction(number))))
            new.append(struct.pack(order + "HHLL", tag, ifd.RATIONAL, 1, at))
        new.append(struct.pack(order + "HHLHxx", tags.UNIT, ifd.SHORT, 1, _INCH))
        new.sort(key=lambda entry: struct.unpack_from(order + "H", entry))
        count, following = struct.pack(order + "H", len(new)), bytes(self.data[link : link + 4])
        self.first = self._append(count + b"".join(new) + following)
        self._pack("L", 4, self.first)

    def _entries(self, directory: int) -> tuple[list[ifd.Entry], int]:
        return ifd.entries(io.BytesIO(self.data), self._layout, directory)

    def _unpack(self, layout: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self._layout.order + layout, self.data, at)
        except struct.error as error:
            raise BrokenError(str(error)) from error

    def _pack(self, layout: str, at: int, *numbers: int) -> None:
        try:
            struct.pack_into(self._layout.order + layout, self.data, at, *numbers)
        except struct.error as error:
            raise BrokenError(str(error)) from error

    def _append(self, data: bytes) -> int:
        """Add bytes at the end, made even; return where they are."""
        self.data += b"\0" * (len(self.data) % 2)
        self.data += data
        return len(self.data) - len(data)


def ratio(number: Fraction) -> tuple[int, int]:
    """Return a number as EXIF holds it, two numbers of 32 bits."""
    short = number.limit_denominator(10_000)
    return min(short.numerator, 2**32 - 1), short.denominator
