"""Black and white: which numbers of a picture stand for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.media import vips
from lamnet.media.picture import Picture, dtype_of

_WIDEST = float(np.finfo(np.float32).max)  # between the least and the most of a picture in floats


@dataclass(frozen=True)
class Levels:
    """The numbers that stand for black, white and opaque; `beyond`: whether some lie beyond black or white."""

    black: float
    white: float
    opaque: float
    beyond: bool = False


def levels(picture: Picture, page: int) -> Levels:
    """What the numbers of a page mean, as `levels_of`. Raises BadImageError."""
    try:
        with vips.named(picture.path, "expected a whole picture"):
            return levels_of(picture.pages[page])
    except BadArgumentError as error:
        raise BadImageError(f"{picture.path}: {error}") from error


def levels_of(image: Any) -> Levels:
    """What an image's numbers mean.

    Of 8 bits the type's; of 16 those of the bits that are used, at least 8. Floats reach from 0 to 1, or as far as they
    go: but for outliers, fewer than one in a hundred, which lie beyond. Raises BadArgumentError when floats are further
    apart than float32 reaches, pyvips.Error when they cannot be read.
    """
    if dtype_of(image) == "uint8":
        return Levels(0, 255, 255)
    colours = 1 if image.bands < 3 else 3
    colour, alpha = image.extract_band(0, n=colours), image[colours] if image.bands > colours else None
    if dtype_of(image) == "uint16":
        return Levels(0, 2 ** max(8, int(colour.max()).bit_length()) - 1, 65535)
    least, most = colour.min(), colour.max()
    if max(0.0, most) - min(0.0, least) > _WIDEST:
        raise BadArgumentError(f"expected numbers at most {_WIDEST:.3g} apart, found {least:g} to {most:g}")
    white = 1.0 if most <= 1 else max(1.0, _upper(colour, least, most))
    black = 0.0 if least >= 0 else min(0.0, -_upper(-colour, -most, -least))
    opaque = 1.0 if alpha is None else max(1.0, alpha.max())
    return Levels(black, white, opaque, beyond=least < black or most > white)


def _upper(colour: Any, least: float, most: float) -> float:
    """What an image in floats reaches: the most, unless that is more than twice what all but one in 200 numbers stay below."""
    numbers, level = colour.bandunfold(), most
    while level > 1:  # each time as finely as histograms of 16 bits tell
        step = (level - min(0.0, least)) / 65535
        finer = min(0.0, least) + step * (1 + ((numbers - min(0.0, least)) / step).cast("ushort").percent(99.5))
        if finer > level / 100:
            return most if most <= 2 * finer else finer
        level = finer
    return level
