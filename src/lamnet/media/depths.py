"""The three depths of pixels: what NumPy and libvips call them, and which number is white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NO_DATA = "lamnet-no-data"
"""The field of an image that holds the number that its file says stands for nothing."""


@dataclass(frozen=True)
class Depth:
    """A type of numbers that pixels are held in.

    Attributes:
        dtype: NumPy's name.
        band: libvips' name, its "band format".
        size: bytes of a number.
        white: the number that stands for white and opaque; in floats, unless a picture reaches further.
        grey: libvips' name of the colour space of one band, or two with alpha.
        rgb: the same of three bands, or four with alpha.
    """

    dtype: str
    band: str
    size: int
    white: int
    grey: str
    rgb: str

    def space(self, bands: int) -> str:
        """Return libvips' name of the colour space of so many bands."""
        return self.grey if bands < 3 else self.rgb


DEPTHS = (  # the deepest last
    Depth("uint8", "uchar", 1, 255, "b-w", "srgb"),
    Depth("uint16", "ushort", 2, 65535, "grey16", "rgb16"),
    Depth("float32", "float", 4, 1, "b-w", "scrgb"),
)


def depth_named(dtype: str) -> Depth:
    """Return the depth of a NumPy type. Raises KeyError for another."""
    return {depth.dtype: depth for depth in DEPTHS}[dtype]


def depth_of(image: Any) -> Depth:
    """Return the depth of a libvips image. Raises KeyError for another."""
    return {depth.band: depth for depth in DEPTHS}[str(image.format)]
