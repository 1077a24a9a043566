"""What libvips does not see to in JPEG files: EXIF as it was, comments, makers' segments, pictures and films behind the picture."""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyvips

from lamnet.base.files import insert
from lamnet.media.codecs import mpf

_MOST = 65_533  # bytes of a segment
_EXIF, _XMP, _MPF = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"
MOST_EXIF = _MOST - len(_EXIF)
MOST_XMP = _MOST - len(_XMP)
_END, _SCAN, _APP0, _APP1, _APP2, _COMMENT = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xFE
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a segment
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # that ends a scan's data
_OF_THE_CODING = (_APP0, 0xE8, 0xEB, 0xEC, 0xED, 0xEE)  # JFIF, SPIFF, JPEG XT and seals, Ducky, Photoshop, Adobe
_CARRIED_ELSEWHERE = (_EXIF, _XMP, b"ICC_PROFILE\0", _MPF)
_LARGEST_TURNED = 100_000_000  # pixels


@dataclass(frozen=True)
class Beside:
    """What a file holds beside its picture and the picture's EXIF, XMP, profile and IPTC.

    Attributes:
        segments: (marker, contents) of comments, makers' notes, the rest of long XMP.
        index: of the pictures behind the picture: stereo's other view, a phone's gain map.
        end: where the picture ends in the file; what follows it goes with a result.
        changed: what stands in place of (start, end) there: pictures turned as the picture was.
    """

    path: Path
    segments: tuple[tuple[int, bytes], ...]
    index: mpf.Index | None
    end: int
    changed: Mapping[tuple[int, int], bytes]

    @property
    def lengths(self) -> dict[int, int]:
        """The lengths of changed pictures, before and now."""
        return {end - start: len(data) for (start, end), data in self.changed.items()}

    def moved(self, at: int) -> int:
        """How far behind a result's picture a place of the file comes to lie."""
        return at - self.end + sum(len(data) - end + start for (start, end), data in self.changed.items() if end <= at)


def beside(path: Path, orientation: int) -> Beside:
    """What a file whose picture is turned as this EXIF orientation says holds beside it. Raises OSError."""
    segments: list[tuple[int, bytes]] = []
    index = None
    with _mapped(path) as data:
        end = len(data)
        for kind, start, stop in _segments(data):
            contents = data[start:stop]
            if kind == _END:
                end = stop
            elif kind == _APP2 and contents.startswith(_MPF):
                index = mpf.Index.read(contents[len(_MPF) :], start + len(_MPF))
            elif _is_carried(kind, contents):
                segments.append((kind, contents))
        places = index.places if index else []
        if not all(end <= start < stop <= len(data) for start, stop in places):
            index, places = None, []
        changed = {(a, b): _turned(data[a:b], orientation) for a, b in places if orientation > 1}
    return Beside(path, tuple(segments), index, end, changed)


def put(path: Path, exif: bytes | None, source: Beside | None) -> None:
    """An EXIF block of at most MOST_EXIF bytes, and what stood beside another picture, into a file that has neither."""
    with path.open("rb") as file:
        at = _behind_header(file.read(6))
        before = file.seek(0, 2)
    segments = [_segment(_APP1, _EXIF + exif)] if exif else []
    if source:
        segments += [_segment(kind, contents) for kind, contents in source.segments]
    if source and source.index:
        base = at + sum(map(len, segments)) + len(_segment(_APP2, _MPF))
        end = before + base - at + len(source.index.block)
        block = source.index.rewritten(base, end, lambda place: end + source.moved(place))
        segments.append(_segment(_APP2, _MPF + block))
    insert(path, at, b"".join(segments))
    if source:
        _follow(path, source)


def _follow(path: Path, source: Beside) -> None:
    """Put behind the picture what followed another."""
    with path.open("ab") as file, _mapped(source.path) as data:
        at = source.end
        for (start, end), changed in sorted(source.changed.items()):
            file.write(memoryview(data)[at:start])
            file.write(changed)
            at = end
        file.write(memoryview(data)[at:])


def _turned(data: bytes, orientation: int) -> bytes:
    """A picture turned as the one that it belongs to, with its own metadata; as it is where that cannot be done."""
    try:
        image: Any = pyvips.Image.jpegload_buffer(data)
        if (
            image.get_typeof("orientation") and image.get("orientation") > 1
        ) or image.width * image.height > _LARGEST_TURNED:
            return data  # says itself how it is turned
        image = image.copy()
        image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
        made: bytes = image.autorot().jpegsave_buffer(Q=95, subsample_mode="off", keep="none")
    except pyvips.Error:
        return data
    own = [(kind, data[a:b]) for kind, a, b in _segments(data) if _APP0 <= kind < 0xF0 and kind not in _OF_THE_CODING]
    at = _behind_header(made)
    return made[:at] + b"".join(_segment(kind, contents) for kind, contents in own) + made[at:]


def _segments(data: Any) -> Generator[tuple[int, int, int]]:
    """(marker, start, end) of each segment's contents, to the end of the picture."""
    at = 2
    while data[at : at + 1] == b"\xff" and at + 1 < len(data):
        kind = data[at + 1]
        at += 1 if kind == 0xFF else 2
        if kind == _END:
            yield kind, at, at
            return
        if kind == 0xFF or kind in _ALONE:
            continue
        end = at + int.from_bytes(data[at : at + 2], "big")
        yield kind, at + 2, end
        at = max(end, at + 2)
        if kind == _SCAN:
            found = _MARKER.search(data, at)
            at = found.start() if found else len(data)


def _is_carried(kind: int, contents: bytes) -> bool:
    if kind == _COMMENT:
        return True
    application = _APP0 <= kind < 0xF0 and kind not in _OF_THE_CODING
    return application and not contents.startswith(_CARRIED_ELSEWHERE)


def _behind_header(start: bytes) -> int:
    return 4 + int.from_bytes(start[4:6], "big") if start[3] == _APP0 else 2


def _segment(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + struct.pack(">H", len(data) + 2) + data


@contextmanager
def _mapped(path: Path) -> Generator[Any]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data
