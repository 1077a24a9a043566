"""Pictures of any format and depth as 8-bit RGB, as training takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadImageError
from lamnet.evaluation.benchmarks import LARGEST
from lamnet.media import opening
from lamnet.media.levels import Levels, levels
from lamnet.media.picture import Picture, read


@dataclass(frozen=True)
class Rgb8:
    """A picture in 8 bits.

    Attributes:
        pixels: (H, W, 3).
        notes: what of the file is not in them.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Raw:
    """A picture in its own depth, (H, W, 1) or (H, W, 3)."""

    pixels: NDArray[Any]
    levels: Levels
    notes: tuple[str, ...]


def read_rgb8(*paths: Path) -> list[Rgb8]:
    """Read pictures, or the first page of each; alpha is left out, grey repeated.

    Black and white are the same numbers in all pictures of a type: one that reaches less far stays as dark as it is beside
    the others.

    Raises BadImageError for a picture that cannot be read, is too large, or has floats that stand for nothing.
    """
    found = [_raw(path) for path in paths]
    rgb8: list[Rgb8] = []
    for raw in found:
        alike = [other.levels for other in found if other.pixels.dtype == raw.pixels.dtype]
        black, white = min(each.black for each in alike), max(each.white for each in alike)
        pixels = _in_8_bits(raw.pixels, black, white)
        rgb8.append(Rgb8(pixels if pixels.shape[2] == 3 else pixels.repeat(3, 2), raw.notes))
    return rgb8


def _raw(path: Path) -> _Raw:
    picture = opening.open_picture(path)
    page = picture.pages[0]
    if page.height * page.width > LARGEST:
        raise BadImageError(f"{path}: expected at most {LARGEST:,} pixels, found {page.width} x {page.height}")
    pixels, known = read(picture, 0, 0, 0, page.height, page.width), levels(picture, 0)
    colours = pixels[..., : 1 if page.bands < 3 else 3]
    if colours.dtype.kind == "f" and known.no_data and (holes := np.count_nonzero(known.holes(colours))):
        raise BadImageError(
            f"{path}: expected a number in every pixel, found none in {holes:,} of {page.height * page.width:,} "
            "(NaN, infinity or what stands for no data)"
        )
    return _Raw(colours, known, tuple(_notes(picture, pixels, known)))


def _notes(picture: Picture, pixels: NDArray[Any], known: Levels) -> Iterator[str]:
    if pixels.shape[2] in (2, 4) and pixels[..., -1].min() < known.opaque:
        yield "its transparency was left out"
    if len(picture.pages) > 1:
        kind = "frames" if picture.animated else "pages"
        yield f"the first of {len(picture.pages)} {kind} was taken"


def _in_8_bits(pixels: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    shares = (pixels.astype(np.float64) - black) / (white - black)
    return np.floor(shares.clip(0, 1) * 255 + 0.5).astype(np.uint8)
