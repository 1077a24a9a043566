"""Opens a picture file: pages upright, in a depth of ours, with all that is learned of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyvips

from lamnet.base.errors import BadImageError
from lamnet.media import damage, metadata, vips
from lamnet.media.blobs import has_profile, with_blobs
from lamnet.media.codecs import decoded
from lamnet.media.contract import Extras
from lamnet.media.depths import DEPTHS
from lamnet.media.extra_bands import ExtraBands, split
from lamnet.media.formats import Codec, codec_of
from lamnet.media.orientation import orientation_of, upright
from lamnet.media.picture import Picture

MAX_PIXELS = 500_000_000  # of one file, all pages together; a header that claims more is refused unless asked for
# Primaries and transfer characteristics of ITU-T H.273: those of sRGB and what is taken for it, and Display P3's.
_SRGB_PRIMARIES, _SRGB_TRANSFERS = (1, 2), (1, 2, 6, 13, 14, 15)
_P3_PRIMARIES = 12
_AS_FLOATS = frozenset({"char", "short", "int", "uint", "double"})  # elevations and measurements, mostly
WORDS = {  # for libvips' formats
    "uchar": "8 bits",
    "char": "8 bits with a sign",
    "ushort": "16 bits",
    "short": "16 bits with a sign",
    "uint": "32 bits",
    "int": "32 bits with a sign",
    "float": "floats",
    "double": "floats of 64 bits",
    "complex": "complex numbers",
    "dpcomplex": "complex numbers of 128 bits",
}
_RGB_OR_GREY = frozenset({"b-w", "grey16", "srgb", "rgb", "rgb16", "scrgb", "multiband"})
_OTHER_COLOURS = {"cmyk": "CMYK", "lab": "Lab", "labs": "Lab"}


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open `n` pages of a file from `page` on, all for -1, as one libvips image; the loader is chosen by content.

    Raises BadImageError when the file is missing, empty, of another kind, or its header is broken.
    """
    vips.check_not_forked(path)
    return _load(codec_of(path), path, page, n)


def open_picture(path: Path, max_pixels: int = MAX_PIXELS, damaged: bool | None = None) -> Picture:
    """Open a picture file.

    Args:
        max_pixels: on all pages together; a file that claims more is refused.
        damaged: take what there is of a JPEG or PNG that is not whole, with a note that says so. All of it is decoded for
            that. Else such a file is refused, when its pixels are read; None leaves --damaged out of the refusal, for
            callers that have no such option.

    Raises BadImageError when it is no picture, or claims more pixels.
    """
    vips.check_not_forked(path)
    codec = codec_of(path)
    with decoded.refusing(path), vips.naming_errors(path, "cannot be read"):
        extras = codec.extras(path)
    if extras.hidden_frames:
        kind = codec.FORMAT.suffixes[0][1:].upper()
        raise BadImageError(f"{path}: expected one picture, found an animated {kind}: make it a WebP or GIF first")
    if extras.size:
        _check_size(path, *extras.size, max_pixels)
    salvaged = bool(damaged) and codec.FORMAT.salvageable
    pages = _pages(codec, path, max_pixels, salvaged)
    with vips.naming_errors(path, "expected a picture"):
        lost = damage.loss(path, codec.load, pages[0]) if salvaged else None
    with vips.naming_errors(path, "expected a picture"):
        described = [_described(page, extras, number) for number, page in enumerate(pages)]
        turned = [
            (upright(page, _is_oriented(page, extras, number)), extras.page(number).extra_kinds)
            for number, page in enumerate(described)
            if not extras.page(number).reduced
        ] or [(page.autorot(), extras.page(number).extra_kinds) for number, page in enumerate(pages)]
        apart = [split(page, kinds) for page, kinds in turned]
        ready = tuple(_prepared(path, page) for page, _ in apart)
        extra_bands = tuple(_with_our_depth(path, bands) for _, bands in apart)
    colours = None if has_profile(ready[0]) else _unlike_srgb(extras.colours, ready[0].bands)
    animated = codec.FORMAT.frames and len(pages) > 1
    return Picture(
        path,
        codec.FORMAT,
        ready,
        animated,
        colours,
        orientation_of(described[0]),
        extras,
        notes=extras.notes + ((lost,) if lost else ()) + _of_profiles(described) + _of_colours(described),
        extra_bands=extra_bands if any(extra_bands) else (),
        hint=damage.HINT if damaged is False and codec.FORMAT.salvageable else "",
    )


def _load(codec: Codec, path: Path, page: int = 0, n: int = 1, damaged: bool = False) -> pyvips.Image:
    with vips.naming_errors(path, "expected a picture"):
        return damage.load(path, codec.FORMAT) if damaged else codec.load(path, page, n)


def _pages(codec: Codec, path: Path, max_pixels: int, damaged: bool) -> list[pyvips.Image]:
    """Return the pages or frames as they are in the file."""
    first = _load(codec, path, n=-1 if codec.FORMAT.frames else 1, damaged=damaged)
    several = codec.FORMAT.frames or codec.FORMAT.pages
    count: Any = first.get("n-pages") if several and first.get_typeof("n-pages") else 1  # get_n_pages gives 1 of 10,000
    height = first.get_page_height() if codec.FORMAT.frames else first.height
    _check_size(path, first.width, height * count, max_pixels)
    if codec.FORMAT.frames:
        with vips.naming_errors(path, "expected a picture"):
            return [first.crop(0, number * height, first.width, height) for number in range(count)]
    pages = [first, *(_load(codec, path, page=number) for number in range(1, count))]
    _check_size(path, max(page.width for page in pages), sum(page.height for page in pages), max_pixels)
    return pages


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise BadImageError(
            f"{path}: expected at most {max_pixels:,} pixels (--max-pixels), its header claims {width} x {height}"
        )


def _unlike_srgb(colours: tuple[int, int] | None, bands: int) -> tuple[int, int] | None:
    """Return colours by number unless they are sRGB's; of grey the transfer characteristics count alone."""
    if colours is None or (colours[1] in _SRGB_TRANSFERS and (bands < 3 or colours[0] in _SRGB_PRIMARIES)):
        return None
    return colours


def _described(page: Any, extras: Extras, number: int) -> pyvips.Image:
    """Return a page with what its file holds and libvips has not seen."""
    blobs = {name: blob for name, blob in extras.page(number).blobs.items() if not page.get_typeof(name)}
    if not extras.page(number).resolved:
        page = page.copy(xres=1.0, yres=1.0)
    colours = _unlike_srgb(extras.colours, page.bands)
    if colours and colours[0] == _P3_PRIMARIES and colours[1] in _SRGB_TRANSFERS and not has_profile(page):
        profile: Any = pyvips.Operation.call("profile_load", "p3")
        blobs["icc-profile-data"] = profile
    if blobs:
        page = with_blobs(page, blobs)
    return page.unpremultiply().rint().cast(page.format) if extras.premultiplied and page.hasalpha() else page


def _of_profiles(pages: Sequence[pyvips.Image]) -> tuple[str, ...]:
    """Return a line where a page's profile says nothing of its colours, and so does not go along."""
    if not any(metadata.unusable_profile(page) for page in pages):
        return ()
    return ("without its ICC profile, which is cut or for other colours than the picture's",)


def _of_colours(pages: Sequence[pyvips.Image]) -> tuple[str, ...]:
    """Return a line where a page's colours are none of ours, and become RGB."""
    found = [str(page.interpretation) for page in pages if page.interpretation not in _RGB_OR_GREY]
    return tuple(f"in RGB, not {name}" for name in dict.fromkeys(_OTHER_COLOURS.get(one, one) for one in found))


def _is_oriented(page: Any, extras: Extras, number: int) -> bool:
    stated = extras.page(number).oriented
    return bool(page.get_typeof("orientation")) if stated is None else stated


def _prepared(path: Path, image: pyvips.Image) -> pyvips.Image:
    """Return a page in grey or RGB, with or without alpha, in a depth of ours."""
    if image.interpretation == "cmyk" and image.format not in ("uchar", "ushort"):
        raise BadImageError(f"{path}: expected CMYK in 8 or 16 bits, found {image.format}")
    if image.interpretation == "cmyk":
        depth = 16 if image.format == "ushort" else 8
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)
    elif image.interpretation not in _RGB_OR_GREY:
        image = image.colourspace("rgb16" if image.format in ("short", "ushort") else "srgb")
    image = _in_our_depth(path, image)
    if image.bands > 4:
        raise BadImageError(f"{path}: expected 1 to 4 bands, found {image.bands} that are not told apart")
    return metadata.without_unusable_profile(image)


def _with_our_depth(path: Path, bands: ExtraBands | None) -> ExtraBands | None:
    return bands and replace(bands, image=_in_our_depth(path, bands.image))


def _in_our_depth(path: Path, image: pyvips.Image) -> pyvips.Image:
    if image.format == "ushort" and image.get_typeof("bits-per-sample"):
        image = _stretched(image)
    if image.format in _AS_FLOATS:
        image = image.cast("float").copy(interpretation="b-w" if image.bands < 3 else "scrgb")
    if image.format not in [depth.band for depth in DEPTHS]:
        raise BadImageError(
            f"{path}: expected 8 or 16 bits or float, found {image.bands} bands of {WORDS[str(image.format)]}"
        )
    return image


def _stretched(image: Any) -> pyvips.Image:
    """Return 10 or 12 bits, which libvips puts above zeros, over all of the 16, so that white stays white."""
    return image | (image >> image.get("bits-per-sample"))
