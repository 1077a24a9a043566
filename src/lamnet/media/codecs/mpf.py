"""The index of the pictures that follow the first in a JPEG file (CIPA DC-007, Multi-Picture Format)."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from lamnet.media import ifd
from lamnet.media.ifd import BrokenError, Layout

_ENTRIES = 0xB002
_ENTRY = 16  # bytes: attributes, size, offset from the block (of the first picture 0), two numbers


@dataclass(frozen=True)
class Index:
    """An index as it stands in a file.

    Attributes:
        block: the segment's contents from the byte order on.
        layout: its byte order.
        base: where the block lies in the file.
        table: where the entries lie in the block.
        count: the number of pictures, the first included.
    """

    block: bytes
    layout: Layout
    base: int
    table: int
    count: int

    @classmethod
    def read(cls, block: bytes, base: int) -> Index | None:
        """Return the index in a block that lies at `base` in its file; None where it cannot be read."""
        file = io.BytesIO(block)
        try:
            layout = Layout.of(file)
            fields, _ = ifd.entries(file, layout, ifd.follow(file, layout, layout.start))
            for field in fields:
                table = layout.offset.unpack(field.inline)[0]
                if field.tag == _ENTRIES and table + field.number <= len(block):
                    return cls(block, layout, base, table, field.number // _ENTRY)
        except BrokenError:
            pass
        return None

    @property
    def places(self) -> list[tuple[int, int]]:
        """(start, end) in the file of each picture but the first; those that the index gives no place are left out."""
        entries = [self._entry(number) for number in range(1, self.count)]
        return [(self.base + offset, self.base + offset + size) for size, offset in entries if offset]

    def rewritten(self, base: int, length: int, places: Sequence[tuple[int, int]]) -> bytes:
        """Return the block for a file in which it lies at `base`, the first picture has this length, the others these places."""
        block, moved = bytearray(self.block), iter(places)
        for number in range(self.count):
            size, offset = self._entry(number)
            if number == 0:
                size = length
            elif offset:
                start, end = next(moved)
                size, offset = end - start, start - base
            struct.pack_into(self._numbers, block, self._at(number), size, offset)
        return bytes(block)

    @property
    def _numbers(self) -> str:
        return self.layout.order + "LL"

    def _at(self, number: int) -> int:
        return self.table + _ENTRY * number + 4

    def _entry(self, number: int) -> tuple[int, int]:
        size, offset = struct.unpack_from(self._numbers, self.block, self._at(number))
        return size, offset
