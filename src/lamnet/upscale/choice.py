"""The choice between weights for clean pictures and for photographs, by a file's coding and its pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
GOOD_BITS = 3.0  # for each pixel of a lossy WebP or AVIF; about quality 85 and 80
_JPEG, _ONE_GRID = 0.45, 0.1  # a JPEG's blocks, at about that quality
_AGAIN, _ONE_GRID_AGAIN = 0.4, 0.05  # the same in a good JPEG of it
_LOSSY = 0.11  # blocks of no one grid, as WebP and AVIF leave them
_NOISE, _GRAIN = 2.6, 3.2  # standard deviations, of 255
_SOFT, _SOFT_EDGES = 0.64, 0.62  # fineness, steepness
_SOFT_EQUAL = 0.3  # equal neighbours, more of which are clipped or posterised rather than soft
_DRAWN = ((0.35, 0.6), (0.12, 0.73))  # equal neighbours and steepness of text, logos and screenshots

_LOSSLESS = frozenset({"ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png", "qtrle", "v210", "magicyuv"})


@dataclass(frozen=True)
class Facts:
    """Facts of a picture or video.

    Attributes:
        lossy: the lossy coding of its file, such as "JPEG" or "lossy WebP"; None of others, and of arrays.
        quality: of a JPEG, by its tables, on the scale of the Independent JPEG Group; None where it is not known.
        bits: of a lossy WebP or AVIF, for each pixel; None where it is not known.
        measured: measurements of its pixels; None where it is too small for them, or they need not be made.
        lossless_video: whether it is a video that has lost nothing, which is not measured.
    """

    lossy: str | None = None
    quality: int | None = None
    bits: float | None = None
    measured: Measured | None = None
    lossless_video: bool = False

    @property
    def poor(self) -> bool:
        """Whether the file alone asks for photo weights."""
        if self.quality is not None:
            return self.quality < GOOD_JPEG
        return self.lossy is not None and (self.bits is None or self.bits < GOOD_BITS)

    @property
    def coding(self) -> str | None:
        """The lossy coding, in words."""
        if self.quality is not None:
            return f"{self.lossy} quality {self.quality}"
        return f"{self.lossy} of {self.bits:.1f} bits a pixel" if self.bits is not None else self.lossy


@dataclass(frozen=True)
class Choice:
    """The weights for a picture, and why."""

    variant: Variant
    reason: str

    def __str__(self) -> str:
        return f"{self.variant} weights: {self.reason}"


def decide(facts: Facts) -> Choice:
    """Decide which weights suit a picture or video."""
    coding = facts.coding
    if coding and facts.poor:
        return Choice("photo", coding)
    if facts.measured is None:
        return Choice("clean", coding or ("lossless video" if facts.lossless_video else "too small to tell"))
    if seen := _graphics(facts.measured) or _worst_flaw(facts.measured, facts.lossy):
        return Choice("photo", f"{coding}, {seen}" if coding else seen)
    return Choice("clean", coding or "no trace of compression, noise or blur")


def facts_of(source: Picture | Clip | Raster) -> Facts:
    """Learn the facts of a picture by its first page, of a video by its header, or of an array. Raises BadImageError."""
    if isinstance(source, Picture):
        extras = source.extras
        known = Facts(extras.lossy, extras.quality, extras.bits)
        return known if known.poor else replace(known, measured=_measured(PageRaster(source, 0), extras.lossy))
    if isinstance(source, Raster):
        return Facts(measured=_measured(source))
    return Facts(lossless_video=True) if source.codec in _LOSSLESS else Facts("video")


def _graphics(measured: Measured) -> str | None:
    """Name the kind of graphics that a picture is, which photo weights alone have seen; None of photographs."""
    if measured.few_levels:
        return "graphics of few colours"
    drawn = any(measured.equal > equal and measured.steepness > steepness for equal, steepness in _DRAWN)
    return "graphics" if drawn else None


def _worst_flaw(measured: Measured, lossy: str | None) -> str | None:
    """Name the plainest flaw of a picture; None without one."""
    blocks, one_grid = (_AGAIN, _ONE_GRID_AGAIN) if lossy == "JPEG" else (_JPEG, _ONE_GRID)
    if measured.blocks > blocks and measured.one_grid > one_grid:
        return "blocks of JPEG"
    if measured.noise > _NOISE:
        return f"noise of about {measured.noise:.0f} of 255"
    if measured.grain > _GRAIN:
        return f"grain of about {measured.grain:.0f} of 255"
    soft = measured.fineness is not None and measured.fineness < _SOFT and measured.steepness < _SOFT_EDGES
    if soft and measured.equal < _SOFT_EQUAL:
        return "soft"
    if not lossy and measured.blocks > _LOSSY and measured.one_grid < _ONE_GRID:
        return "traces of lossy compression"
    return None


def _measured(raster: Raster, lossy: str | None = None) -> Measured | None:
    boxes = [
        Box(top, left, height, width)
        for top, height in quality.places(raster.height)
        for left, width in quality.places(raster.width)
    ]
    zero = quality.ZERO_IN_JPEG if lossy == "JPEG" else quality.ZERO
    return quality.measure([_crop(raster, box) for box in boxes], zero)


def _crop(raster: Raster, box: Box) -> NDArray[np.float32]:
    """Read the colours of a box, (height, width, 1 or 3) in 0..255; pixels without data are black, as for the network."""
    levels, pixels = raster.levels, raster.read(box)
    colours = pixels[..., : 1 if raster.bands < 3 else 3].astype(np.float32)
    if levels.no_data:
        colours[levels.holes(pixels)] = np.float32(levels.black)
    colours = (colours - np.float32(levels.black)) * np.float32(255 / (levels.white - levels.black))
    return colours.clip(0, 255)
