"""JPEG. libvips does not see to EXIF as it was, comments, makers' segments, pictures and films behind the picture."""

from __future__ import annotations

import io
import mmap
import re
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
from lamnet.media.blobs import blob, with_blobs, xmp_of
from lamnet.media.codecs import jpeg_damage, mpf
from lamnet.media.codecs.jpeg_segments import (
    APP1,
    APP2,
    APP13,
    COMMENT,
    END,
    EXIF,
    LIMIT,
    MPF,
    TABLES,
    XMP,
    behind_header,
    is_attached,
    is_carried,
    quality_of,
    segment,
    segments_of,
    size_of,
)
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

_VIEWS = "the other pictures of its size in its file, such as stereo's second view"
_PADDING = 64  # bytes behind a picture that are nothing
_MOST_NAMED = 8  # of Photoshop's resources
_MOST_SEGMENTS = 10_000  # that a result keeps
EXIF_LIMIT = LIMIT - len(EXIF)
_XMP_LIMIT = LIMIT - len(XMP)
_ICC_LIMIT = 255 * 65_519  # segments that can be numbered, bytes in each
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
    """Open the picture, of several the first; spoilt data are an error when its pixels are read."""
    return jpeg_damage.load(path)


def extras(path: Path) -> JpegExtras:
    """Learn the quality and the attachments: segments, further pictures, a film. Raises OSError."""
    segments: list[tuple[int, bytes]] = []
    index, carried, quality = None, 0, None
    lost: dict[str, None] = {}
    with _mapped(path) as data:
        picture_end = file_end = len(data)
        for kind, start, stop in segments_of(data):
            contents = data[start:stop]
            if kind == END:
                picture_end = stop
            elif kind == APP2 and contents.startswith(MPF):
                index = mpf.Index.read(contents[len(MPF) :], start + len(MPF))
            elif kind == TABLES:
                quality = quality or quality_of(contents)
            elif kind == APP13:
                lost |= dict.fromkeys(iptc.other_resources(contents))
            elif is_carried(kind, contents):
                carried += 1
                if carried <= _MOST_SEGMENTS:
                    segments.append((kind, contents))
        if index and not all(picture_end <= start < stop <= file_end for start, stop in index.places):
            index = None
        size, places = size_of(data), index.places if index else []
        views = any(size_of(data[start:stop]) == size for start, stop in places)
    notes = (f"without the segments behind the first {_MOST_SEGMENTS:,}",) if carried > _MOST_SEGMENTS else ()
    if lost:
        shown = [*islice(lost, _MOST_NAMED), *(["others"] if len(lost) > _MOST_NAMED else [])]
        notes += (f"without {', '.join(shown)} of Photoshop's",)
    follows = file_end - picture_end > _PADDING
    own = ["what follows the picture in its file, such as a film or a gain map"] if follows else []
    own += ["makers' segments of its JPEG"] if any(kind != COMMENT for kind, _ in segments) else []
    return JpegExtras(
        lossy="JPEG",
        quality=quality,
        notes=notes,
        own=" and ".join(own) or None,
        not_enlarged=_VIEWS if views else None,
        comments=tuple(contents for kind, contents in segments if kind == COMMENT),
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
    comments = tuple((COMMENT, text[:LIMIT]) for text in picture.extras.comments)
    own = picture.extras if isinstance(picture.extras, JpegExtras) else JpegExtras(segments=comments)
    with _trailer_of(picture, own) as trailer:
        if trailer.lengths and (packet := xmp_of(image)):
            image = with_blobs(image, {"xmp-data": xmp.with_item_lengths(packet, trailer.lengths)})
        if records := iptc.iptc_of(source):
            image = iptc.with_iptc(image, records)
        profile = blob(image, "icc-profile-data")
        holds = (("EXIF", exif, EXIF_LIMIT), ("XMP", xmp_of(image), _XMP_LIMIT), ("ICC profile", profile, _ICC_LIMIT))
        for name, data, limit in holds:
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
        at = behind_header(file.read(6))
        length = file.seek(0, 2)
    segments = [segment(APP1, EXIF + exif)] if exif else []
    segments += [segment(kind, contents) for kind, contents in own.segments]
    if own.index:
        base = at + sum(map(len, segments)) + len(segment(APP2, MPF))
        end = length + base - at + len(own.index.block)
        places = [(end + trailer.moved(start), end + trailer.moved(stop)) for start, stop in own.index.places]
        segments.append(segment(APP2, MPF + own.index.rewritten(base, end, places)))
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
    own = [(kind, data[a:b]) for kind, a, b in segments_of(data) if is_attached(kind)]
    at = behind_header(made)
    return made[:at] + b"".join(segment(kind, contents) for kind, contents in own) + made[at:]


@contextmanager
def _mapped(path: Path) -> Generator[Any]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data
