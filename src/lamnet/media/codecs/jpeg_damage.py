"""JPEGs whose data are spoilt within: libjpeg goes on behind the place with what it takes for the picture, and warns."""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyvips

from lamnet.media import vips
from lamnet.media.codecs.jpeg_segments import SCAN, segments_of

# Warnings behind which no pixel is wrong: headers of odd versions, and a few bytes behind the data of a scan.
_HARMLESS = re.compile(r"unknown JFIF|Unknown Adobe|\b(?:\d|1[0-6]) extraneous bytes before marker 0x(?!d[0-7])")
_SEQUENTIAL = (0xC0, 0xC1)  # frames of which libjpeg decodes a single scan while its rows are read
_BLOCK = 8  # rows, which libvips reads at a time too
_TALLEST = 65_500  # rows that libjpeg reads


def load(path: Path) -> pyvips.Image:
    """Open a picture so that spoilt data are an error when its pixels are read. All of it is decoded once, in little memory.

    libjpeg's first warning alone can be seen, so one behind a harmless one is missed; and so is data of a single scan
    that end too late. Raises OSError, pyvips.Error.
    """
    vips.check_not_forked(path)
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # closed when libvips has let go of it
    taller = _Taller.of(data)
    if taller:
        taller.put_into(data)
    if _is_spoilt(data):
        return _failing(bytes(data), taller)
    return vips.load("jpeg", path)


@dataclass(frozen=True)
class _Taller:
    """A frame with rows of blocks below its last one.

    libvips asks for libjpeg's warnings before every eight rows and never behind the last ones. So the last blocks' are
    seen only where more rows follow. What libjpeg says of those comes too late to be seen.

    Attributes:
        at: the place of the frame's height in the file, which its width and components follow.
        height, further: rows of the picture, and of the frame.
        alone: the only component counts as one of a block, as it is decoded whatever its header says.
    """

    at: int
    height: int
    further: int
    alone: bool

    @classmethod
    def of(cls, data: Any) -> _Taller | None:
        """Return what a file needs; None where all of it is decoded before its first row, or no more rows can be had."""
        frame, count = 0, 0
        for kind, start, stop in segments_of(data):
            if kind in _SEQUENTIAL and stop - start >= 9 and stop - start >= 6 + 3 * data[start + 5]:
                frame, count = start + 1, data[start + 5]
            elif kind == SCAN:
                break
        else:
            return None
        if not frame or not count or data[start : start + 1] != bytes([count]):
            return None
        rows = _BLOCK * max(1, *(data[frame + 6 + 3 * number] & 15 for number in range(count))) if count > 1 else _BLOCK
        height = int.from_bytes(data[frame : frame + 2], "big")
        further = -(-height // rows) * rows + (rows == _BLOCK)
        return cls(frame, height, further, count == 1) if height < further <= _TALLEST else None

    def put_into(self, data: Any) -> None:
        """Change a file's bytes."""
        data[self.at : self.at + 2] = self.further.to_bytes(2, "big")
        if self.alone:
            data[self.at + 6] = 0x11


def _is_spoilt(data: Any) -> bool:
    source = pyvips.Source.new_from_memory(data)
    try:
        found: Any = pyvips.Operation.call("jpegload_source", source, fail_on="warning", access="sequential")
        found.avg()
    except pyvips.Error as error:
        return not _HARMLESS.search(str(error.detail or error.message))
    return False


def _failing(data: bytes, taller: _Taller | None) -> pyvips.Image:
    """Open a picture of which all rows are read before the first is given, so that the warning is an error."""
    image: Any = pyvips.Operation.call("jpegload_buffer", data, fail_on="warning")
    return image.crop(0, 0, image.width, taller.height) if taller else image
