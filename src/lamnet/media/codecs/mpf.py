"""The index of the pictures that follow the first in a JPEG file (CIPA DC-007, Multi-Picture Format)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

_ORDERS = {b"II": "<", b"MM": ">"}
_ENTRIES = 0xB002
_ENTRY = 16  # bytes: attributes, size, offset from the block (of the first picture 0), two numbers


@dataclass(frozen=True)
class Index:
    """An index as it stands in a file.

    Attributes:
        block: the segment's contents from the byte order on.
        base: where the block lies in the file.
        table: where the entries lie in the block.
    """

    block: bytes
    base: int
    table: int
    count: int

    @classmethod
    def read(cls, block: bytes, base: int) -> Index | None:
        """The index in a block at a place of its file; None where it cannot be read."""
        order = _ORDERS.get(block[:2])
        try:
            (first,) = struct.unpack_from(f"{order}L", block, 4)
            (tags,) = struct.unpack_from(f"{order}H", block, first)
            for at in range(first + 2, first + 2 + 12 * tags, 12):
                tag, _, size, table = struct.unpack_from(f"{order}HHLL", block, at)
                if tag == _ENTRIES and table + size <= len(block):
                    return cls(block, base, table, size // _ENTRY)
        except struct.error:
            pass
        return None

    @property
    def places(self) -> list[tuple[int, int]]:
        """(start, end) in the file of each picture but the first; those whose place it does not say are left out."""
        entries = [self._entry(number) for number in range(1, self.count)]
        return [(self.base + offset, self.base + offset + size) for size, offset in entries if offset]

    def rewritten(self, base: int, length: int, moved: Callable[[int], int]) -> bytes:
        """The block for a file in which it lies at `base`, the first picture has this length, and places have moved."""
        block = bytearray(self.block)
        for number in range(self.count):
            size, offset = self._entry(number)
            start, end = self.base + offset, self.base + offset + size
            if number == 0:
                size = length
            elif offset:
                size, offset = moved(end) - moved(start), moved(start) - base
            struct.pack_into(self._order + "LL", block, self._at(number), size, offset)
        return bytes(block)

    @property
    def _order(self) -> str:
        return _ORDERS[self.block[:2]]

    def _at(self, number: int) -> int:
        return self.table + _ENTRY * number + 4

    def _entry(self, number: int) -> tuple[int, int]:
        size, offset = struct.unpack_from(self._order + "LL", self.block, self._at(number))
        return size, offset
