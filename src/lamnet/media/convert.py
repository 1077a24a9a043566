"""An image in another depth or size."""

from __future__ import annotations

import numpy as np
import pyvips

from lamnet.media.formats import Format
from lamnet.media.picture import dtype_of


def resized(image: pyvips.Image, size: tuple[int, int]) -> pyvips.Image:
    """The image in this (width, height), by Lanczos; colours weighted by their alpha, so that hidden ones do not show."""
    if (image.width, image.height) == size:
        return image
    image = _named_space(image)
    most = {"uchar": 255, "ushort": 65535, "float": 1}[str(image.format)]
    kind, alpha = image.format, image.bands in (2, 4)
    if alpha:
        image = image.premultiply(max_alpha=most)
    image = image.resize(size[0] / image.width, vscale=size[1] / image.height, kernel="lanczos3")
    if alpha:
        image = image.unpremultiply(max_alpha=most)
    return image if kind == "float" else image.rint().cast(kind)


def in_depth_of(kind: Format, image: pyvips.Image) -> pyvips.Image:
    """The image in a depth that the format holds, its numbers scaled."""
    dtype, deepest = dtype_of(image), kind.dtypes[-1]
    if dtype not in kind.dtypes:
        ratio = np.iinfo(deepest).max / (1.0 if dtype == "float32" else np.iinfo(dtype).max)
        image = (image * ratio + 0.5).floor().cast("uchar" if deepest == "uint8" else "ushort")
    return _named_space(image)


def _named_space(image: pyvips.Image) -> pyvips.Image:
    """The image said to be in the colour space that its bands and depth mean."""
    grey = image.bands < 3
    name = {"uchar": ("srgb", "b-w"), "ushort": ("rgb16", "grey16"), "float": ("scrgb", "b-w")}[str(image.format)][grey]
    return image.copy(interpretation=name)
