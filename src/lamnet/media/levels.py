"""Levels: the numbers of a picture that stand for black, white and opaque."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.media import vips
from lamnet.media.picture import Picture, dtype_of

_WIDEST_RANGE = float(np.finfo(np.float32).max)  # of a float picture


@dataclass(frozen=True)
class Levels:
    """Numbers that stand for black, white and opaque; `beyond` tells whether some numbers lie beyond black or white."""

    black: float
    white: float
    opaque: float
    beyond: bool = False


def levels(picture: Picture, page: int) -> Levels:
    """Return the levels of a page, as `levels_of` does. Raises BadImageError."""
    try:
        with vips.naming_errors(picture.path, "expected a whole picture"):
            return levels_of(picture.pages[page])
    except BadArgumentError as error:
        raise BadImageError(f"{picture.path}: {error}") from error


def levels_of(image: Any) -> Levels:
    """Return the levels of an image.

    White of 8 bits is 255. White of 16 bits is the largest number of the bits in use, at least 8. Floats range from 0 to
    1, or from their minimum to their maximum where these lie outside; outliers, fewer than one in a hundred, are left
    beyond. Raises BadArgumentError when floats are further apart than float32 reaches, pyvips.Error when they cannot
    be read.
    """
    if dtype_of(image) == "uint8":
        return Levels(0, 255, 255)
    vips.check_not_forked("picture")
    colours = 1 if image.bands < 3 else 3
    colour, alpha = image.extract_band(0, n=colours), image[colours] if image.bands > colours else None
    if dtype_of(image) == "uint16":
        return Levels(0, 2 ** max(8, int(colour.max()).bit_length()) - 1, 65535)
    lowest, highest = colour.min(), colour.max()
    if max(0.0, highest) - min(0.0, lowest) > _WIDEST_RANGE:
        raise BadArgumentError(f"expected numbers at most {_WIDEST_RANGE:.3g} apart, found {lowest:g} to {highest:g}")
    white = 1.0 if highest <= 1 else max(1.0, _white_level(colour, lowest, highest))
    black = 0.0 if lowest >= 0 else min(0.0, -_white_level(-colour, -highest, -lowest))
    opaque = 1.0 if alpha is None else max(1.0, alpha.max())
    return Levels(black, white, opaque, beyond=lowest < black or highest > white)


def _white_level(colour: Any, lowest: float, highest: float) -> float:
    """Return the white level of a float image: its maximum, or the 99.5th percentile where the maximum is more than twice that."""
    numbers, level = colour.bandunfold(), highest
    while level > 1:  # each time as finely as histograms of 16 bits tell
        step = (level - min(0.0, lowest)) / 65535
        finer = min(0.0, lowest) + step * (1 + ((numbers - min(0.0, lowest)) / step).cast("ushort").percent(99.5))
        if finer > level / 100:
            return highest if highest <= 2 * finer else finer
        level = finer
    return level
