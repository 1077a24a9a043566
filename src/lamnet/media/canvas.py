"""A result's rows on their way to its file, kept on disk so that memory does not grow with the picture."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.base import files
from lamnet.media import vips
from lamnet.media.depths import depth_named


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
        """Return the pages as images that read the file from top to bottom."""
        self._file.flush()
        ends = [offset for offset, *_ in self._pages[1:]] + [self._file.tell()]
        return [self._page(*page, end) for page, end in zip(self._pages, ends, strict=True)]

    def _page(self, offset: int, width: int, bands: int, dtype: str, end: int) -> pyvips.Image:
        depth = depth_named(dtype)
        height = (end - offset) // (width * bands * depth.size)
        name: Any = os.fsencode(self._file.name)
        return pyvips.Image.rawload(
            name, width, height, bands, offset=offset, format=depth.band, access="sequential", revalidate=True
        )


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
