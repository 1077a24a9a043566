"""GIF. libvips does not say whether a file is whole, and shows black where no frame without transparency has been."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyvips
from PIL import Image

from lamnet.base.errors import BadImageError
from lamnet.base.files import insert
from lamnet.media import metadata, vips
from lamnet.media.contract import Extras, Format
from lamnet.media.picture import Picture

FORMAT = Format(
    "gif", (".gif",), re.compile(rb"GIF8[79]a"), side=65_500, frames=True, profiled=(), palette=True, comments=True
)

_EXTENSION, _IMAGE = b"!", b","
_CONTROL = 0xF9  # the extension before a frame: how long it stays, what follows it, which colour is transparent
_COMMENT = 0xFE  # an extension
_MOST_COMMENTS = 2**20  # bytes of them that a result keeps
_TRANSPARENT, _COLOUR_AT = 1, 6  # a flag of its fourth byte; where its colour is
_DISPOSED = (2, 3)  # frames that are taken away again


@dataclass(frozen=True)
class Frame:
    """A frame as it stands in a file: (left, top, width, height), where it and its control begin, bits of its colours."""

    box: tuple[int, int, int, int]
    at: int
    control_at: int | None
    bits: int


@dataclass(frozen=True)
class Layout:
    """The blocks of a file.

    Attributes:
        size: (width, height) of the canvas.
        transparent: whether a frame is.
        disposed: whether a frame is taken away again.
        comments: as many as a result keeps.
    """

    size: tuple[int, int]
    frames: tuple[Frame, ...]
    transparent: bool
    disposed: bool
    comments: tuple[bytes, ...] = ()

    @property
    def uncovered(self) -> bool:
        """True where something is seen that no frame covers, though no frame says that it is transparent."""
        whole = [frame.box == (0, 0, *self.size) for frame in self.frames]
        return not self.transparent and bool(whole) and (not whole[0] or (self.disposed and not all(whole)))


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open frames, one below the other; what none covers is transparent. Raises BadImageError for a file that is cut."""
    layout = layout_of(path)
    if layout is None:
        raise BadImageError(f"{path}: expected a whole picture, found its end within a frame")
    if layout.uncovered and (data := _with_transparency(path, layout.frames[0])):
        return pyvips.Operation.call("gifload_buffer", data, page=page, n=n, fail_on="truncated")
    return vips.load("gif", path, page=page, n=n)


def extras(path: Path) -> Extras:
    """Learn the comments; the file of which the end is missing has none. Raises OSError."""
    layout = layout_of(path)
    return Extras(comments=layout.comments) if layout else Extras()


def save(path: Path, results: Sequence[pyvips.Image], picture: Picture, target: Path) -> None:
    """Write a result or all frames."""
    vips.write(FORMAT.name, path, results[0], keep=metadata.kept(picture.pages[0]), **FORMAT.options)
    with path.open("rb") as file:
        header = _take(file, 13)
        _skip_palette(file, header[10])
        at = file.tell()
    insert(path, at, b"".join(comment_block(text) for text in picture.extras.comments))


def comment_block(text: bytes) -> bytes:
    """Return a comment as a GIF holds it, in parts of up to 255 bytes."""
    parts = [text[at : at + 255] for at in range(0, len(text), 255)]
    return _EXTENSION + bytes([_COMMENT]) + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def layout_of(path: Path) -> Layout | None:
    """Return the blocks of a file, None where they end after the file does. Raises OSError."""
    frames, control, transparent, disposed = list[Frame](), None, False, False
    comments, left = list[bytes](), _MOST_COMMENTS
    with path.open("rb") as file:
        try:
            header = _take(file, 13)
            _skip_palette(file, header[10])
            while (kind := file.read(1)) in (_EXTENSION, _IMAGE):
                at = file.tell() - 1
                if kind == _IMAGE:
                    box = struct.unpack("<4H", _take(file, 8))
                    _skip_palette(file, _take(file, 1)[0])
                    frames.append(Frame(box, at, control, _take(file, 1)[0]))
                    control = None
                elif (label := _take(file, 1)[0]) == _COMMENT:
                    text = b"".join(_parts(file))
                    comments += [text] if 0 < len(text) <= left else []
                    left -= min(left, len(text))
                    continue
                elif label == _CONTROL:
                    _, flags = _take(file, 2)
                    file.seek(-2, 1)
                    control, transparent = at, transparent or bool(flags & _TRANSPARENT)
                    disposed = disposed or flags >> 2 & 7 in _DISPOSED
                for _ in _parts(file):
                    pass
        except EOFError:
            return None
    width, height = struct.unpack_from("<HH", header, 6)
    return Layout((width, height), tuple(frames), transparent, disposed, tuple(comments))


def _with_transparency(path: Path, first: Frame) -> bytes | None:
    """Return the file with a transparent colour that its first frame does not use; None where it uses all 256."""
    unused = 255
    if first.bits >= 8:
        with Image.open(path) as image:
            used = set(np.unique(np.asarray(image)).tolist()) if image.mode in ("L", "P") else set(range(256))
        left = set(range(256)) - used
        if not left:
            return None
        unused = max(left)
    data = bytearray(path.read_bytes())
    if first.control_at is None:
        data[first.at : first.at] = bytes([0x21, _CONTROL, 4, _TRANSPARENT, 0, 0, unused, 0])
    else:
        data[first.control_at + 3] |= _TRANSPARENT
        data[first.control_at + _COLOUR_AT] = unused
    return bytes(data)


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the parts of a block's data, to its end."""
    while size := _take(file, 1)[0]:
        yield _take(file, size)


def _skip_palette(file: IO[bytes], flags: int) -> None:
    if flags & 0x80:
        _take(file, 3 * 2 ** ((flags & 7) + 1))


def _take(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data
