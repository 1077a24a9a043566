"""Images in another depth or size."""

from __future__ import annotations

import pyvips

from lamnet.media.contract import Format
from lamnet.media.depths import depth_named, depth_of


def resized(image: pyvips.Image, size: tuple[int, int]) -> pyvips.Image:
    """Return the image in this (width, height), by Lanczos; colours weighted by their alpha, so that hidden ones do not show."""
    if (image.width, image.height) == size:
        return image
    image, depth = in_its_space(image), depth_of(image)
    alpha = image.bands in (2, 4)
    if alpha:
        image = image.premultiply(max_alpha=depth.white)
    image = image.resize(size[0] / image.width, vscale=size[1] / image.height, kernel="lanczos3")
    if alpha:
        image = image.unpremultiply(max_alpha=depth.white)
    return image if depth.band == "float" else image.rint().cast(depth.band)


def in_depth_of(format: Format, image: pyvips.Image) -> pyvips.Image:
    """Return the image in a depth that the format holds, its numbers scaled."""
    depth, deepest = depth_of(image), depth_named(format.dtypes[-1])
    if depth.dtype not in format.dtypes:
        image = (image * (deepest.white / depth.white) + 0.5).floor().cast(deepest.band)
    return in_its_space(image)


def in_its_space(image: pyvips.Image) -> pyvips.Image:
    """Return the image marked as of the colour space that its bands and depth mean."""
    return image.copy(interpretation=depth_of(image).space(image.bands))
