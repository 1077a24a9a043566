"""JPEG. libvips does not see to EXIF as it was, comments, makers' segments, pictures and films behind the picture."""

from __future__ import annotations

import io
import mmap
import re
import struct
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyvips

from lamnet.base.errors import BadImageError
from lamnet.base.files import insert
from lamnet.media import iptc, metadata, vips, xmp
from lamnet.media.blobs import with_blobs, xmp_of
from lamnet.media.codecs import mpf
from lamnet.media.contract import Extras, Format
from lamnet.media.picture import Picture

FORMAT = Format(
    "jpeg",
    (".jpg", ".jpeg", ".jpe", ".jfif"),
    re.compile(rb"\xff\xd8\xff"),
    {"Q": 95, "subsample_mode": "off"},
    side=65_500,
    alpha=False,
    iptc=True,
    comments=True,
    salvageable=True,
)

_SEGMENT_LIMIT = 65_533  # bytes
_PADDING = 64  # bytes behind a picture that are nothing
_MOST_NAMED = 8  # of Photoshop's resources
_MOST_SEGMENTS = 10_000  # that a result keeps
_EXIF, _XMP, _MPF = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"
EXIF_LIMIT = _SEGMENT_LIMIT - len(_EXIF)
_XMP_LIMIT = _SEGMENT_LIMIT - len(_XMP)
_END, _SCAN, _TABLES, _APP0, _APP1, _APP2, _APP13, _COMMENT = 0xD9, 0xDA, 0xDB, 0xE0, 0xE1, 0xE2, 0xED, 0xFE
_WITHOUT_SEGMENT = (0x01, *range(0xD0, 0xD9))  # markers
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # that ends a scan's data
_OF_THE_CODING = (_APP0, 0xE8, 0xEB, 0xEC, 0xED, 0xEE)  # JFIF, SPIFF, JPEG XT and seals, Ducky, Photoshop, Adobe
_CARRIED_ELSEWHERE = (_EXIF, _XMP, b"ICC_PROFILE\0", _MPF)
_STEPS = 3688  # sum of the steps for luma at quality 50: ITU-T T.81, table K.1
_LARGEST_TURNED = 100_000_000  # pixels
_BLOCK = 2**24  # bytes copied at a time


@dataclass(frozen=True)
class JpegExtras(Extras):
    """Attachments of a JPEG that a result in JPEG keeps; EXIF, XMP, profile and IPTC go other ways.

    Attributes:
        segments: (marker, contents) of comments, makers' notes, the rest of long XMP.
        index: of the pictures behind the picture: stereo's other view, a phone's gain map.
        trailer: (start, end) in the file of all that follows the picture, such pictures or a film. It may be too big to
            hold: the bytes are read from the file when a result is saved.
    """

    segments: tuple[tuple[int, bytes], ...] = ()
    index: mpf.Index | None = None
    trailer: tuple[int, int] = (0, 0)


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open the picture, of several the first."""
    return vips.load("jpeg", path)


def extras(path: Path) -> JpegExtras:
    """Learn the quality and the attachments: segments, further pictures, a film. Raises OSError."""
    segments: list[tuple[int, bytes]] = []
    index, carried, quality = None, 0, None
    lost: dict[str, None] = {}
    with _mapped(path) as data:
        picture_end = file_end = len(data)
        for kind, start, stop in _segments(data):
            contents = data[start:stop]
            if kind == _END:
                picture_end = stop
            elif kind == _APP2 and contents.startswith(_MPF):
                index = mpf.Index.read(contents[len(_MPF) :], start + len(_MPF))
            elif kind == _TABLES:
                quality = quality or _quality(contents)
            elif kind == _APP13:
                lost |= dict.fromkeys(iptc.other_resources(contents))
            elif _is_carried(kind, contents):
                carried += 1
                if carried <= _MOST_SEGMENTS:
                    segments.append((kind, contents))
    if index and not all(picture_end <= start < stop <= file_end for start, stop in index.places):
        index = None
    notes = (f"without the segments behind the first {_MOST_SEGMENTS:,}",) if carried > _MOST_SEGMENTS else ()
    if lost:
        shown = [*islice(lost, _MOST_NAMED), *(["others"] if len(lost) > _MOST_NAMED else [])]
        notes += (f"without {', '.join(shown)} of Photoshop's",)
    follows = file_end - picture_end > _PADDING
    own = ["what follows the picture in its file, such as a film or a gain map"] if follows else []
    own += ["makers' segments of its JPEG"] if any(kind != _COMMENT for kind, _ in segments) else []
    return JpegExtras(
        lossy="JPEG",
        quality=quality,
        notes=notes,
        own=" and ".join(own) or None,
        comments=tuple(contents for kind, contents in segments if kind == _COMMENT),
        segments=tuple(segments),
        index=index,
        trailer=(picture_end, file_end),
    )


def save(path: Path, results: Sequence[pyvips.Image], picture: Picture, target: Path) -> None:
    """Write a result; with the segments, and behind it the pictures and films, of a source that is a JPEG.

    Raises BadImageError when metadata are longer than a segment, where libvips would leave them out.
    """
    image, source = results[0], picture.pages[0]
    exif = metadata.corrected_exif(source, (image.width, image.height), EXIF_LIMIT)
    comments = tuple((_COMMENT, text[:_SEGMENT_LIMIT]) for text in picture.extras.comments)
    own = picture.extras if isinstance(picture.extras, JpegExtras) else JpegExtras(segments=comments)
    with _trailer_of(picture, own) as trailer:
        if trailer.lengths and (packet := xmp_of(image)):
            image = with_blobs(image, {"xmp-data": xmp.with_item_lengths(packet, trailer.lengths)})
        if records := iptc.iptc_of(source):
            image = iptc.with_iptc(image, records)
        for name, data, limit in (("EXIF", exif, EXIF_LIMIT), ("XMP", xmp_of(image), _XMP_LIMIT)):
            if data and len(data) > limit:
                raise BadImageError(
                    f"{target}: expected a format that holds {len(data):,} bytes of {name}, found {target.suffix}"
                )
        vips.write(
            FORMAT.name,
            path,
            image,
            keep=metadata.kept(source, with_exif=exif is None),
            **FORMAT.saved_with(picture.quality),
        )
        _insert_segments(path, exif, own, trailer)
        trailer.append_to(path)


@dataclass(frozen=True)
class _Trailer:
    """The bytes that follow a picture in its file, from `start` to `end`.

    Attributes:
        changed: what stands in place of (start, end) there: pictures turned as the picture was.
    """

    file: IO[bytes]
    start: int
    end: int
    changed: Mapping[tuple[int, int], bytes]

    @property
    def lengths(self) -> dict[int, int]:
        """The lengths of changed pictures, now by before."""
        return {end - start: len(data) for (start, end), data in self.changed.items()}

    def moved(self, at: int) -> int:
        """Return how far behind a result's picture a place of the source comes to lie."""
        grown = sum(len(data) - end + start for (start, end), data in self.changed.items() if end <= at)
        return at - self.start + grown

    def append_to(self, path: Path) -> None:
        """Write the bytes for a result at the end of its file."""
        at = self.start
        with path.open("ab") as out:
            for (start, end), changed in sorted(self.changed.items()):
                self._copy(out, at, start)
                out.write(changed)
                at = end
            self._copy(out, at, self.end)

    def _copy(self, out: IO[bytes], start: int, end: int) -> None:
        self.file.seek(start)
        while start < end and (block := self.file.read(min(_BLOCK, end - start))):
            out.write(block)
            start += len(block)


@contextmanager
def _trailer_of(picture: Picture, own: JpegExtras) -> Generator[_Trailer]:
    """Open the source where something follows its picture; turn the pictures there as the picture has been."""
    start, end = own.trailer
    if start == end:
        yield _Trailer(io.BytesIO(), 0, 0, {})
        return
    changed: dict[tuple[int, int], bytes] = {}
    with ExitStack() as stack:
        with vips.naming_errors(picture.path, "cannot be read"):
            file = stack.enter_context(picture.path.open("rb"))
            for first, last in own.index.places if own.index and picture.orientation > 1 else ():
                file.seek(first)
                changed[first, last] = _turned(file.read(last - first), picture.orientation)
        yield _Trailer(file, start, end, changed)


def _insert_segments(path: Path, exif: bytes | None, own: JpegExtras, trailer: _Trailer) -> None:
    """Put EXIF, segments and an index true for the result into a file that has none of them."""
    with path.open("rb") as file:
        at = _behind_header(file.read(6))
        length = file.seek(0, 2)
    segments = [_segment(_APP1, _EXIF + exif)] if exif else []
    segments += [_segment(kind, contents) for kind, contents in own.segments]
    if own.index:
        base = at + sum(map(len, segments)) + len(_segment(_APP2, _MPF))
        end = length + base - at + len(own.index.block)
        places = [(end + trailer.moved(start), end + trailer.moved(stop)) for start, stop in own.index.places]
        segments.append(_segment(_APP2, _MPF + own.index.rewritten(base, end, places)))
    insert(path, at, b"".join(segments))


def _turned(data: bytes, orientation: int) -> bytes:
    """Return a picture turned as the one that it belongs to, with its own metadata; as it is where that cannot be done."""
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
    """Yield (marker, start, end) of each segment's contents, to the end of the picture."""
    at = 2
    while data[at : at + 1] == b"\xff" and at + 1 < len(data):
        kind = data[at + 1]
        at += 1 if kind == 0xFF else 2
        if kind == _END:
            yield kind, at, at
            return
        if kind == 0xFF or kind in _WITHOUT_SEGMENT:
            continue
        end = at + int.from_bytes(data[at : at + 2], "big")
        yield kind, at + 2, end
        at = max(end, at + 2)
        if kind == _SCAN:
            found = _MARKER.search(data, at)
            at = found.start() if found else len(data)


def _quality(tables: bytes) -> int | None:
    """Return the quality that the steps for luma stand for, as libjpeg makes them; of other encoders one that is like it."""
    at = 0
    while at < len(tables):
        size, number = 1 + (tables[at] >> 4), tables[at] & 15
        steps = tables[at + 1 : at + 1 + 64 * size]
        if number == 0 and len(steps) == 64 * size:
            scale = 100 * sum(steps if size == 1 else struct.unpack(">64H", steps)) / _STEPS
            return min(100, max(1, round(100 - scale / 2 if scale <= 100 else 5000 / scale)))
        at += 1 + 64 * size
    return None


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
