"""Degradations: LR patches made from HR patches in training, by a frozen dataclass of ranges and functions that return it.

The order is that of BSRGAN (Zhang et al. 2021, arXiv:2103.14006) and Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833): blur,
downscaling, then noise and compression in random order, compression sometimes twice. Both papers draw strengths for badly
degraded pictures: blur to several pixels, noise of deviation 1 to 30, JPEG from 30. Here they are those of photographs from
cameras and the web, a part is left clean, and the target is never sharpened, so that clean pictures stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError
from lamnet.evaluation import lossy
from lamnet.evaluation.resize import imresize, rounded
from lamnet.training import noise, reduction

MARGIN = 8  # LR pixels around a patch, for filters and for the blocks of JPEG
_BLOCK = 16  # of JPEG with 4:2:0 chroma, and of WebP

Range = tuple[float, float]


@dataclass(frozen=True)
class Degradation:
    """Shares of patches, 0 to 1, and ranges that strengths are drawn from uniformly.

    Attributes:
        clean: share that is made smaller by MATLAB's bicubic and no more. The shares below are of the others.
        drawn: share of patches that are drawn by code (text, flat graphics) instead of cut from photographs. They get
            no blur and no noise, and compression only of a quality in `drawn_quality`.
        drawn_clean: like `clean`, for drawn ones.
        drawn_quality: of JPEG and WebP of drawn ones.
        alone: share of photographs' patches that get only one of blur, noise and compression, drawn in proportion to the
            shares of these.
        together: share of photographs' other patches that get all three of them.
        blur: share that is blurred by a Gaussian before it is made smaller.
        blur_deviation: its standard deviation, LR pixels.
        anisotropic: share of blurs that have another deviation across, at a random angle.
        other_filters: share that is made smaller by another filter than MATLAB's bicubic: bilinear, box or Lanczos.
        in_parts: share that is made smaller twice, by a random size between.
        noise: share with noise.
        noise_deviation: 8-bit levels; of Poisson noise, at white.
        grey, poisson: shares of noise that is equal in all channels, and that is Poisson's.
        compression: share that is compressed.
        quality: of JPEG and WebP.
        webp: share of compressions by WebP; the others are JPEG.
        full_chroma: share of JPEGs with 4:4:4 chroma; the others have 4:2:0.
        twice: share of compressed ones that are compressed again, on another grid and at another quality.
    """

    clean: float = 1.0
    drawn: float = 0.0
    drawn_clean: float = 0.5
    drawn_quality: Range = (75, 98)
    alone: float = 0.0
    together: float = 0.0
    blur: float = 0.0
    blur_deviation: Range = (0.1, 0.9)
    anisotropic: float = 0.0
    other_filters: float = 0.0
    in_parts: float = 0.0
    noise: float = 0.0
    noise_deviation: Range = (0.5, 10)
    grey: float = 0.0
    poisson: float = 0.0
    compression: float = 0.0
    quality: Range = (40, 98)
    webp: float = 0.0
    full_chroma: float = 0.0
    twice: float = 0.0

    def __post_init__(self) -> None:
        limits = {
            "drawn_quality": (1, 100),
            "quality": (1, 100),
            "blur_deviation": (0.01, 1.2),
            "noise_deviation": (0.01, 100),
        }
        for name, value in asdict(self).items():
            if name not in limits:
                if not 0 <= value <= 1:
                    raise BadArgumentError(f"{name}: expected a share from 0 to 1, got {value}")
                continue
            low, high = limits[name]
            if not low <= value[0] <= value[1] <= high:
                raise BadArgumentError(f"{name}: expected two rising numbers from {low} to {high}, got {value}")


def clean() -> Degradation:
    """Return the degradation by MATLAB's bicubic alone, as papers train for their benchmarks."""
    return Degradation()


def photo() -> Degradation:
    """Return weak degradations of photographs from cameras and the web; half of the patches get only one kind.

    Otherwise patches that are blurred and nothing else are rare, and a small network takes all that look clean for sharp.
    """
    return Degradation(
        clean=0.08,
        drawn=0.1,
        alone=0.5,
        blur=0.45,
        blur_deviation=(0.25, 0.85),
        anisotropic=0.25,
        other_filters=0.35,
        in_parts=0.15,
        noise=0.3,
        grey=0.3,
        poisson=0.3,
        compression=0.85,
        quality=(32, 95),
        webp=0.12,
        full_chroma=0.3,
        twice=0.1,
    )


def degradation_named(name: str) -> Degradation:
    """Return the degradation of a name, "clean" or "photo". Raises BadArgumentError for any other."""
    for function in (clean, photo):
        if function.__name__ == name:
            return function()
    raise BadArgumentError(f"degradation: expected clean or photo, got {' '.join(name.split())[:40]}")


def degrade(
    hr: NDArray[np.uint8], scale: int, how: Degradation, generator: np.random.Generator, *, drawn: bool = False
) -> NDArray[np.uint8]:
    """Make an LR patch from an HR patch with a margin, all choices drawn from `generator`.

    Args:
        hr: (S, S, 3) with S = (p + 2 * MARGIN) * scale.
        drawn: the patch was drawn by code, see `Degradation.drawn`.

    Returns:
        (p, p, 3), the part within the margin.
    """
    if generator.random() < (how.drawn_clean if drawn else how.clean):
        return _inner(imresize(hr, Fraction(1, scale)))
    if how.alone and not drawn and generator.random() < how.alone:
        how = _only_one(how, generator)
    elif how.together and not drawn and generator.random() < how.together:
        how = replace(how, blur=1.0, noise=1.0, compression=1.0)
    pixels = rounded(_reduced(hr, scale, how, generator, blurred=not drawn))
    for part in _parts(how, generator, drawn):
        if part == "noise":
            pixels = _noisy(pixels, how, generator)
        else:
            pixels = _compressed(pixels, how, how.drawn_quality if drawn else how.quality, generator)
    return _inner(pixels)


def _only_one(how: Degradation, generator: np.random.Generator) -> Degradation:
    """Draw the only kind of degradation that a patch gets; none where all have a share of 0."""
    drawn = generator.random() * (how.blur + how.noise + how.compression)
    blur = drawn < how.blur
    noise = not blur and drawn < how.blur + how.noise
    compression = not blur and not noise and how.compression > 0
    return replace(how, blur=float(blur), noise=float(noise), compression=float(compression))


def _parts(how: Degradation, generator: np.random.Generator, drawn: bool) -> list[str]:
    """Draw the degradations of an LR patch, in order."""
    noisy, compressed, twice = generator.random(3) < (how.noise, how.compression, how.twice)
    parts = ["noise"] * bool(noisy and not drawn) + ["compression"] * int(compressed) * (1 + int(twice))
    return [parts[i] for i in generator.permutation(len(parts))]


def _reduced(
    hr: NDArray[np.uint8], scale: int, how: Degradation, generator: np.random.Generator, *, blurred: bool
) -> NDArray[np.float32]:
    side = hr.shape[0]
    small = side // scale
    kernel = _kernel(scale, how, generator) if blurred and generator.random() < how.blur else None
    if generator.random() < how.in_parts:
        between = round(side * scale ** -generator.uniform(0.2, 0.8))
        matrix = _resizing(how, between, small, generator) @ _resizing(how, side, between, generator)
    else:
        matrix = _resizing(how, side, small, generator)
    return reduction.reduce(hr, kernel, matrix)


def _resizing(how: Degradation, length: int, new: int, generator: np.random.Generator) -> reduction.Matrix:
    """Draw a filter and return the matrix that resizes an axis with it."""
    other = generator.random() < how.other_filters
    return reduction.resizing(reduction.FILTERS[generator.integers(1, 4) if other else 0], length, new)


def _kernel(scale: int, how: Degradation, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw a kernel in HR pixels."""
    first = second = generator.uniform(*how.blur_deviation) * scale
    if generator.random() < how.anisotropic:
        second = generator.uniform(*how.blur_deviation) * scale
    return reduction.gaussian(first, second, generator.uniform(0, math.pi))


def _noisy(pixels: NDArray[np.uint8], how: Degradation, generator: np.random.Generator) -> NDArray[np.uint8]:
    deviation = generator.uniform(*how.noise_deviation)
    add = noise.poisson if generator.random() < how.poisson else noise.gaussian
    return rounded(add(pixels, deviation, generator.random() < how.grey, generator))


def _compressed(
    pixels: NDArray[np.uint8], how: Degradation, quality: Range, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Compress and decompress, with the encoder's blocks at a random offset: 0 to 15 pixels above and left of the patch."""
    top, left = (int(shift) for shift in generator.integers(_BLOCK, size=2))
    padded = np.pad(pixels, ((top, 0), (left, 0), (0, 0)), "edge")
    level = round(generator.uniform(*quality))
    if generator.random() < how.webp:
        result = lossy.webp(padded, level)
    else:
        result = lossy.jpeg(padded, level, "4:4:4" if generator.random() < how.full_chroma else "4:2:0")
    return result[top:, left:]


def _inner(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels[MARGIN:-MARGIN, MARGIN:-MARGIN]
