"""Pillow's images as arrays, by their mode."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError

if TYPE_CHECKING:
    from PIL.Image import Image

_PLAIN = ("L", "LA", "RGB", "RGBA", "F", "I;16", "I;16L", "I;16B", "I;16N")
_CONVERTED = {
    "1": "L",
    "P": "RGB",
    "PA": "RGBA",
    "La": "LA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
    "CMYK": "RGB",
}
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}


def is_pillow(given: object) -> TypeGuard[Image]:
    """Tell, without importing Pillow, whether this is one of its images."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(given, pillow.Image)


def array_of(image: Image) -> NDArray[Any]:
    """Turn an image into (H, W) or (H, W, bands): grey, grey and alpha, RGB, RGB and alpha.

    Palettes and transparent colours are looked up; CMYK becomes RGB as Pillow does it. Raises BadArgumentError where the
    mode does not tell what the numbers mean: Lab, CMYK with a profile, integers beyond 16 bits.
    """
    mode = image.mode
    try:
        image.load()
    except (OSError, ValueError) as error:  # of a file that is cut or closed, which Pillow reads only now
        raise BadArgumentError(f"array: expected a whole image of Pillow's, found {error}") from error
    if mode == "CMYK" and image.info.get("icc_profile"):
        raise BadArgumentError(
            "array: expected RGB or grey, got CMYK with a profile; ImageCms.profileToProfile applies it"
        )
    if mode not in (*_PLAIN, "I") and mode not in _CONVERTED:
        raise BadArgumentError(f"array: expected RGB or grey, got a Pillow image of mode {mode}")
    if mode.startswith("I"):
        return _sixteen_bits(np.asarray(image), image.info.get("transparency"))
    target = _CONVERTED.get(mode, mode)
    if image.has_transparency_data:
        target = _WITH_ALPHA.get(target, target)
    return np.asarray(image if target == mode else image.convert(target))


def _sixteen_bits(numbers: NDArray[Any], transparent: int | None) -> NDArray[np.uint16]:
    if numbers.min() < 0 or numbers.max() > 65535:
        raise BadArgumentError(f"array: expected 16 bits, got numbers from {numbers.min()} to {numbers.max()}")
    grey = numbers.astype(np.uint16)
    if transparent is None:  # Pillow itself drops it
        return grey
    return np.stack([grey, np.where(grey == transparent, 0, 65535).astype(np.uint16)], -1)
