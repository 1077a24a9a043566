"""TIFF. libvips does not see to EXIF, pages of several sizes or many of them, Lab, plain YCbCr, floats with white at 0, bad orientations."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips

from lamnet.base import files
from lamnet.base.errors import BadImageError
from lamnet.media import ifd, metadata, tags, vips
from lamnet.media.blobs import exif_of
from lamnet.media.codecs import spaces, tiff_decoded, tiff_fields, tiff_pages
from lamnet.media.codecs.spaces import Space
from lamnet.media.codecs.tiff_fields import Carried
from lamnet.media.codecs.tiff_pages import Contents, Page
from lamnet.media.contract import Extras, Format, PageExtras
from lamnet.media.depths import NO_DATA, depth_of
from lamnet.media.extra_bands import UNASSOCIATED, UNSPECIFIED
from lamnet.media.ifd import BrokenError, Directory, Field, Layout
from lamnet.media.iptc import iptc_of
from lamnet.media.picture import Picture

FORMAT = Format(
    "tiff",
    (".tif", ".tiff"),
    re.compile(rb"II[*+]\0|MM\0[*+]"),
    {"compression": "deflate", "predictor": "horizontal"},
    pages=True,
    extra_bands=True,
    dtypes=("uint8", "uint16", "float32"),
    substitute=True,
    iptc=True,
)

_RGB = 2
_COLOURS = {_RGB: 3, 5: 4, 6: 3, 8: 3, 9: 3}  # bands that are colours, by photometric; else 1
_OF_THE_PAGE = frozenset(
    {tags.SUBFILE, tags.PHOTOMETRIC, tags.ORIENTATION, tags.SAMPLES, tags.EXTRA, tags.SUB_DIRECTORIES}
    | {tags.BITS, tags.SAMPLE_FORMAT}
)
_BIG_FROM = 2**31  # bytes of pixels from which on offsets have 64 bits
_MANY = 16  # pages from which on each is read as a file of its own
_IN_MEMORY = 2**28  # bytes of the largest file for that


@dataclass(frozen=True)
class TiffExtras(Extras):
    """Fields of a TIFF that a result in TIFF keeps, of each page that is no reduced one."""

    carried: tuple[Carried, ...] = ()


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open a page. Cut, spoilt and unknown pixels are errors to libtiff; of those in tiles libvips tells as warnings only.

    Raises BadImageError for cameras' raw files.
    """
    found = tiff_pages.contents(path)
    if found is None or page >= len(found.pages):
        return _by_libvips("tiffload", os.fsencode(path), page)
    if refusal := found.refusal:
        raise BadImageError(f"{path}: {refusal}")
    one = found.pages[page]
    image = _page(path, found, page)
    if one.fields.get(tags.NO_DATA):
        with suppress(ValueError):
            value = float(tags.text_of(one.fields, tags.NO_DATA))
            image = image.copy()
            image.set_type(pyvips.GValue.gdouble_type, NO_DATA, value)
    if one.number(tags.UNIT) == tags.NO_UNIT:  # libvips takes the numbers for those of millimetres
        image = image.copy(xres=1.0, yres=1.0)
    if len(found.pages) > 1 and found.whole:
        image = image.copy()
        image.set_type(pyvips.GValue.gint_type, "n-pages", len(found.pages))
    return image


def _page(path: Path, found: Contents, page: int) -> pyvips.Image:
    one = found.pages[page]
    if decoder := tiff_decoded.decoder_for(one):
        return tiff_decoded.load(path, one, page, decoder)
    space = spaces.space_of(*(one.fields.number(tag) for tag in (tags.PHOTOMETRIC, tags.BITS, tags.COMPRESSION)))
    changes = _changes(one, space)
    many = len(found.pages) > _MANY and found.size < _IN_MEMORY  # of which libvips goes through all to find each
    data = tiff_pages.alone(path, found, page, changes) if changes or many else None
    image = _by_libvips("tiffload_buffer", data) if data else _by_libvips("tiffload", os.fsencode(path), page)
    return spaces.to_rgb(image, space) if space else image


def _by_libvips(name: str, source: bytes, page: int = 0) -> pyvips.Image:
    image = pyvips.Operation.call(name, source, page=page, fail_on="error", revalidate=True)
    if image.get_typeof("tile-width"):
        image = pyvips.Operation.call(name, source, page=page, fail_on="warning", revalidate=True)
    return image


def _changes(page: Page, space: Space | None) -> dict[int, int]:
    """Return fields of a page that must say something else for libvips: Lab and YCbCr that they are RGB, an orientation."""
    changes = {tags.PHOTOMETRIC: _RGB} if space in spaces.AS_RGB else {}
    return changes if page.number(tags.ORIENTATION, 1) in range(1, 9) else {**changes, tags.ORIENTATION: 1}


def extras(path: Path) -> TiffExtras:
    """Learn of each page its EXIF, what a TIFF alone carries, whether it is oriented or reduced; behind a broken one nothing."""
    known, carried, below = list[PageExtras](), list[Carried](), 0
    changes: dict[str, None] = {}
    with path.open("rb") as file, suppress(BrokenError):
        layout = Layout.of(file)
        for at in ifd.chain(file, layout):
            directory = ifd.read(file, layout, at, tiff_fields.DESCRIPTIVE | tiff_fields.WANTED | _OF_THE_PAGE)
            known.append(_page_extras(directory))
            below += len(tags.numbers_of(directory, tags.SUB_DIRECTORIES))
            if not known[-1].reduced:
                there = [entry.tag for entry in ifd.entries(file, layout, at)[0]]
                carried.append(tiff_fields.carried(directory, there))
                if change := tiff_decoded.change_of(directory):
                    changes[change] = None
                if directory.number(tags.PHOTOMETRIC) in spaces.LAB:
                    changes["in RGB, not Lab"] = None
    left = dict.fromkeys(word for page in carried for word in page.left)
    own = dict.fromkeys(word for page in carried for word in page.words)
    notes = (f"without {', '.join(left)}",) if left else ()
    if smaller := sum(page.reduced for page in known) + below:
        notes += (f"without {smaller:,} smaller version{'s' if smaller > 1 else ''} of its pictures",)
    return TiffExtras(tuple(known), notes=notes + tuple(changes), own=", ".join(own) or None, carried=tuple(carried))


def _extra_kinds(directory: Directory) -> tuple[int, ...]:
    """Return the kinds of a page's bands beside its colours; one of which nothing is said counts as alpha."""
    count = (directory.number(tags.SAMPLES) or 1) - _COLOURS.get(directory.number(tags.PHOTOMETRIC) or 0, 1)
    stated = tags.numbers_of(directory, tags.EXTRA)
    if count == 1 and not stated:
        return (UNASSOCIATED,)
    return (*stated, *[UNSPECIFIED] * count)[: max(0, count)]


def _page_extras(directory: Directory) -> PageExtras:
    reduced = bool((directory.number(tags.SUBFILE) or 0) & 1)
    oriented = tags.ORIENTATION in directory
    wanted = {*tiff_fields.DESCRIPTIVE, ifd.EXIF, ifd.GPS} - (
        {tags.DESCRIPTION} if tiff_fields.is_sized(directory) else set()
    )
    description = Directory({tag: field for tag, field in directory.items() if tag in wanted})
    blobs = {"exif-data": ifd.alone(description)} if description else {}
    return PageExtras(blobs, oriented, reduced, extra_kinds=_extra_kinds(directory))


def save(path: Path, results: Sequence[pyvips.Image], picture: Picture, target: Path) -> None:
    """Write each page as a TIFF and put it behind the earlier ones, so that they can differ in size, depth and metadata."""
    large = sum(one.width * one.height * one.bands * depth_of(one).size for one in results) > _BIG_FROM
    page = files.partial_of(target, ".page")
    link = None
    try:
        for number, (source, result) in enumerate(zip(picture.pages, results, strict=True)):
            part = page if number else path
            vips.write(FORMAT.name, part, result, keep=metadata.kept(source), bigtiff=large, **FORMAT.options)
            fields = tiff_fields.of_exif(exif_of(source), (result.width, result.height))
            if isinstance(picture.extras, TiffExtras) and number < len(picture.extras.carried):
                fields.update(picture.extras.carried[number].true_for((result.width, result.height)))
            if records := iptc_of(source):
                fields[tags.IPTC] = Field(ifd.UNDEFINED, records)
            if bands := picture.extra_bands_of(number):
                fields[tags.EXTRA] = Field(ifd.SHORT, np.array(bands.written_kinds, "<u2").tobytes())
            if number or fields:
                link = add_page(path, part, fields, link)
    finally:
        page.unlink(missing_ok=True)


def add_page(path: Path, page: Path, fields: Directory, link: int | None = None) -> int:
    """Put the only page of a TIFF behind those of another of the same byte order and kind, with further fields.

    `page` may be `path` itself: then its page gets them. Returns the place that will say where the next page is;
    `link` is what the last call returned, so that the pages so far need not be gone through.
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
        for tag in (tags.STRIPS, tags.TILES):
            if isinstance(field := directory.get(tag), Field):
                directory[tag] = _moved(field, base, layout.big)
        directory.update(fields)
        if not base:
            link = layout.start
        elif link is None:
            *_, last = ifd.chain(file, layout)
            _, link = ifd.entries(file, layout, last)
        at = ifd.write(file, layout, directory)
        file.seek(link)
        file.write(layout.offset.pack(at))
        return at + layout.count.size + len(directory) * layout.field.size


def _moved(field: Field, by: int, big: bool) -> Field:
    """Return offsets moved by so many bytes."""
    offsets = np.frombuffer(field.data, f"<u{ifd.ITEM[field.kind]}").astype("<u8" if big else "<u4") + by
    return Field(ifd.LONG8 if big else ifd.LONG, offsets.astype("<u8" if big else "<u4").tobytes())
