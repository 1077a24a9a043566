"""Levels: the numbers of a picture that stand for black, white and opaque."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.media import vips
from lamnet.media.depths import NO_DATA
from lamnet.media.picture import Picture, dtype_of, naming_damage

_WIDEST_RANGE = float(np.finfo(np.float32).max)  # of a float picture
_HUGE = 1e30  # numbers from here on stand for nothing
# So do others from _LOW on down that occur more than once and lie _FAR times further off than all the rest apart.
_LOW, _FAR = -99.0, 10
_USUAL = frozenset({-999.0, -3333.0, -9999.0, -10000.0, -32767.0, -32768.0, -99999.0, -999999.0})  # that do so too


@dataclass(frozen=True)
class Levels:
    """Numbers that stand for black, white and opaque.

    Attributes:
        beyond: whether some numbers lie beyond black or white.
        no_data: whether some stand for nothing, as `holes` tells.
        missing: the number that does, besides NaN and infinity.
    """

    black: float
    white: float
    opaque: float
    beyond: bool = False
    no_data: bool = False
    missing: float | None = None

    def holes(self, pixels: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which of the pixels (H, W, bands) stand for nothing, (H, W)."""
        if pixels.dtype.kind != "f":
            return np.logical_and.reduce(pixels == np.asarray(self.missing, pixels.dtype), -1)
        found = ~np.isfinite(pixels)
        if self.missing is not None:
            found |= pixels == np.asarray(self.missing, pixels.dtype)
        return np.logical_or.reduce(found, -1)


def levels(picture: Picture, page: int) -> Levels:
    """Return the levels of a page, as `levels_of` does. Raises BadImageError."""
    try:
        with naming_damage(picture):
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
        return Levels(0, 255, 255, **_stated(image))
    vips.check_not_forked("picture")
    colours = 1 if image.bands < 3 else 3
    if dtype_of(image) == "float32" and (found := _without_data(image, colours)):
        return found
    colour, alpha = image.extract_band(0, n=colours), image[colours] if image.bands > colours else None
    if dtype_of(image) == "uint16":
        return Levels(0, 2 ** max(8, int(colour.max()).bit_length()) - 1, 65535, **_stated(image))
    lowest, highest = colour.min(), colour.max()
    if max(0.0, highest) - min(0.0, lowest) > _WIDEST_RANGE:
        raise BadArgumentError(f"expected numbers at most {_WIDEST_RANGE:.3g} apart, found {lowest:g} to {highest:g}")
    white = 1.0 if highest <= 1 else max(1.0, _white_level(colour, lowest, highest))
    black = 0.0 if lowest >= 0 else min(0.0, -_white_level(-colour, -highest, -lowest))
    opaque = 1.0 if alpha is None else max(1.0, alpha.max())
    return Levels(black, white, opaque, beyond=lowest < black or highest > white)


def _stated(image: Any) -> dict[str, Any]:
    """Return what levels of whole numbers say of a number that stands for nothing in all bands at once."""
    value = image.get(NO_DATA) if image.get_typeof(NO_DATA) else None
    if value is None or value != value // 1 or not 0 <= value <= (255 if dtype_of(image) == "uint8" else 65535):
        return {}
    return {"no_data": True, "missing": value}


def _without_data(image: Any, colours: int) -> Levels | None:
    """Return the levels of a float image of which some pixels stand for nothing; None where all are numbers.

    Raises BadArgumentError where no pixel is left.
    """
    stated = image.get(NO_DATA) if image.get_typeof(NO_DATA) else None
    colour = image.extract_band(0, n=colours)
    finite = (colour.abs() <= _WIDEST_RANGE).bandand()  # comparisons with NaN are false
    missing = stated if stated is not None and math.isfinite(stated) else _unlikely(colour, finite)
    valid = finite if missing is None else finite & (colour != float(np.float32(missing))).bandand()
    if valid.min() == 255:
        return None
    if valid.max() == 0:
        raise BadArgumentError("expected numbers, found none: all stand for no data")
    lowest = valid.ifthenelse(colour, _WIDEST_RANGE).min()
    of_numbers = levels_of(valid.ifthenelse(colour, lowest).cast("float"))
    opaque = 1.0 if image.bands == colours else max(1.0, image[colours].max())
    return replace(of_numbers, opaque=opaque, no_data=True, missing=missing)


def _unlikely(colour: Any, finite: Any) -> float | None:
    """Return the least number, or a huge one, where it usually stands for nothing and the others are far from it."""
    for sign in (1, -1):
        signed = finite.ifthenelse(colour * sign, _WIDEST_RANGE)
        value = signed.min()
        usual = value in _USUAL or value <= -_HUGE
        if usual or (sign == 1 and value <= _LOW):
            rest = (signed > value).ifthenelse(signed, _WIDEST_RANGE).min()
            spread = _spread(signed, rest) if rest < _WIDEST_RANGE else math.inf
            if rest - value > (spread / 2 if usual else spread * _FAR) and (
                usual or (spread and _occurs_twice(signed, value))
            ):
                return value * sign
    return None


def _occurs_twice(signed: Any, value: float) -> bool:
    """Tell whether a number stands for more than one sample; a single one is an outlier."""
    equal = signed == value
    return equal.avg() / 255 * equal.width * equal.height * equal.bands > 1.5


def _spread(signed: Any, rest: float) -> float:
    """Return how far apart the numbers from `rest` on lie."""
    within = (signed >= rest) & (signed < _WIDEST_RANGE)
    return within.ifthenelse(signed, rest).max() - rest


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
