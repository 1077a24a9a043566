"""Results into files: which format holds them, and writing them with what their source carried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyvips

from lamnet.base import files
from lamnet.base.errors import BadImageError
from lamnet.media import formats, metadata, opening, vips
from lamnet.media.codecs import jpeg, png, tiff, webp
from lamnet.media.convert import in_depth_of
from lamnet.media.formats import Format
from lamnet.media.picture import Picture


def suffix_for(picture: Picture, size: tuple[int, int]) -> str:
    """The result's suffix: the source's where its format can hold a result of this (width, height), else one that can.

    A GIF's palette cannot: its result is a PNG, or a WebP when animated.
    """
    kinds = {kind.name: kind for kind in formats.FORMATS if kind.written and kind.name != "gif"}
    own = kinds.pop(picture.format.name, None)
    others = ("webp",) if picture.animated else ("png", "webp", "tiff")
    ordered = ([own] if own else []) + [kinds[name] for name in others if name in kinds]
    for kind in ordered:
        if not lacks(kind, picture, size) and picture.dtype in kind.dtypes:
            same = kind is own and picture.path.suffix.lower() in kind.suffixes
            return picture.path.suffix if same else kind.suffixes[0]
    if picture.animated:
        raise BadImageError(f"{picture.path}: expected a result that WebP holds, got {size[0]} x {size[1]} pixels")
    return ".tif"


def check_target(picture: Picture, target: Path, size: tuple[int, int]) -> None:
    """Raises BadImageError when the format of the target's name cannot hold a result of this (width, height)."""
    if lack := lacks(formats.format_named(target), picture, size):
        raise BadImageError(f"{target}: expected a format that holds {lack}, found {target.suffix}")


def save(picture: Picture, results: list[pyvips.Image], target: Path) -> None:
    """Write the results of a picture's pages with the picture's metadata; the file appears whole or not at all."""
    kind = formats.format_named(target)
    if kind.name == "tiff":
        _save_pages(kind, picture, results, target)
        return
    source = picture.pages[0]
    with vips.named(target, "cannot be written"):
        whole = results[0] if len(results) == 1 else pyvips.Image.arrayjoin(results, across=1)
        whole = _finished(kind, source, whole, (results[0].width, results[0].height))
        if len(results) > 1:
            _set_frames(whole, source, results[0].height)
        exif = _exif_for(kind, source, (results[0].width, results[0].height))
    options: dict[str, Any] = {"keep": metadata.kept(source, with_exif=exif is None)}
    with files.appearing(target) as partial, vips.named(target, "cannot be written"):
        if kind.name == "png":
            _save_png(kind, picture, whole, partial, exif, **options)
        elif kind.name == "jpeg":
            _save_jpeg(kind, picture, whole, partial, exif, target, **options)
        elif kind.name == "webp":
            _save_webp(kind, picture, whole, partial, exif, **options)
        else:  # AVIF
            vips.write(kind, partial, whole, bitdepth=8 if whole.format == "uchar" else 12, **options)


def _exif_for(kind: Format, source: pyvips.Image, size: tuple[int, int]) -> bytes | None:
    """The EXIF that a result of this (width, height) gets from us; None where there is none or libvips does it."""
    if kind.name not in ("jpeg", "png", "webp"):
        return None
    most = jpeg.MOST_EXIF if kind.name == "jpeg" else None
    return metadata.carried_exif(source, (size[0] / source.width, size[1] / source.height), size, most)


def _save_jpeg(
    kind: Format, picture: Picture, image: pyvips.Image, path: Path, exif: bytes | None, target: Path, **options: Any
) -> None:
    beside = None
    if picture.format.name == "jpeg":
        with vips.named(picture.path, "cannot be read"):
            beside = jpeg.beside(picture.path, metadata.orientation(opening.load(picture.path)))
        image = metadata.with_item_lengths(image, beside.lengths)
    if iptc := metadata.iptc_of(picture.pages[0]):
        image = metadata.with_iptc(image, iptc)
    _check_jpeg(target, exif, image)
    vips.write(kind, path, image, **options)
    jpeg.put(path, exif, beside)


def _check_jpeg(target: Path, exif: bytes | None, image: Any) -> None:
    """Raises BadImageError when metadata are longer than a JPEG's segments, where libvips would leave them out."""
    xmp = image.get("xmp-data") if image.get_typeof("xmp-data") else b""
    for name, data, most in (("EXIF", exif or b"", jpeg.MOST_EXIF), ("XMP", xmp, jpeg.MOST_XMP)):
        if len(data) > most:
            raise BadImageError(
                f"{target}: expected a format that holds {len(data):,} bytes of {name}, found {target.suffix}"
            )


def _save_webp(kind: Format, picture: Picture, image: Any, path: Path, exif: bytes | None, **options: Any) -> None:
    lossless = picture.format.name == "webp" and webp.is_lossless(picture.path)
    vips.write(kind, path, image, lossless=lossless, **options)
    if image.get_typeof("delay"):
        webp.put_delays(path, image.get("delay"))
    if exif:
        webp.put_exif(path, exif, (image.width, image.get_page_height()), image.hasalpha())


def _save_png(kind: Format, picture: Picture, image: Any, path: Path, exif: bytes | None, **options: Any) -> None:
    """libvips would pack XMP so that others do not find it, and spoil texts that are not ASCII."""
    described = png.described(picture.path) if picture.format.name == "png" else b""
    if image.get_typeof("xmp-data"):
        described += png.xmp_chunk(image.get("xmp-data"))
        image.remove("xmp-data")
    if exif:
        described += png.exif_chunk(exif)
    if picture.colours and picture.format.name != "png":
        described += png.colours_chunk(*picture.colours)
    vips.write(kind, path, image, **options)
    png.add(path, described)


def _save_pages(kind: Format, picture: Picture, results: list[pyvips.Image], target: Path) -> None:
    """Each page a TIFF, put behind the earlier ones: so they can differ in size, depth and metadata."""
    bytes_a_pixel = {"uint8": 1, "uint16": 2, "float32": 4}[picture.dtype]
    large = sum(one.width * one.height * one.bands for one in results) * bytes_a_pixel > 2**31
    page = files.partial_of(target, ".page")
    try:
        with files.appearing(target) as partial, vips.named(target, "cannot be written"):
            for number, (source, result) in enumerate(zip(picture.pages, results, strict=True)):
                finished = _finished(kind, source, result, (result.width, result.height))
                part = page if number else partial
                vips.write(kind, part, finished, keep=metadata.kept(source), bigtiff=large)
                exif, iptc = metadata.exif_of(source), metadata.iptc_of(source)
                if number or exif or iptc:
                    tiff.add_page(partial, part, exif, iptc)
    finally:
        page.unlink(missing_ok=True)


def _finished(kind: Format, source: pyvips.Image, result: pyvips.Image, size: tuple[int, int]) -> pyvips.Image:
    """A result of one page or frame's (width, height) in a depth that the format holds, with its source's metadata."""
    factor = (size[0] / source.width, size[1] / source.height)
    finished = metadata.carry(source, in_depth_of(kind, result), factor, size)
    if metadata.profiled(finished) and (1 if finished.bands < 3 else 3) not in kind.profiled:
        finished = finished.icc_transform("srgb", embedded=True, depth=16 if finished.format == "ushort" else 8)
    return finished


def lacks(kind: Format, picture: Picture, size: tuple[int, int]) -> str | None:
    if max(size) > kind.side:
        return f"{size[0]} x {size[1]} pixels"
    if picture.pages[0].bands in (2, 4) and not kind.alpha:
        return "transparency"
    if len(picture.pages) > 1 and not (kind.pages and (picture.animated or kind.name == "tiff")):
        return f"{len(picture.pages)} {'frames' if picture.animated else 'pages'}"
    if picture.colours and kind.name != "png":
        return f"colours of primaries {picture.colours[0]} and transfer {picture.colours[1]} (ITU-T H.273)"
    return None


def _set_frames(image: pyvips.Image, source: pyvips.Image, height: int) -> None:
    image.set_type(pyvips.GValue.gint_type, "page-height", height)
    for name in ("delay", "loop", "background"):
        if source.get_typeof(name):
            image.set_type(source.get_typeof(name), name, source.get(name))
