"""Sources of BMP, most of them put together from their parts."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frozen.sources.makers import SIZE, Maker, by_pillow, picture, scene


def bmp(depth: int, pixels: bytes, *, size: int = 40, **parts: Any) -> Maker:
    """A BMP of 11 x 7 from its parts: coding, palette, masks; `down` where its first row is the top one."""
    masks: Sequence[int] = parts.get("masks", ())
    coding, palette, down = parts.get("coding", 0), parts.get("palette", b""), parts.get("down", False)
    height = -SIZE[0] if down else SIZE[0]
    header = struct.pack("<IiiHHIIiiII", size, SIZE[1], height, 1, depth, coding, len(pixels), 3937, 3937, 0, 0)
    header = (header + struct.pack(f"<{len(masks)}I", *masks)).ljust(size, b"\0")
    start = 14 + len(header) + len(palette)
    data = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels
    return lambda path: path.write_bytes(data)


def _rows(depth: int, numbers: NDArray[Any]) -> bytes:
    """Rows from the bottom up, each filled to 4 bytes, of numbers of 4, 8 or 16 bits."""
    if depth == 4:
        padded = np.pad(numbers, ((0, 0), (0, numbers.shape[1] % 2))).astype(np.uint8)
        numbers = padded[:, ::2] << 4 | padded[:, 1::2]
    rows = [row.tobytes() for row in numbers.astype("<u2" if depth == 16 else np.uint8)[::-1]]
    return b"".join(row + b"\0" * (-len(row) % 4) for row in rows)


def _16_bits(red: int, green: int) -> NDArray[Any]:
    """Numbers of 5 bits red, 5 or 6 green, 5 blue, shifted so far."""
    bits = scene(3).astype(int)
    return (bits[..., 0] >> 3) << red | (bits[..., 1] >> (8 - red + green)) << green | bits[..., 2] >> 3


_INDEX = scene(1)[..., 0]
_GREYS_4, _GREYS_8 = (b"".join(bytes((i, i, 255 - i, 0)) for i in range(0, 256, step)) for step in (17, 1))
_RUNS = b"".join(bytes((8, 9 * row, 3, 20 * row, 0, 0)) for row in range(6)) + bytes((0, 3, 9, 42, 99, 0, 0, 1))
_FOURTH = scene(4)[::-1][..., [2, 1, 0, 3]]

BMP: dict[str, Maker] = {
    "bmp_24.bmp": by_pillow(picture, dpi=(300, 300)),
    "bmp_grey.bmp": by_pillow(lambda: picture(1)),
    "bmp_1bit.bmp": by_pillow(lambda: picture(1).convert("1")),
    "bmp_palette.dib": bmp(8, _rows(8, _INDEX), palette=_GREYS_8),
    "bmp_palette_4.bmp": bmp(4, _rows(4, _INDEX // 16), palette=_GREYS_4),
    "bmp_16.bmp": bmp(16, _rows(16, _16_bits(10, 5))),
    "bmp_16_masks.bmp": bmp(16, _rows(16, _16_bits(11, 5)), coding=3, masks=(0xF800, 0x07E0, 0x001F)),
    "bmp_32.bmp": bmp(32, np.concatenate([_FOURTH[..., :3], 0 * _FOURTH[..., 3:]], -1).tobytes()),
    "bmp_32_alpha.bmp": bmp(32, _FOURTH.tobytes()),
    "bmp_32_down.bmp": bmp(32, _FOURTH[::-1].tobytes(), down=True),
    "bmp_32_masks.bmp": bmp(32, _FOURTH.tobytes(), coding=3, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000), size=124),
    "bmp_runs.bmp": bmp(8, _RUNS, coding=1, palette=_GREYS_8),
}
