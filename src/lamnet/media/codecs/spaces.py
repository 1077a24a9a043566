"""Colour spaces of TIFF pages that libvips takes for something else, and their way to RGB."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import pyvips

from lamnet.media.depths import depth_of

Space = Literal["CIELab", "ICCLab", "YCbCr", "white at 0"]


class _Rule(NamedTuple):
    """Pages that a space is found in: their photometric, bits and compressions, None for any."""

    photometric: int
    bits: tuple[int, ...] | None
    without: tuple[int, ...]  # compressions
    space: Space


_JPEGS = (6, 7)  # compressions whose decoders make RGB of YCbCr
_RULES = (
    _Rule(8, (8, 16), (), "CIELab"),
    _Rule(9, (8, 16), (), "ICCLab"),
    _Rule(6, None, _JPEGS, "YCbCr"),
    _Rule(0, (32, 64), (), "white at 0"),
)
LAB = (8, 9, 10)  # photometric interpretations
AS_RGB: tuple[Space | None, ...] = ("CIELab", "ICCLab", "YCbCr")  # spaces that libvips must be told are RGB
_YCBCR_TO_RGB = [[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]]  # BT.601


def space_of(photometric: int | None, bits: int | None, compression: int | None) -> Space | None:
    """Return the space of a page's numbers, None where libvips takes them for what they are."""
    for rule in _RULES:
        if photometric == rule.photometric and (rule.bits is None or bits in rule.bits):
            return rule.space if compression not in rule.without else None
    return None


def to_rgb(pixels: Any, space: Space) -> pyvips.Image:
    """Return numbers of a space, marked as RGB, in RGB or in grey."""
    colours = 1 if space == "white at 0" else 3
    convert = {"YCbCr": _from_ycbcr, "CIELab": _from_cielab, "ICCLab": _from_icclab, "white at 0": _inverted}[space]
    converted: Any = convert(pixels.extract_band(0, n=colours))
    if pixels.bands == colours:
        return converted
    extra = pixels.extract_band(colours, n=pixels.bands - colours)
    return converted.bandjoin(extra).copy(interpretation=converted.interpretation)


def _inverted(grey: Any) -> pyvips.Image:
    return 1 - grey


def _from_ycbcr(colour: Any) -> pyvips.Image:
    middle = (depth_of(colour).white + 1) // 2
    chroma = colour[0].bandjoin([colour[1] - middle, colour[2] - middle])
    return chroma.recomb(pyvips.Image.new_from_array(_YCBCR_TO_RGB)).rint().cast(colour.format)


def _from_cielab(colour: Any) -> pyvips.Image:
    """a and b are signed."""
    middle = (depth_of(colour).white + 1) // 2
    return _from_lab(colour, depth_of(colour).white, [(colour[band] ^ middle) - middle for band in (1, 2)])


def _from_icclab(colour: Any) -> pyvips.Image:
    """a and b are shifted by 128; of 16 bits the lightest is 0xFF00."""
    white = depth_of(colour).white
    shift = 128 * _unit(colour)
    return _from_lab(colour, 65280 if white > 255 else white, [colour[band] - shift for band in (1, 2)])


def _from_lab(colour: Any, lightest: int, chroma: list[Any]) -> pyvips.Image:
    """Convert through the ICC's Lab, with the white of D50."""
    unit = _unit(colour)
    lab = (colour[0] * (100 / lightest)).bandjoin([band / unit for band in chroma]).copy(interpretation="lab")
    return lab.icc_export(output_profile="srgb", depth=8 * depth_of(colour).size)


def _unit(colour: Any) -> int:
    """Return the number that stands for 1 in a and b."""
    return (depth_of(colour).white + 1) // 256
