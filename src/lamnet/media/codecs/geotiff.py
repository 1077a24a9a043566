"""GeoTIFF: where the pixels of a picture lie on Earth, made true for a result of another size (OGC 19-008r4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.media.ifd import Directory, Field

PIXEL_SCALE, TIE_POINTS, TRANSFORMATION = 33550, 33922, 34264
KEYS, KEY_DOUBLES, KEY_TEXTS = 34735, 34736, 34737
RPC, GDAL_METADATA = 50844, 42112
TAGS = frozenset({PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, KEYS, KEY_DOUBLES, KEY_TEXTS, RPC, GDAL_METADATA})
_RASTER_TYPE, _IS_POINT = 1025, 2  # a key, and its value where coordinates are those of pixels' centres
_LINE_OFFSET, _SAMPLE_OFFSET, _LINE_SCALE, _SAMPLE_SCALE = 2, 3, 7, 8  # numbers of the RPC field
_STATISTICS = re.compile(rb"\s*<Item name=\"STATISTICS_[^>]*>[^<]*</Item>")

Doubles = NDArray[np.float64]


def scaled(fields: Directory, factor: tuple[float, float]) -> Directory:
    """Return the fields of a page true for a result so many times as wide and as high."""
    centre = 0.5 if _is_point(fields.get(KEYS)) else 0.0
    change: dict[int, Callable[[Doubles], Doubles]] = {
        PIXEL_SCALE: lambda numbers: np.append(numbers[:2] / factor, numbers[2:]),
        TIE_POINTS: lambda numbers: _tied(numbers, factor, centre),
        TRANSFORMATION: lambda numbers: _transformed(numbers, factor, centre),
        RPC: lambda numbers: _rational(numbers, factor),
    }
    made = Directory()
    for tag, field in fields.items():
        made[tag] = field
        if tag == GDAL_METADATA and isinstance(field, Field):
            made[tag] = Field(field.kind, _STATISTICS.sub(b"", field.data))
        elif tag in change and isinstance(field, Field):
            made[tag] = Field(field.kind, change[tag](np.frombuffer(field.data, "<f8")).astype("<f8").tobytes())
    return made


def is_sound(fields: Directory) -> bool:
    """Tell whether the fields have the types and lengths that `scaled` goes by."""
    lengths = {PIXEL_SCALE: 2, TIE_POINTS: 6, TRANSFORMATION: 16, RPC: 9}
    for tag, count in lengths.items():
        field = fields.get(tag)
        if field is not None and not (isinstance(field, Field) and field.kind == 12 and len(field.data) >= 8 * count):
            return False
    return True


def _is_point(keys: Any) -> bool:
    if not isinstance(keys, Field):
        return False
    numbers = np.frombuffer(keys.data[: len(keys.data) // 8 * 8], "<u2").reshape(-1, 4)
    return any(key == _RASTER_TYPE and value == _IS_POINT for key, _, _, value in numbers[1:].tolist())


def _tied(numbers: Doubles, factor: tuple[float, float], centre: float) -> Doubles:
    points = numbers[: len(numbers) // 6 * 6].reshape(-1, 6).copy()
    points[:, :2] = (points[:, :2] + centre) * factor - centre
    return points.ravel()


def _transformed(numbers: Doubles, factor: tuple[float, float], centre: float) -> Doubles:
    back = np.eye(4)  # from places in the result to those in the source
    back[0, 0], back[1, 1] = 1 / factor[0], 1 / factor[1]
    back[:2, 3] = centre / np.array(factor) - centre
    return (numbers[:16].reshape(4, 4) @ back).ravel()


def _rational(numbers: Doubles, factor: tuple[float, float]) -> Doubles:
    """Pixels' centres are whole numbers here."""
    made = numbers.copy()
    for offset, scale, by in ((_LINE_OFFSET, _LINE_SCALE, factor[1]), (_SAMPLE_OFFSET, _SAMPLE_SCALE, factor[0])):
        made[offset] = (numbers[offset] + 0.5) * by - 0.5
        made[scale] = numbers[scale] * by
    return made
