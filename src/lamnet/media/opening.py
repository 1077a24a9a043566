"""Opens a picture file: pages upright, in a depth of ours, with the metadata that libvips does not see."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyvips

from lamnet.base.errors import BadImageError
from lamnet.media import formats, metadata, vips
from lamnet.media.codecs import avif, bmp, gif, png, tiff
from lamnet.media.formats import Format, format_of
from lamnet.media.picture import DTYPES, Picture
from lamnet.media.vips import first_reader

_YCBCR_TO_RGB = [[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]]  # BT.601


def load(path: Path, **options: int) -> pyvips.Image:
    """libvips' image of a file, pixels not yet read; the loader is chosen by content and never reads options in a name.

    Raises BadImageError when it is missing, empty, of another kind, or its header is broken.
    """
    if first_reader() != os.getpid():
        raise BadImageError(f"{path}: expected a spawned process, found one forked from one that has read pictures")
    kind = format_of(path)
    if kind.name == "jxl" and not pyvips.type_find("VipsOperation", "jxlload"):
        raise BadImageError(
            f"{path}: JPEG XL wants a libvips that reads it: install the system's and remove pyvips-binary"
        )
    with vips.named(path, "expected a picture"):
        if kind.name == "bmp":
            return bmp.load(path)
        if kind.name == "gif" and not gif.is_whole(path):
            raise BadImageError(f"{path}: expected a whole picture, found its end within a frame")
        if kind.name == "tiff":
            return _load_tiff(path, options)
        return pyvips.Operation.call(
            f"{kind.name}load", os.fsencode(path), fail_on="truncated", revalidate=True, **options
        )


def _load_tiff(path: Path, options: dict[str, int]) -> pyvips.Image:
    """Cut, spoilt and unknown pixels are errors to libtiff; of those in tiles libvips tells at its next level only."""
    mended = tiff.mended(path, options.get("page", 0))
    name, source = ("tiffload_buffer", mended.data) if mended.data else ("tiffload", os.fsencode(path))
    image = pyvips.Operation.call(name, source, fail_on="error", revalidate=True, **options)
    if image.get_typeof("tile-width"):
        image = pyvips.Operation.call(name, source, fail_on="warning", revalidate=True, **options)
    return _rgb_of(image, mended.space) if mended.space else image


def _rgb_of(pixels: Any, space: tiff.Space) -> pyvips.Image:
    """Numbers of another space, said to be RGB, in RGB; Lab as ICC has it, with the white of D50."""
    if space == "white at 0":
        return 1 - pixels
    colour, alpha = pixels.extract_band(0, n=3), [pixels[3]] if pixels.bands > 3 else []
    most = 255 if pixels.format == "uchar" else 65535
    if space == "YCbCr":
        chroma = pixels[0].bandjoin([pixels[band] - (most + 1) // 2 for band in (1, 2)])
        rgb = chroma.recomb(pyvips.Image.new_from_array(_YCBCR_TO_RGB)).rint().cast(pixels.format)
    else:
        unit = (most + 1) // 256  # of a and b
        lightest = 65280 if space == "ICCLab" and most > 255 else most
        if space == "CIELab":
            bands = [(colour[band] ^ (most + 1) // 2) - (most + 1) // 2 for band in (1, 2)]
        else:
            bands = [colour[band] - 128 * unit for band in (1, 2)]
        lab = (colour[0] * (100 / lightest)).bandjoin([band / unit for band in bands]).copy(interpretation="lab")
        rgb = lab.icc_export(output_profile="srgb", depth=8 if most == 255 else 16)
    return rgb.bandjoin(alpha) if alpha else rgb


MAX_PIXELS = 500_000_000  # of one file, all pages together; a header that claims more is refused unless asked for
# Primaries and transfer characteristics of ITU-T H.273: those of sRGB and what is taken for it, and Display P3's.
_SRGB_PRIMARIES, _SRGB_TRANSFERS = (1, 2), (1, 2, 6, 13, 14, 15)
_P3_PRIMARIES = 12
_RGB_OR_GREY = frozenset({"b-w", "grey16", "srgb", "rgb", "rgb16", "scrgb", "multiband"})


def open_picture(path: Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """Open a picture file. Raises BadImageError when it is none, or claims more than `max_pixels` on all pages together."""
    kind = formats.format_of(path)
    if _loses_frames(path, kind):
        raise BadImageError(
            f"{path}: expected one picture, found an animated {kind.suffixes[0][1:].upper()}: make it a WebP or GIF first"
        )
    animated = kind.name in ("gif", "webp")
    first = load(path, **({"n": -1} if animated else {}))
    count = first.get_n_pages() if kind.pages else 1
    with vips.named(path, "expected a picture"):
        height = first.get_page_height() if animated else first.height
        _check_size(path, first.width, height * count, max_pixels)
        if animated:
            pages = [first.crop(0, i * height, first.width, height) for i in range(count)]
        else:
            pages = [first] + [load(path, page=i) for i in range(1, count)]
            _check_size(path, max(p.width for p in pages), sum(p.height for p in pages), max_pixels)
        ready = tuple(_prepared(path, page) for page in _upright(path, kind, pages))
        colours = None if metadata.profiled(ready[0]) else _stated(path, kind, ready[0].bands)
    return Picture(path, kind, ready, animated and count > 1, colours)


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise BadImageError(
            f"{path}: expected at most {max_pixels:,} pixels (--max-pixels), its header claims {width} x {height}"
        )


def _loses_frames(path: Path, kind: Format) -> bool:
    """Whether there are frames of which libvips would give the first alone."""
    with vips.named(path, "cannot be read"):
        return (kind.name == "png" and png.is_animated(path)) or (kind.name == "heif" and avif.is_animated(path))


def _stated(path: Path, kind: Format, bands: int) -> tuple[int, int] | None:
    """The colours that a file states by number, but for sRGB's; of grey the transfer characteristics count alone."""
    find = {"png": png.colours, "heif": avif.colours}.get(kind.name)
    said = find(path) if find else None
    if said is None or (said[1] in _SRGB_TRANSFERS and (bands < 3 or said[0] in _SRGB_PRIMARIES)):
        return None
    return said


def _upright(path: Path, kind: Format, pages: list[pyvips.Image]) -> list[pyvips.Image]:
    """The pages with the metadata that libvips does not see, turned as they say."""
    if kind.name == "tiff":
        return _upright_pages(pages, tiff.pages_of(path, len(pages)))
    stated = _stated(path, kind, pages[0].bands)
    if stated and stated[0] == _P3_PRIMARIES and stated[1] in _SRGB_TRANSFERS and not metadata.profiled(pages[0]):
        profile: Any = pyvips.Operation.call("profile_load", "p3")
        pages = [metadata.with_blobs(pages[0], {"icc-profile-data": profile})]
    if kind.name == "heif" and pages[0].hasalpha() and avif.is_premultiplied(path):
        known: Any = pages[0]
        pages = [known.unpremultiply().rint().cast(known.format)]
    if kind.name == "png":
        unseen = {name: blob for name, blob in png.metadata_of(path).items() if not pages[0].get_typeof(name)}
        pages = [metadata.with_blobs(pages[0], unseen)]
    turned = bool(pages[0].get_typeof("orientation")) or kind.name == "heif"  # whose own turn libvips has made
    return [metadata.upright(page, turned) for page in pages]


def _upright_pages(pages: list[pyvips.Image], known: list[tiff.Page]) -> list[pyvips.Image]:
    """The pages of a TIFF with their EXIF, upright, without those that are another one in a smaller size."""
    described = [
        metadata.upright(metadata.with_blobs(image, {"exif-data": page.exif} if page.exif else {}), page.oriented)
        for image, page in zip(pages, known, strict=True)
        if not page.reduced
    ]
    return described or [page.autorot() for page in pages]


def _prepared(path: Path, image: pyvips.Image) -> pyvips.Image:
    """Grey or RGB, with or without alpha, in a depth of ours."""
    if image.interpretation == "cmyk" and image.format not in ("uchar", "ushort"):
        raise BadImageError(f"{path}: expected CMYK in 8 or 16 bits, found {image.format}")
    if image.interpretation == "cmyk":
        depth = 16 if image.format == "ushort" else 8
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)
    elif image.interpretation not in _RGB_OR_GREY:
        image = image.colourspace("rgb16" if image.format in ("short", "ushort") else "srgb")
    if image.format == "ushort" and image.get_typeof("bits-per-sample"):
        image = _stretched(image)
    if str(image.format) not in DTYPES or image.bands > 4:
        raise BadImageError(
            f"{path}: expected 1 to 4 bands of 8 or 16 bits or float, found {image.bands} of {image.format}"
        )
    return metadata.without_strange_profile(image.cast("float") if image.format == "double" else image)


def _stretched(image: Any) -> pyvips.Image:
    """Of 10 or 12 bits, which libvips puts above zeros, all of the 16: white stays white."""
    return image | (image >> image.get("bits-per-sample"))
