"""The choice between weights for clean pictures and for photographs, by a file's coding and its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lamnet.core.shipped import Variant
from lamnet.media import quality
from lamnet.media.picture import Picture
from lamnet.media.quality import Measured
from lamnet.upscale.plan import Box
from lamnet.upscale.raster import PageRaster, Raster

if TYPE_CHECKING:
    from lamnet.media.video.clip import Clip

# Where both are equally good, on pictures degraded in one way alone: tests/upscale/test_choice_accuracy.py.
GOOD_JPEG = 92  # the lowest quality of a JPEG that is as good as clean
_JPEG, _ONE_GRID = 0.45, 0.1  # a JPEG's blocks, at about that quality
_LOSSY = 0.11  # blocks of no one grid, as WebP and AVIF leave them
_NOISE, _GREY_NOISE = 2.6, 3.4  # standard deviations, of 255
_SOFT, _SOFT_EDGES = 0.57, 0.61  # fineness, steepness
_DRAWN = 0.9  # steepness of graphics, whose own squares look like blocks

_LOSSLESS = frozenset({"ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png", "qtrle", "v210", "magicyuv"})


@dataclass(frozen=True)
class Facts:
    """Facts of a picture or video.

    Attributes:
        lossy: the lossy coding of its file, such as "JPEG" or "lossy WebP"; None of others, and of arrays.
        quality: of a JPEG, by its tables, on the scale of the Independent JPEG Group; None where it is not known.
        measured: measurements of its pixels; None where they could not be made.
    """

    lossy: str | None = None
    quality: int | None = None
    measured: Measured | None = None


@dataclass(frozen=True)
class Choice:
    """The weights for a picture, and why."""

    variant: Variant
    reason: str

    def __str__(self) -> str:
        return f"{self.variant} weights: {self.reason}"


def decide(facts: Facts) -> Choice:
    """Decide which weights suit a picture or video."""
    coding = f"{facts.lossy} quality {facts.quality}" if facts.quality is not None else facts.lossy
    if coding and (facts.quality is None or facts.quality < GOOD_JPEG):
        return Choice("photo", coding)
    if flaw := _worst_flaw(facts.measured):
        return Choice("photo", f"{coding}, {flaw}" if coding else flaw)
    return Choice("clean", coding or "no trace of compression, noise or blur")


def facts_of(source: Picture | Clip | Raster) -> Facts:
    """Learn the facts of a picture by its first page, of a video by its header, or of an array. Raises BadImageError."""
    if isinstance(source, Picture):
        extras = source.extras
        known = Facts(extras.lossy, extras.quality)
        if known.lossy and (known.quality is None or known.quality < GOOD_JPEG):
            return known  # this decides the choice
        return Facts(extras.lossy, extras.quality, _measured(PageRaster(source, 0)))
    if isinstance(source, Raster):
        return Facts(measured=_measured(source))
    return Facts(None if source.codec in _LOSSLESS else "video")


def _worst_flaw(measured: Measured | None) -> str | None:
    """Name the plainest flaw of a picture; None without one."""
    if measured is None:
        return None
    if measured.blocks > _JPEG and measured.one_grid > _ONE_GRID:
        return "blocks of JPEG"
    if measured.noise > (_GREY_NOISE if measured.grey else _NOISE):
        return f"noise of about {measured.noise:.0f} of 255"
    if measured.fineness is not None and measured.fineness < _SOFT and measured.steepness < _SOFT_EDGES:
        return "soft"
    if measured.blocks > _LOSSY and measured.one_grid < _ONE_GRID and measured.steepness < _DRAWN:
        return "traces of lossy compression"
    return None


def _measured(raster: Raster) -> Measured | None:
    boxes = [
        Box(top, left, height, width)
        for top, height in quality.places(raster.height)
        for left, width in quality.places(raster.width)
    ]
    return quality.measure([_crop(raster, box) for box in boxes])


def _crop(raster: Raster, box: Box) -> NDArray[np.float32]:
    """Read the colours of a box, (height, width, 1 or 3) in 0..255; pixels without data are black, as for the network."""
    levels, pixels = raster.levels, raster.read(box)
    colours = pixels[..., : 1 if raster.bands < 3 else 3].astype(np.float32)
    if levels.no_data:
        colours[levels.holes(pixels)] = np.float32(levels.black)
    colours = (colours - np.float32(levels.black)) * np.float32(255 / (levels.white - levels.black))
    return colours.clip(0, 255)
