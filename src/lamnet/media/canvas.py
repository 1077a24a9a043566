"""A result's rows on their way to its file, kept on disk so that memory does not grow with the picture."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.base import files
from lamnet.media import vips
from lamnet.media.depths import depth_named

_MOST_AT_ONCE = 2**28  # bytes of pages that are one image to libvips


class Canvas:
    """A file of a result's rows that holds them until all are there, page after page."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._pages: list[tuple[int, int, int, str]] = []  # offset, width, bands, dtype of each page begun

    def begin_page(self, width: int, bands: int, dtype: str) -> None:
        """Start the next page."""
        self._pages.append((self._file.tell(), width, bands, dtype))

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows (height, width, bands) below those of the current page."""
        self._file.write(np.ascontiguousarray(rows).data)

    def pages(self) -> list[pyvips.Image]:
        """Return the pages as images that read the file from top to bottom; those of one shape in a row share a file handle."""
        self._file.flush()
        ends = [offset for offset, *_ in self._pages[1:]] + [self._file.tell()]
        shapes = [(end - page[0], *page[1:]) for page, end in zip(self._pages, ends, strict=True)]
        found, number = list[pyvips.Image](), 0
        for shape, run in groupby(shapes):
            left, most = len(list(run)), max(1, _MOST_AT_ONCE // max(1, shape[0]))
            while left > 0:
                found += self._run(self._pages[number][0], min(left, most), *shape)
                number, left = len(found), left - most
        return found

    def _run(self, offset: int, count: int, length: int, width: int, bands: int, dtype: str) -> list[pyvips.Image]:
        """Return so many pages of `length` bytes each."""
        depth, name = depth_named(dtype), cast("str", os.fsencode(self._file.name))
        height = length // (width * bands * depth.size)
        options: dict[str, Any] = {"offset": offset, "format": depth.band, "revalidate": True}
        if count == 1:
            return [pyvips.Image.rawload(name, width, height, bands, access="sequential", **options)]
        rows: Any = pyvips.Image.rawload(name, width, height * count, bands, **options)
        return [rows.crop(0, number * height, width, height) for number in range(count)]


@contextmanager
def canvas_for(target: Path) -> Generator[Canvas]:
    """Make a canvas beside a target; its file is gone afterwards whatever happens.

    Raises BadImageError when the disk is full, or for any other error of the system meanwhile.
    """
    path = files.partial_of(target, ".rows")
    try:
        with vips.naming_errors(target, "cannot be written"):
            path.unlink(missing_ok=True)  # it might be a link
            with path.open("xb") as file:
                yield Canvas(file)
    finally:
        with suppress(OSError):
            path.unlink()
