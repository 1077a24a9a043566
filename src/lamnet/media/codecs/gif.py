"""Whether a GIF is whole, which libvips does not say: it gives the frames that there are."""

from __future__ import annotations

from pathlib import Path
from typing import IO

_EXTENSION, _IMAGE = b"!", b","


def is_whole(path: Path) -> bool:
    """Whether its blocks all end before the file does. Raises OSError."""
    with path.open("rb") as file:
        try:
            _skip_palette(file, _take(file, 13)[10])
            while (kind := file.read(1)) in (_EXTENSION, _IMAGE):
                if kind == _IMAGE:
                    _skip_palette(file, _take(file, 9)[8])
                _take(file, 1)  # the extension's label, or the least size of codes
                while size := _take(file, 1)[0]:
                    _take(file, size)
        except EOFError:
            return False
    return True


def _skip_palette(file: IO[bytes], flags: int) -> None:
    if flags & 0x80:
        _take(file, 3 << (flags & 7) + 1)


def _take(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data
