"""Results into files: which format holds them, and writing them with what their source carried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pyvips

from lamnet.base import files
from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.media import formats, metadata, vips
from lamnet.media.blobs import has_profile
from lamnet.media.contract import Format
from lamnet.media.convert import in_depth_of
from lamnet.media.picture import Picture

_IN_NO_PALETTE = (("exif-data", "EXIF"), ("xmp-data", "XMP"))
_BITS = {"uint8": "8 bits", "uint16": "16 bits", "float32": "floats"}


def suffix_for(picture: Picture, size: tuple[int, int]) -> str:
    """Return the result's suffix: the source's where its format can hold a result of this (width, height), else one that can.

    A GIF's palette cannot: its result is a PNG, or a WebP when animated. Raises BadImageError when no format holds an
    animation of this size.
    """
    written = [writer.FORMAT for writer in formats.WRITERS if not writer.FORMAT.palette]
    own = [format for format in written if format == picture.format]
    others = [format for format in written if format.substitute and (format.frames or not picture.animated)]
    for format in own + others:
        if not lacks(format, picture, size) and picture.dtype in format.dtypes:
            same = format in own and picture.path.suffix.lower() in format.suffixes
            return picture.path.suffix if same else format.suffixes[0]
    if picture.animated:
        raise BadImageError(f"{picture.path}: expected a result that WebP holds, got {size[0]} x {size[1]} pixels")
    return ".tif"


def suffix_of(name: str) -> str:
    """Return the suffix of results in a format, by its name, such as "jpg". Raises BadArgumentError for an unknown one."""
    suffix = f".{name.lower().removeprefix('.')}"
    known = sorted({suffix for writer in formats.WRITERS for suffix in writer.FORMAT.suffixes})
    if suffix not in known:
        raise BadArgumentError(f"format: expected one of {', '.join(one[1:] for one in known)}, got {name}")
    return suffix


def losses(picture: Picture, target: Path) -> tuple[str, ...]:
    """Return what a result in the target's format does not hold of a picture that can be written there, a line each."""
    format, found = formats.format_named(target), list[str]()
    if picture.dtype not in format.dtypes:
        found.append(f"{_BITS[picture.dtype]} became {_BITS[format.dtypes[-1]]}, the most that {target.suffix} holds")
    if picture.extras.own and format != picture.format:
        found.append(f"without {picture.extras.own}")
    if picture.extras.not_enlarged and format == picture.format:
        found.append(f"not enlarged: {picture.extras.not_enlarged}")
    if picture.extras.comments and not format.comments:
        found.append(f"without its comment, which {target.suffix} does not hold")
    lost = [words for name, words in _IN_NO_PALETTE if format.palette and picture.pages[0].get_typeof(name)]
    if not format.iptc and picture.pages[0].get_typeof("iptc-data"):
        lost.append("IPTC")
    if format.palette and _states_resolution(picture):
        lost.append("its resolution")
    if lost:
        found.append(f"without {', '.join(lost)}, which {target.suffix} does not hold")
    if picture.quality and "Q" not in format.options:
        found.append(f"quality {picture.quality} means nothing in {target.suffix}")
    return tuple(found)


def _states_resolution(picture: Picture) -> bool:
    per_inch = picture.pages[0].xres * 25.4
    made_up = any(math.isclose(per_inch, usual, abs_tol=0.1) for usual in (0, 25.4, 72))  # where nothing is stated
    return picture.extras.page(0).resolved and not made_up


def check_target(picture: Picture, target: Path, size: tuple[int, int]) -> None:
    """Raise BadImageError when the format of the target's name cannot hold a result of this (width, height)."""
    if lack := lacks(formats.format_named(target), picture, size):
        raise BadImageError(f"{target}: expected a format that holds {lack}, found {target.suffix}")


def lacks(format: Format, picture: Picture, size: tuple[int, int]) -> str | None:
    """Return what a format cannot hold of a result of this (width, height); None where it holds all."""
    if max(size) > format.side:
        return f"{size[0]} x {size[1]} pixels"
    if picture.pages[0].bands in (2, 4) and not format.alpha:
        return "transparency"
    if picture.extra_bands and not format.extra_bands:
        return "bands that are neither colours nor alpha"
    if len(picture.pages) > 1 and not (format.pages or (format.frames and picture.animated)):
        return f"{len(picture.pages)} {'frames' if picture.animated else 'pages'}"
    if picture.colours and not format.numbered_colours:
        return f"colours of primaries {picture.colours[0]} and transfer {picture.colours[1]} (ITU-T H.273)"
    return None


def save(
    picture: Picture, results: Sequence[pyvips.Image], target: Path, extra_bands: Sequence[pyvips.Image | None] = ()
) -> None:
    """Write the results of a picture's pages with the picture's metadata, as an atomic write. Raises BadImageError.

    Args:
        extra_bands: the results of each page's, None for none; left out where the picture has none.
    """
    writer = formats.writer_named(target)
    with vips.naming_errors(target, "cannot be written"):
        pages = [(page, one, (one.width, one.height)) for page, one in zip(picture.pages, results, strict=True)]
        if not writer.FORMAT.pages:
            source, first, size = pages[0]
            pages = [(source, first if len(results) == 1 else pyvips.Image.arrayjoin(list(results), across=1), size)]
        finished = [_finished(writer.FORMAT, *page) for page in pages]
        if len(results) > len(finished):
            _set_frames(finished[0], picture.pages[0], results[0].height)
        for number, result in enumerate(extra_bands):
            if result is not None and (bands := picture.extra_bands_of(number)):
                finished[number] = bands.put_back(finished[number], result)
    with files.appearing(target) as partial, vips.naming_errors(target, "cannot be written"):
        writer.save(partial, finished, picture, target)


def _finished(format: Format, source: pyvips.Image, result: pyvips.Image, size: tuple[int, int]) -> pyvips.Image:
    """Return a result in a depth that the format holds, with its source's metadata; `size` is that of one frame."""
    finished = metadata.carry(source, in_depth_of(format, result), size)
    if has_profile(finished) and (1 if finished.bands < 3 else 3) not in format.profiled:
        finished = finished.icc_transform("srgb", embedded=True, depth=16 if finished.format == "ushort" else 8)
    return finished


def _set_frames(image: pyvips.Image, source: pyvips.Image, height: int) -> None:
    """Mark an image of frames one below the other as an animation, with its source's timing."""
    image.set_type(pyvips.GValue.gint_type, "page-height", height)
    for name in ("delay", "loop", "background"):
        if source.get_typeof(name):
            image.set_type(source.get_typeof(name), name, source.get(name))
