"""Descriptions that state the size of a page or of its pixels: tifffile's, ImageJ's, OME-XML, scanners'."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, cast

from lamnet.base import records

_NUMBER = r"([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)"
_ORIGIN = re.compile(rf"^([xy])origin={_NUMBER}$", re.MULTILINE)  # ImageJ's, in pixels
_SCANNED = re.compile(rf"\b(MPP\s*=\s*){_NUMBER}")  # micrometres a pixel
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
_OME_SIZE = r"\bSize([XY])=\"(\d+)\""
_OME_PIXEL = rf"\bPhysicalSize([XY])=\"{_NUMBER}\""
_OME_SHAPES = re.compile(r"<(?:\w+:)?(?:ROI|Shape)\b")  # whose places are in pixels


class Laid(NamedTuple):
    """A page as its numbers lie in the file: (width, height), and bands, 1 for none of their own."""

    size: tuple[int, int]
    bands: int


def kind_of(text: str, size: tuple[int, int]) -> str | None:
    """Return in words whose description this is, which states a size; None for one that states none."""
    if _shape_in(text) is not None:
        return "tifffile's shape"
    if "<OME" in text[:2000] and _PIXELS.search(text):
        return "OME-XML"
    if text.startswith("ImageJ=") and _ORIGIN.search(text):
        return "ImageJ's"
    if _SCANNED.search(text) or _own_size(size).search(text):
        return "a size in words"
    return None


def corrected(text: str, page: Laid, size: tuple[int, int]) -> str | None:
    """Return a description of `kind_of` true for a result of this (width, height); None where it does not fit the page."""
    factor = {"x": size[0] / page.size[0], "y": size[1] / page.size[1]}
    match kind_of(text, page.size):
        case "tifffile's shape":
            return _with_shape(text, page, size)
        case "OME-XML":
            return _with_pixels(text, page, size, factor)
        case "ImageJ's":
            return _ORIGIN.sub(lambda found: f"{found[1]}origin={float(found[2]) * factor[found[1]]:.12g}", text)
        case _:
            text = _SCANNED.sub(lambda found: f"{found[1]}{float(found[2]) / factor['x']:.6g}", text)
            return _own_size(page.size).sub(rf"{size[0]}\g<1>{size[1]}", text)


def stacked(text: str) -> int:
    """Return how many pictures a description says lie behind the first without a directory; 0 for none."""
    if text.startswith("ImageJ=") and (found := re.search(r"^images=(\d+)$", text, re.MULTILINE)):
        return int(found[1]) - 1
    return 0


def _own_size(size: tuple[int, int]) -> re.Pattern[str]:
    return re.compile(rf"\b{size[0]}(\s*[xX\u00d7]\s*){size[1]}\b")


def _shape_in(text: str) -> dict[str, Any] | None:
    if not text.startswith("{") or '"shape"' not in text:
        return None
    try:
        found: object = records.parsed(text)
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) and "shape" in found else None


def _with_shape(text: str, page: Laid, size: tuple[int, int]) -> str | None:
    described, bands = _shape_in(text) or {}, [page.bands] if page.bands > 1 else []
    shape: object = described.get("shape")
    before, after = [*page.size[::-1], *bands], [*size[::-1], *bands]
    if not isinstance(shape, list) or cast("list[object]", shape)[-len(before) :] != before:
        return None
    return json.dumps({**described, "shape": [*cast("list[object]", shape)[: -len(before)], *after]})


def _with_pixels(text: str, page: Laid, size: tuple[int, int], factor: dict[str, float]) -> str | None:
    before, after = dict(zip("XY", map(str, page.size), strict=True)), dict(zip("XY", map(str, size), strict=True))
    for pixels in _PIXELS.findall(text):
        if dict(re.findall(_OME_SIZE, pixels)) != before:
            return None
    if _OME_SHAPES.search(text):
        return None

    def changed(found: re.Match[str]) -> str:
        pixels = re.sub(_OME_SIZE, lambda one: f'Size{one[1]}="{after[one[1]]}"', found[0])
        return re.sub(
            _OME_PIXEL, lambda one: f'PhysicalSize{one[1]}="{float(one[2]) / factor[one[1].lower()]:.12g}"', pixels
        )

    return _PIXELS.sub(changed, text)
