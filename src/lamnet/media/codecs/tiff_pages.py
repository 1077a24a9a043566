"""Pages of a TIFF: what their directories say, read once a file, and one page as a TIFF of its own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO

import numpy as np

from lamnet.base.errors import BadImageError
from lamnet.media import ifd, tags
from lamnet.media.codecs import sized_texts
from lamnet.media.ifd import BrokenError, Directory, Field, Layout

_STRIPS, _TILES = (tags.STRIPS, tags.STRIP_BYTES), (tags.TILES, tags.TILE_BYTES)
_ELSEWHERE = (ifd.EXIF, ifd.GPS, tags.SUB_DIRECTORIES, ifd.INTEROP)  # fields that point to directories
_MOSAIC, _LINEAR_RAW = 32803, 34892  # photometrics of cameras' sensors
_LOGLUV = (32844, 32845)
_WANTED = frozenset(
    {tags.SUBFILE, tags.WIDTH, tags.HEIGHT, tags.BITS, tags.COMPRESSION, tags.PHOTOMETRIC, tags.ORIENTATION}
    | {tags.SAMPLES, tags.PLANAR, tags.EXTRA, tags.SAMPLE_FORMAT, tags.SUBSAMPLING, tags.TILE_WIDTH, tags.NO_DATA}
    | {tags.DESCRIPTION, tags.UNIT, tags.SUB_DIRECTORIES, tags.DNG}
)
_MOST = 100_000  # pages
_MOST_SUB_DIRECTORIES = 32  # of a page that are looked at


@dataclass(frozen=True)
class Page:
    """A page's place in its file, what its directory says, and the directories below it."""

    at: int
    fields: Directory
    below: tuple[Directory, ...] = ()

    def number(self, tag: int, default: int = 0) -> int:
        """Return a field's first number."""
        found = self.fields.number(tag)
        return default if found is None else found


@dataclass(frozen=True)
class Contents:
    """The pages of a file; `whole` unless the chain of them breaks off."""

    layout: Layout
    pages: tuple[Page, ...]
    whole: bool
    size: int

    @cached_property
    def refusal(self) -> str | None:
        """Why the pages are not the picture that the file is about, as in cameras' raw files; None where they are."""
        pages = [page.fields for page in self.pages]
        below = [one for page in self.pages for one in page.below]
        for one in pages + below:
            if tags.DNG in one or one.number(tags.PHOTOMETRIC) in (_MOSAIC, _LINEAR_RAW):
                return (
                    "expected a developed picture, found a camera's raw data; develop it first (darktable, RawTherapee)"
                )
            if one.number(tags.PHOTOMETRIC) in _LOGLUV:
                return "expected numbers for a screen or floats, found LogLuv, of which 8 bits alone could be read"
        if len(pages) == 1 and (more := sized_texts.stacked(tags.text_of(pages[0], tags.DESCRIPTION))) > 0:
            return (
                f"expected a page for each picture, found {more:,} of a stack of ImageJ's behind the first that have none; "
                "save it as a TIFF with pages first"
            )
        shown = max((pixels_of(one) for one in pages), default=0)
        for one in below:
            if pixels_of(one) > shown:
                return (
                    f"expected a picture, found the preview of one of {one.number(tags.WIDTH)} x {one.number(tags.HEIGHT)} pixels "
                    "in a directory of its own, as cameras' raw files have it; develop it first"
                )
        return None


def contents(path: Path) -> Contents | None:
    """Return the pages of a file; None for one whose header is broken. Raises OSError, BadImageError for too many pages."""
    stat = path.stat()
    return _contents(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=2)
def _contents(path: Path, stamp: tuple[int, int, int]) -> Contents | None:
    pages: list[Page] = []
    whole = True
    with path.open("rb") as file:
        try:
            layout = Layout.of(file)
        except BrokenError:
            return None
        try:
            for at in ifd.chain(file, layout):
                if len(pages) == _MOST:
                    raise BadImageError(f"{path}: expected at most {_MOST:,} pages")
                pages.append(_page(file, layout, at))
        except BrokenError:
            whole = False
    return Contents(layout, tuple(pages), whole, stamp[1])


def alone(path: Path, found: Contents, number: int, changes: Mapping[int, int]) -> bytes | None:
    """Return one page as a TIFF of its own, with other numbers in some fields; None where it cannot be read."""
    layout = found.layout
    with path.open("rb") as file, suppress(BrokenError, ValueError):
        directory = ifd.read(file, layout, found.pages[number].at, pointers=frozenset())
        for tag in _ELSEWHERE:
            directory.pop(tag, None)
        places, lengths = next((one for one in (_STRIPS, _TILES) if one[0] in directory), _STRIPS)
        where, sizes = tags.numbers_of(directory, places), tags.numbers_of(directory, lengths)
        if len(where) != len(sizes) or not where or sum(sizes) > found.size:
            return None
        out = io.BytesIO()
        header = b"II" + (b"+\0\x08\0\0\0" if layout.big else b"*\0")
        if layout.order == ">":
            header = b"MM" + (b"\0+\0\x08\0\0" if layout.big else b"\0*")
        out.write(header + b"\0" * layout.offset.size)
        moved: list[int] = []
        for at, size in zip(where, sizes, strict=True):
            moved.append(ifd.to_end(out))
            file.seek(at)
            out.write(file.read(size))
        kind = ifd.LONG8 if layout.big else ifd.LONG
        directory[places] = Field(kind, np.array(moved, "<u8" if layout.big else "<u4").tobytes())
        for tag, value in changes.items():
            directory[tag] = Field(ifd.SHORT, value.to_bytes(2, "little"))
        at = ifd.write(out, layout, directory)
        out.seek(layout.start)
        out.write(layout.offset.pack(at))
        return out.getvalue()
    return None


def pixels_of(directory: Directory) -> int:
    """Return the number of pixels that a directory states."""
    return (directory.number(tags.WIDTH) or 0) * (directory.number(tags.HEIGHT) or 0)


def _page(file: IO[bytes], layout: Layout, at: int) -> Page:
    fields = ifd.read(file, layout, at, _WANTED, pointers=frozenset())
    below: list[Directory] = []
    for place in tags.numbers_of(fields, tags.SUB_DIRECTORIES)[:_MOST_SUB_DIRECTORIES]:
        with suppress(BrokenError):
            below.append(ifd.read(file, layout, place, _WANTED, pointers=frozenset()))
    return Page(at, fields, tuple(below))
