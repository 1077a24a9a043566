"""GIF. libvips does not say whether a file is whole: it gives the frames that there are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pyvips

from lamnet.base.errors import BadImageError
from lamnet.media import metadata, vips
from lamnet.media.contract import Extras, Format
from lamnet.media.picture import Picture

FORMAT = Format("gif", (".gif",), re.compile(rb"GIF8[79]a"), side=65_500, frames=True, profiled=(), palette=True)

_EXTENSION, _IMAGE = b"!", b","


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open frames, one below the other. Raises BadImageError for a file that is cut."""
    if not is_whole(path):
        raise BadImageError(f"{path}: expected a whole picture, found its end within a frame")
    return vips.load("gif", path, page=page, n=n)


def extras(path: Path) -> Extras:
    """Return no extras: libvips sees all there is."""
    return Extras()


def save(path: Path, results: Sequence[pyvips.Image], picture: Picture, target: Path) -> None:
    """Write a result or all frames."""
    vips.write(FORMAT.name, path, results[0], keep=metadata.kept(picture.pages[0]), **FORMAT.options)


def is_whole(path: Path) -> bool:
    """Tell whether all blocks end before the file does. Raises OSError."""
    with path.open("rb") as file:
        try:
            _skip_palette(file, _take(file, 13)[10])
            while (kind := file.read(1)) in (_EXTENSION, _IMAGE):
                if kind == _IMAGE:
                    _skip_palette(file, _take(file, 9)[8])
                _take(file, 1)  # the extension's label, or the smallest size of codes
                while size := _take(file, 1)[0]:
                    _take(file, size)
        except EOFError:
            return False
    return True


def _skip_palette(file: IO[bytes], flags: int) -> None:
    if flags & 0x80:
        _take(file, 3 * 2 ** ((flags & 7) + 1))


def _take(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data
