"""The index of a JPEG's further pictures, made by hand."""

from __future__ import annotations

import struct
from typing import Literal

import pytest

from lamnet.media.codecs.mpf import Index


def block(order: Literal["<", ">"], *entries: tuple[int, int]) -> bytes:
    """An index of (size, offset) of each picture."""
    header = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "L", 8)
    table = 8 + 2 + 2 * 12 + 4
    fields = struct.pack(order + "HHL4s", 0xB000, 7, 4, b"0100") + struct.pack(
        order + "HHLL", 0xB002, 7, 16 * len(entries), table
    )
    body = b"".join(struct.pack(order + "LLLHH", 0, *entry, 0, 0) for entry in entries)
    return header + struct.pack(order + "H", 2) + fields + bytes(4) + body


@pytest.mark.parametrize("order", ["<", ">"])
def test_places_and_what_becomes_of_them(order: Literal["<", ">"]) -> None:
    index = Index.read(block(order, (1000, 0), (200, 900), (50, 1200), (7, 0)), base=100)
    assert index is not None
    assert index.places == [(1000, 1200), (1300, 1350)]  # the last has no place
    moved = Index.read(index.rewritten(60, 4000, [(4000, 4300), (4400, 4450)]), base=60)
    assert moved is not None
    assert moved.places == [(4000, 4300), (4400, 4450)]
    assert moved.block == block(order, (4000, 0), (300, 3940), (50, 4340), (7, 0))


@pytest.mark.parametrize("cut", range(0, 90, 3))
def test_of_a_cut_index_none_is_read(cut: int) -> None:
    whole = block("<", (1000, 0), (200, 900), (50, 1200))
    assert Index.read(whole[: min(cut, len(whole) - 1)], base=0) is None


@pytest.mark.parametrize("data", [b"", b"XX*\0\x08\0\0\0", b"II*\0\x08\0\0\0\0\0\0\0\0\0"])
def test_of_another_block_none_is_read(data: bytes) -> None:
    assert Index.read(data, base=0) is None
