"""TIFF. libvips does not see to EXIF, pages of several sizes, Lab, plain YCbCr, floats with white at 0, bad orientations."""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyvips

from lamnet.base import files
from lamnet.media import ifd, metadata, vips
from lamnet.media.blobs import exif_of
from lamnet.media.codecs import spaces
from lamnet.media.codecs.spaces import Space
from lamnet.media.contract import Extras, Format, PageExtras
from lamnet.media.depths import depth_of
from lamnet.media.ifd import BrokenError, Directory, Field, Layout
from lamnet.media.iptc import iptc_of
from lamnet.media.picture import Picture

FORMAT = Format(
    "tiff",
    (".tif", ".tiff"),
    re.compile(rb"II[*+]\0|MM\0[*+]"),
    {"compression": "deflate", "predictor": "horizontal"},
    pages=True,
    dtypes=("uint8", "uint16", "float32"),
    substitute=True,
)

# What a directory says of the picture itself: title, camera, software, date, author, rating, copyright.
_DESCRIPTIVE = frozenset(
    {269, 270, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095}
)
_SUBFILE, _WIDTH, _HEIGHT = 254, 256, 257
_EXIF_WIDTH, _EXIF_HEIGHT = 40962, 40963
_OFFSETS = (273, 324)  # where strips and tiles lie
_IPTC = 33723
_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 258, 259, 262, 274
_RGB = 2
_PACKED = {1: "B", 2: "H", 4: "L"}  # how numbers of so many bytes are packed
_BIG_FROM = 2**31  # bytes of pixels from which on offsets have 64 bits


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open a page. Cut, spoilt and unknown pixels are errors to libtiff; of those in tiles libvips tells as warnings only."""
    data, space = _mended(path, page)
    name, source = ("tiffload_buffer", data) if data else ("tiffload", os.fsencode(path))
    options: dict[str, Any] = {"page": page, "n": n, "revalidate": True}
    image = pyvips.Operation.call(name, source, fail_on="error", **options)
    if image.get_typeof("tile-width"):
        image = pyvips.Operation.call(name, source, fail_on="warning", **options)
    return spaces.to_rgb(image, space) if space else image


def extras(path: Path) -> Extras:
    """Learn of each page its EXIF, and whether it is oriented or reduced; pages behind a broken one stay unknown."""
    known: list[PageExtras] = []
    with path.open("rb") as file, suppress(BrokenError):
        layout = Layout.of(file)
        for at in ifd.chain(file, layout):
            known.append(_page_extras(ifd.read(file, layout, at, _DESCRIPTIVE | {_SUBFILE, _ORIENTATION})))
    return Extras(tuple(known))


def _page_extras(directory: Directory) -> PageExtras:
    reduced = bool((directory.number(_SUBFILE) or 0) & 1)
    oriented = _ORIENTATION in directory
    description = Directory({tag: field for tag, field in directory.items() if tag not in (_SUBFILE, _ORIENTATION)})
    return PageExtras({"exif-data": ifd.alone(description)} if description else {}, oriented, reduced)


def save(path: Path, results: Sequence[pyvips.Image], picture: Picture, target: Path) -> None:
    """Write each page as a TIFF and put it behind the earlier ones, so that they can differ in size, depth and metadata."""
    large = sum(one.width * one.height * one.bands * depth_of(one).size for one in results) > _BIG_FROM
    page = files.partial_of(target, ".page")
    try:
        for number, (source, result) in enumerate(zip(picture.pages, results, strict=True)):
            part = page if number else path
            vips.write(FORMAT.name, part, result, keep=metadata.kept(source), bigtiff=large, **FORMAT.options)
            exif, records = exif_of(source), iptc_of(source)
            if number or exif or records:
                add_page(path, part, exif, records)
    finally:
        page.unlink(missing_ok=True)


def _mended(path: Path, page: int) -> tuple[bytes | None, Space | None]:
    """Return a TIFF that says what libvips can read, None if the file does, and what its page's numbers really are.

    Orientations that do not exist become 1; pages of Lab and YCbCr say that they are RGB.
    """
    with path.open("rb") as file:
        try:
            layout = Layout.of(file)
        except BrokenError:
            return None, None
        changes, space = _to_mend(file, layout, page)
        if not changes:
            return None, space
        file.seek(0)
        data = bytearray(file.read())
    for place, value in changes.items():
        _, kind, _, _ = layout.field.unpack_from(data, place)
        item = struct.Struct(layout.order + _PACKED[ifd.ITEM[kind]])
        item.pack_into(data, place + layout.field.size - layout.offset.size, value)
    return bytes(data), space


def _to_mend(file: IO[bytes], layout: Layout, page: int) -> tuple[dict[int, int], Space | None]:
    """Return new numbers by the places of their fields, and the space of a page's numbers."""
    changes: dict[int, int] = {}
    space: Space | None = None
    with suppress(BrokenError):
        for number, at in enumerate(ifd.chain(file, layout)):
            places = {entry.tag: entry.place for entry in reversed(ifd.entries(file, layout, at)[0])}
            directory = ifd.read(file, layout, at, {_BITS, _PHOTOMETRIC, _ORIENTATION, _COMPRESSION}, pointers=set())
            if number == page:
                space = spaces.space_of(*(directory.number(tag) for tag in (_PHOTOMETRIC, _BITS, _COMPRESSION)))
                if space in spaces.AS_RGB:
                    changes[places[_PHOTOMETRIC]] = _RGB
            turn = directory.number(_ORIENTATION)
            if turn is not None and turn not in range(1, 9):
                changes[places[_ORIENTATION]] = 1
    return changes, space


def add_page(path: Path, page: Path, exif: bytes | None, iptc: bytes | None = None) -> None:
    """Put the only page of a TIFF behind those of another of the same byte order and kind, with EXIF and IPTC.

    `page` may be `path` itself: then its page gets them.
    """
    with path.open("r+b") as file:
        layout = Layout.of(file)
        base = 0
        if page != path:
            base = ifd.to_end(file)
            with page.open("rb") as other:
                shutil.copyfileobj(other, file, 2**20)
        first = base + ifd.follow(file, layout, base + layout.start)
        directory = ifd.read(file, layout, first, base=base)
        for tag in _OFFSETS:
            if isinstance(field := directory.get(tag), Field):
                directory[tag] = _moved(field, base, layout.big)
        directory.update(_descriptive(exif, directory) if exif else {})
        if iptc:
            directory[_IPTC] = Field(ifd.UNDEFINED, iptc)
        link = layout.start
        if base:
            *_, last = ifd.chain(file, layout)
            _, link = ifd.entries(file, layout, last)
        at = ifd.write(file, layout, directory)
        file.seek(link)
        file.write(layout.offset.pack(at))


def _descriptive(exif: bytes, page: Directory) -> Directory:
    """Return what of EXIF belongs into a page's directory, stating the page's size; nothing where it is broken."""
    file = io.BytesIO(exif.removeprefix(b"Exif\0\0"))
    try:
        layout = Layout.of(file)
        directory = ifd.read(file, layout, ifd.follow(file, layout, layout.start), _DESCRIPTIVE)
    except BrokenError:
        return Directory()
    details = directory.get(ifd.EXIF)
    if isinstance(details, Directory):
        for own, tag in ((_EXIF_WIDTH, _WIDTH), (_EXIF_HEIGHT, _HEIGHT)):
            if own in details:
                details[own] = page[tag]
    return directory


def _moved(field: Field, by: int, big: bool) -> Field:
    """Return offsets moved by so many bytes."""
    offsets = np.frombuffer(field.data, f"<u{ifd.ITEM[field.kind]}").astype("<u8" if big else "<u4") + by
    return Field(ifd.LONG8 if big else ifd.LONG, offsets.astype("<u8" if big else "<u4").tobytes())
