"""Pictures of any kind made ready for the network, and results written: pages, depth, profile, formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet import avif, images, jpeg, metadata, png, tiff, webp
from lamnet.errors import BadArgumentError, BadImageError
from lamnet.images import Format

MAX_PIXELS = 500_000_000  # of one file, all pages together; a header that claims more is refused unless asked for
_WIDEST = float(np.finfo(np.float32).max)  # between the least and the most of a picture in floats

_DTYPES = {"uchar": "uint8", "ushort": "uint16", "float": "float32", "double": "float32"}
# Primaries and transfer characteristics of ITU-T H.273: those of sRGB and what is taken for it, and Display P3's.
_SRGB_PRIMARIES, _SRGB_TRANSFERS = (1, 2), (1, 2, 6, 13, 14, 15)
_P3_PRIMARIES = 12
_RGB_OR_GREY = frozenset({"b-w", "grey16", "srgb", "rgb", "rgb16", "scrgb", "multiband"})


@dataclass(frozen=True)
class Picture:
    """An opened file: its pages (frames, if `animated`), upright, 1 to 4 bands each, pixels not yet read.

    The numbers stay in the file's own colour space: a network trained on sRGB works on any gamma-coded RGB, and what a
    wider gamut holds survives. CMYK and Lab alone are converted, to sRGB.
    """

    path: Path
    format: Format
    pages: tuple[pyvips.Image, ...]
    animated: bool
    colours: tuple[int, int] | None = (
        None  # primaries and transfer characteristics by number, where no profile says them
    )

    @property
    def dtype(self) -> str:
        """Of the pixels: uint8, uint16 or float32; the deepest of all pages."""
        return max((dtype_of(page) for page in self.pages), key=["uint8", "uint16", "float32"].index)


def open_picture(path: Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """Open a picture file. Raises BadImageError when it is none, or claims more than `max_pixels` on all pages together."""
    kind = images.format_of(path)
    if _loses_frames(path, kind):
        raise BadImageError(
            f"{path}: expected one picture, found an animated {kind.suffixes[0][1:].upper()}: make it a WebP or GIF first"
        )
    animated = kind.name in ("gif", "webp")
    first = images.load(path, **({"n": -1} if animated else {}))
    count = first.get_n_pages() if kind.pages else 1
    with images.named(path, "expected a picture"):
        height = first.get_page_height() if animated else first.height
        _check_size(path, first.width, height * count, max_pixels)
        if animated:
            pages = [first.crop(0, i * height, first.width, height) for i in range(count)]
        else:
            pages = [first] + [images.load(path, page=i) for i in range(1, count)]
            _check_size(path, max(p.width for p in pages), sum(p.height for p in pages), max_pixels)
        ready = tuple(_prepared(path, page) for page in _upright(path, kind, pages))
        colours = None if metadata.profiled(ready[0]) else _stated(path, kind, ready[0].bands)
    return Picture(path, kind, ready, animated and count > 1, colours)


def dtype_of(page: pyvips.Image) -> str:
    """Of a page's pixels: uint8, uint16 or float32."""
    return _DTYPES[str(page.format)]


def read(picture: Picture, page: int, top: int, left: int, height: int, width: int) -> NDArray[Any]:
    """(height, width, bands) of a page. Raises BadImageError when the file is truncated or holds NaN or infinity."""
    with images.named(picture.path, "expected a whole picture"):
        pixels = images.pixels_of(picture.pages[page].crop(left, top, width, height))
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise BadImageError(f"{picture.path}: expected finite numbers, found NaN or infinity")
    return pixels


@dataclass(frozen=True)
class Levels:
    """The numbers that stand for black, white and opaque; `beyond`: whether some lie beyond black or white."""

    black: float
    white: float
    opaque: float
    beyond: bool = False


def levels(picture: Picture, page: int) -> Levels:
    """What the numbers of a page mean, as `levels_of`. Raises BadImageError."""
    try:
        with images.named(picture.path, "expected a whole picture"):
            return levels_of(picture.pages[page])
    except BadArgumentError as error:
        raise BadImageError(f"{picture.path}: {error}") from error


def levels_of(image: Any) -> Levels:
    """What an image's numbers mean.

    Of 8 bits the type's; of 16 those of the bits that are used, at least 8. Floats reach from 0 to 1, or as far as they
    go: but for outliers, fewer than one in a hundred, which lie beyond. Raises BadArgumentError when floats are further
    apart than float32 reaches, pyvips.Error when they cannot be read.
    """
    if dtype_of(image) == "uint8":
        return Levels(0, 255, 255)
    colours = 1 if image.bands < 3 else 3
    colour, alpha = image.extract_band(0, n=colours), image[colours] if image.bands > colours else None
    if dtype_of(image) == "uint16":
        return Levels(0, 2 ** max(8, int(colour.max()).bit_length()) - 1, 65535)
    least, most = colour.min(), colour.max()
    if max(0.0, most) - min(0.0, least) > _WIDEST:
        raise BadArgumentError(f"expected numbers at most {_WIDEST:.3g} apart, found {least:g} to {most:g}")
    white = 1.0 if most <= 1 else max(1.0, _upper(colour, least, most))
    black = 0.0 if least >= 0 else min(0.0, -_upper(-colour, -most, -least))
    opaque = 1.0 if alpha is None else max(1.0, alpha.max())
    return Levels(black, white, opaque, beyond=least < black or most > white)


def _upper(colour: Any, least: float, most: float) -> float:
    """What an image in floats reaches: the most, unless that is more than twice what all but one in 200 numbers stay below."""
    numbers, level = colour.bandunfold(), most
    while level > 1:  # each time as finely as histograms of 16 bits tell
        step = (level - min(0.0, least)) / 65535
        finer = min(0.0, least) + step * (1 + ((numbers - min(0.0, least)) / step).cast("ushort").percent(99.5))
        if finer > level / 100:
            return most if most <= 2 * finer else finer
        level = finer
    return level


def suffix_for(picture: Picture, size: tuple[int, int]) -> str:
    """The result's suffix: the source's where its format can hold a result of this (width, height), else one that can.

    A GIF's palette cannot: its result is a PNG, or a WebP when animated.
    """
    kinds = {kind.name: kind for kind in images.FORMATS if kind.written and kind.name != "gif"}
    own = kinds.pop(picture.format.name, None)
    others = ("webp",) if picture.animated else ("png", "webp", "tiff")
    ordered = ([own] if own else []) + [kinds[name] for name in others if name in kinds]
    for kind in ordered:
        if not _lacks(kind, picture, size) and picture.dtype in kind.dtypes:
            same = kind is own and picture.path.suffix.lower() in kind.suffixes
            return picture.path.suffix if same else kind.suffixes[0]
    if picture.animated:
        raise BadImageError(f"{picture.path}: expected a result that WebP holds, got {size[0]} x {size[1]} pixels")
    return ".tif"


def check_target(picture: Picture, target: Path, size: tuple[int, int]) -> None:
    """Raises BadImageError when the format of the target's name cannot hold a result of this (width, height)."""
    if lack := _lacks(images.format_named(target), picture, size):
        raise BadImageError(f"{target}: expected a format that holds {lack}, found {target.suffix}")


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


def save(picture: Picture, results: list[pyvips.Image], target: Path) -> None:
    """Write the results of a picture's pages with the picture's metadata; the file appears whole or not at all."""
    kind = images.format_named(target)
    if kind.name == "tiff":
        _save_pages(kind, picture, results, target)
        return
    source = picture.pages[0]
    with images.named(target, "cannot be written"):
        whole = results[0] if len(results) == 1 else pyvips.Image.arrayjoin(results, across=1)
        whole = _finished(kind, source, whole, (results[0].width, results[0].height))
        if len(results) > 1:
            _set_frames(whole, source, results[0].height)
        exif = _exif_for(kind, source, (results[0].width, results[0].height))
    options: dict[str, Any] = {"keep": metadata.kept(source, with_exif=exif is None)}
    with images.appearing(target) as partial:
        if kind.name == "png":
            _save_png(kind, picture, whole, partial, exif, **options)
        elif kind.name == "jpeg":
            _save_jpeg(kind, picture, whole, partial, exif, target, **options)
        elif kind.name == "webp":
            _save_webp(kind, picture, whole, partial, exif, **options)
        else:  # AVIF
            images.write(kind, partial, whole, bitdepth=8 if whole.format == "uchar" else 12, **options)


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
        with images.named(picture.path, "cannot be read"):
            beside = jpeg.beside(picture.path, metadata.orientation(images.load(picture.path)))
        image = metadata.with_item_lengths(image, beside.lengths)
    if iptc := metadata.iptc_of(picture.pages[0]):
        image = metadata.with_iptc(image, iptc)
    _check_jpeg(target, exif, image)
    images.write(kind, path, image, **options)
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
    images.write(kind, path, image, lossless=lossless, **options)
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
    images.write(kind, path, image, **options)
    png.add(path, described)


def _save_pages(kind: Format, picture: Picture, results: list[pyvips.Image], target: Path) -> None:
    """Each page a TIFF, put behind the earlier ones: so they can differ in size, depth and metadata."""
    bytes_a_pixel = {"uint8": 1, "uint16": 2, "float32": 4}[picture.dtype]
    large = sum(one.width * one.height * one.bands for one in results) * bytes_a_pixel > 2**31
    page = images.partial_of(target, ".page")
    try:
        with images.appearing(target) as partial:
            for number, (source, result) in enumerate(zip(picture.pages, results, strict=True)):
                finished = _finished(kind, source, result, (result.width, result.height))
                part = page if number else partial
                images.write(kind, part, finished, keep=metadata.kept(source), bigtiff=large)
                exif, iptc = metadata.exif_of(source), metadata.iptc_of(source)
                if number or exif or iptc:
                    tiff.add_page(partial, part, exif, iptc)
    finally:
        page.unlink(missing_ok=True)


def _finished(kind: Format, source: pyvips.Image, result: pyvips.Image, size: tuple[int, int]) -> pyvips.Image:
    """A result of one page or frame's (width, height) in a depth that the format holds, with its source's metadata."""
    factor = (size[0] / source.width, size[1] / source.height)
    finished = metadata.carry(source, _in_depth_of(kind, result), factor, size)
    if metadata.profiled(finished) and (1 if finished.bands < 3 else 3) not in kind.profiled:
        finished = finished.icc_transform("srgb", embedded=True, depth=16 if finished.format == "ushort" else 8)
    return finished


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise BadImageError(
            f"{path}: expected at most {max_pixels:,} pixels (--max-pixels), its header claims {width} x {height}"
        )


def _loses_frames(path: Path, kind: Format) -> bool:
    """Whether there are frames of which libvips would give the first alone."""
    with images.named(path, "cannot be read"):
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
    if str(image.format) not in _DTYPES or image.bands > 4:
        raise BadImageError(
            f"{path}: expected 1 to 4 bands of 8 or 16 bits or float, found {image.bands} of {image.format}"
        )
    return metadata.without_strange_profile(image.cast("float") if image.format == "double" else image)


def _stretched(image: Any) -> pyvips.Image:
    """Of 10 or 12 bits, which libvips puts above zeros, all of the 16: white stays white."""
    return image | (image >> image.get("bits-per-sample"))


def _lacks(kind: Format, picture: Picture, size: tuple[int, int]) -> str | None:
    if max(size) > kind.side:
        return f"{size[0]} x {size[1]} pixels"
    if picture.pages[0].bands in (2, 4) and not kind.alpha:
        return "transparency"
    if len(picture.pages) > 1 and not (kind.pages and (picture.animated or kind.name == "tiff")):
        return f"{len(picture.pages)} {'frames' if picture.animated else 'pages'}"
    if picture.colours and kind.name != "png":
        return f"colours of primaries {picture.colours[0]} and transfer {picture.colours[1]} (ITU-T H.273)"
    return None


def _in_depth_of(kind: Format, image: pyvips.Image) -> pyvips.Image:
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


def _set_frames(image: pyvips.Image, source: pyvips.Image, height: int) -> None:
    image.set_type(pyvips.GValue.gint_type, "page-height", height)
    for name in ("delay", "loop", "background"):
        if source.get_typeof(name):
            image.set_type(source.get_typeof(name), name, source.get(name))
