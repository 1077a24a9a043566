"""Fields of a TIFF's page beside its pixels: which ones a result carries, made true for its size, and what of them is lost."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lamnet.media import ifd
from lamnet.media.codecs import geotiff, sized_texts
from lamnet.media.codecs.sized_texts import Laid
from lamnet.media.exif import ratio
from lamnet.media.ifd import BrokenError, Directory, Field, Layout

DESCRIPTION = 270
# What a directory says of the picture itself: title, camera, software, date, author, rating, copyright.
DESCRIPTIVE = frozenset(
    {11, DESCRIPTION, 269, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095}
    | {42113}
)
# What is about the coding of the pixels, or goes another way: as EXIF's directories, blocks of metadata, resolution.
CODING = frozenset(
    {*range(254, 260), *range(262, 267), 273, 274, *range(277, 285), *range(288, 294), 296, 317, *range(320, 326)}
    | {*range(326, 331), *range(332, 335), 336, *range(337, 348), *range(512, 522), *range(529, 533), 559, 700, 33723}
    | {ifd.EXIF, 34675, ifd.GPS, 34926, 40965, 50674}
)
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _PLANAR = 256, 257, 258, 262, 274, 277, 284
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 282, 283, 296
_NO_UNIT = 1
_TRANSFER, _WHITE, _PRIMARIES = 301, 318, 319
_ON_SHEET = {286: "its place on a sheet", 287: "its place on a sheet", 297: "its page's number"}
_OF_COLOURS = {_TRANSFER: "its transfer function", _WHITE: "its white point", _PRIMARIES: "its primaries"}
_WORDS = {
    **_ON_SHEET,
    **_OF_COLOURS,
    **dict.fromkeys(geotiff.TAGS, "its place on Earth (GeoTIFF)"),
    geotiff.GDAL_METADATA: "GDAL's metadata",
    _UNIT: "its resolution, which has no unit",
    34377: "Photoshop's resources",
    37724: "Photoshop's layers",
    50838: "ImageJ's regions and labels",
    50839: "ImageJ's regions and labels",
}
_AS_THEY_ARE = (*_ON_SHEET, *_OF_COLOURS)
_GREY, _RGB, _PALETTE = 1, 2, 3
WANTED = frozenset({*_AS_THEY_ARE, *geotiff.TAGS, DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _UNIT}) | frozenset(
    {_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _PLANAR}
)
_EXIF_WIDTH, _EXIF_HEIGHT = 40962, 40963
_PADDING = (59932, 59933)
_IN_NO_PAGE = (CODING - {ifd.EXIF, ifd.GPS}) | {_TRANSFER, *_PADDING}  # fields of EXIF
_MOST_NAMED = 10  # fields of a note


@dataclass(frozen=True)
class Carried:
    """Fields of a page that a result in TIFF alone carries.

    Attributes:
        fields: as they are.
        page: how the page's numbers lie in its file.
        left: words for those that no result carries.
    """

    fields: Directory
    page: Laid
    left: tuple[str, ...] = ()

    @property
    def _states_no_resolution(self) -> bool:
        """True where resolutions are 1 without a unit, as programs write that know none."""
        found = [self.fields.get(tag) for tag in (_X_RESOLUTION, _Y_RESOLUTION)]
        return all(isinstance(one, Field) and one.data[:4] == one.data[4:8] for one in found)

    @property
    def words(self) -> list[str]:
        """Words for the fields."""
        plain = self._states_no_resolution
        found = [_WORDS[tag] for tag in self.fields if tag in _WORDS and not (tag == _UNIT and plain)]
        if text := text_of(self.fields):
            found.append(f"its description ({sized_texts.kind_of(text, self.page.size)})")
        return list(dict.fromkeys(found))

    def true_for(self, size: tuple[int, int]) -> Directory:
        """Return the fields for a result of this (width, height)."""
        factor = size[0] / self.page.size[0], size[1] / self.page.size[1]
        made = geotiff.scaled(self.fields, factor)
        if text := text_of(self.fields):
            new = sized_texts.corrected(text, self.page, size) or ""
            made[DESCRIPTION] = Field(2, new.encode("utf-8", "surrogateescape") + b"\0")
        for tag, by in ((_X_RESOLUTION, factor[0]), (_Y_RESOLUTION, factor[1])):
            if not self._states_no_resolution and isinstance(one := self.fields.get(tag), Field):
                made[tag] = _scaled(one, by)
        return made


def carried(directory: Directory, tags: Iterable[int]) -> Carried:
    """Return what a result carries of a page.

    Args:
        directory: the WANTED fields of the page.
        tags: of all its fields.
    """
    page, left = _laid(directory), list[str]()
    fields = Directory({tag: directory[tag] for tag in sorted(_kept_tags(directory)) if tag in directory})
    text = text_of(directory)
    if text and (kind := sized_texts.kind_of(text, page.size)):
        if not _is_turned(directory) and sized_texts.corrected(text, page, page.size) is not None:
            fields[DESCRIPTION] = directory[DESCRIPTION]
        else:
            left.append(f"its description, whose size is no longer true ({kind})")
    lost = set(tags) - CODING - DESCRIPTIVE - set(fields) - {_X_RESOLUTION, _Y_RESOLUTION}
    left += dict.fromkeys(_WORDS.get(tag, f"its field {tag}") for tag in sorted(lost)[:_MOST_NAMED])
    if len(lost) > _MOST_NAMED:
        left.append(f"{len(lost) - _MOST_NAMED} more fields")
    return Carried(fields, page, tuple(left))


def of_exif(exif: bytes | None, size: tuple[int, int]) -> Directory:
    """Return the fields that a page takes of EXIF, stating its (width, height); none where it is broken."""
    file = io.BytesIO((exif or b"").removeprefix(b"Exif\0\0"))
    try:
        layout = Layout.of(file)
        found = ifd.read(file, layout, ifd.follow(file, layout, layout.start))
    except BrokenError:
        return Directory()
    details = found.get(ifd.EXIF)
    if isinstance(details, Directory):
        for tag, number in zip((_EXIF_WIDTH, _EXIF_HEIGHT), size, strict=True):
            if tag in details:
                details[tag] = Field(ifd.LONG, number.to_bytes(4, "little"))
    return Directory({tag: field for tag, field in found.items() if tag not in _IN_NO_PAGE})


def is_sized(directory: Directory) -> bool:
    """Tell whether a page's description states a size, so that it is none for EXIF."""
    return sized_texts.kind_of(text_of(directory), _laid(directory).size) is not None


def text_of(directory: Directory) -> str:
    """Return a page's description, empty where there is none."""
    found = directory.get(DESCRIPTION)
    return found.data.split(b"\0")[0].decode("utf-8", "surrogateescape") if isinstance(found, Field) else ""


def _kept_tags(directory: Directory) -> set[int]:
    photometric, bits = directory.number(_PHOTOMETRIC), directory.number(_BITS)
    kept = {*_ON_SHEET, *geotiff.TAGS} if not _is_turned(directory) else set[int]()
    if not geotiff.is_sound(directory):
        kept -= geotiff.TAGS
    if photometric in (_GREY, _RGB, _PALETTE):
        kept |= {_WHITE, _PRIMARIES}
    if photometric in (_GREY, _RGB) and bits in (8, 16):
        kept.add(_TRANSFER)
    if directory.number(_UNIT) == _NO_UNIT and not _is_turned(directory):
        kept |= {_X_RESOLUTION, _Y_RESOLUTION, _UNIT}
    return kept


def _is_turned(directory: Directory) -> bool:
    return (directory.number(_ORIENTATION) or 1) in range(2, 9)


def _laid(directory: Directory) -> Laid:
    size = directory.number(_WIDTH) or 1, directory.number(_HEIGHT) or 1
    bands = directory.number(_SAMPLES) or 1
    same = directory.number(_PHOTOMETRIC) in (0, _GREY, _RGB) and (bands == 1 or directory.number(_PLANAR) != 2)
    return Laid(size, bands if same else -1)


def _scaled(field: Field, by: float) -> Field:
    """Return a field of one rational number so many times as large."""
    if field.kind != ifd.RATIONAL or len(field.data) < 8:
        return field
    numbers: list[int] = np.frombuffer(field.data[:8], "<u4").tolist()
    number, unit = numbers
    if not unit:
        return field
    return Field(ifd.RATIONAL, np.array(ratio(Fraction(number, unit) * Fraction(by)), "<u4").tobytes())
