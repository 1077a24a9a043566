"""Fields of a TIFF's page beside its pixels: which ones a result carries, made true for its size, and what of them is lost."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lamnet.media import ifd, tags
from lamnet.media.codecs import geotiff, sized_texts
from lamnet.media.codecs.sized_texts import Laid
from lamnet.media.exif import ratio
from lamnet.media.ifd import BrokenError, Directory, Field, Layout

# What a directory says of the picture itself: title, camera, software, date, author, rating, copyright.
DESCRIPTIVE = frozenset(
    {11, 269, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095}
    | {tags.DESCRIPTION, tags.NO_DATA}
)
# What is about the coding of the pixels, or goes another way: as EXIF's directories, blocks of metadata, resolution.
CODING = frozenset(
    {*range(254, 260), *range(262, 267), 273, 274, *range(277, 285), *range(288, 294), 296, 317, *range(320, 326)}
    | {*range(326, 331), *range(332, 335), 336, *range(337, 348), *range(512, 522), *range(529, 533), 559, 700, 33723}
    | {ifd.EXIF, 34675, ifd.GPS, 34926, ifd.INTEROP, 50674}
)
_ON_SHEET = {
    tags.X_POSITION: "its place on a sheet",
    tags.Y_POSITION: "its place on a sheet",
    tags.PAGE_NUMBER: "its page's number",
}
_OF_COLOURS = {tags.TRANSFER: "its transfer function", tags.WHITE: "its white point", tags.PRIMARIES: "its primaries"}
_WORDS = {
    **_ON_SHEET,
    **_OF_COLOURS,
    **dict.fromkeys(geotiff.TAGS, "its place on Earth (GeoTIFF)"),
    geotiff.GDAL_METADATA: "GDAL's metadata",
    tags.UNIT: "its resolution, which has no unit",
    34377: "Photoshop's resources",
    37724: "Photoshop's layers",
    50838: "ImageJ's regions and labels",
    50839: "ImageJ's regions and labels",
}
_AS_THEY_ARE = (*_ON_SHEET, *_OF_COLOURS)
_GREY, _RGB, _PALETTE = 1, 2, 3
WANTED = frozenset(
    {*_AS_THEY_ARE, *geotiff.TAGS, tags.DESCRIPTION, tags.X_RESOLUTION, tags.Y_RESOLUTION, tags.UNIT}
) | frozenset({tags.WIDTH, tags.HEIGHT, tags.BITS, tags.PHOTOMETRIC, tags.ORIENTATION, tags.SAMPLES, tags.PLANAR})
_PADDING = (59932, 59933)
_IN_NO_PAGE = (CODING - {ifd.EXIF, ifd.GPS}) | {tags.TRANSFER, *_PADDING}  # fields of EXIF
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
        found = [self.fields.get(tag) for tag in (tags.X_RESOLUTION, tags.Y_RESOLUTION)]
        return all(isinstance(one, Field) and one.data[:4] == one.data[4:8] for one in found)

    @property
    def words(self) -> list[str]:
        """Words for the fields."""
        plain = self._states_no_resolution
        found = [_WORDS[tag] for tag in self.fields if tag in _WORDS and not (tag == tags.UNIT and plain)]
        if text := tags.text_of(self.fields, tags.DESCRIPTION):
            found.append(f"its description ({sized_texts.kind_of(text, self.page.size)})")
        return list(dict.fromkeys(found))

    def true_for(self, size: tuple[int, int]) -> Directory:
        """Return the fields for a result of this (width, height)."""
        factor = size[0] / self.page.size[0], size[1] / self.page.size[1]
        made = geotiff.scaled(self.fields, factor)
        if text := tags.text_of(self.fields, tags.DESCRIPTION):
            new = sized_texts.corrected(text, self.page, size) or ""
            made[tags.DESCRIPTION] = Field(2, new.encode("utf-8", "surrogateescape") + b"\0")
        for tag, by in ((tags.X_RESOLUTION, factor[0]), (tags.Y_RESOLUTION, factor[1])):
            if not self._states_no_resolution and isinstance(one := self.fields.get(tag), Field):
                made[tag] = _scaled(one, by)
        return made


def carried(directory: Directory, all_tags: Iterable[int]) -> Carried:
    """Return what a result carries of a page.

    Args:
        directory: the WANTED fields of the page.
        all_tags: of all its fields.
    """
    page, left = _laid(directory), list[str]()
    fields = Directory({tag: directory[tag] for tag in sorted(_kept_tags(directory)) if tag in directory})
    text = tags.text_of(directory, tags.DESCRIPTION)
    if text and (kind := sized_texts.kind_of(text, page.size)):
        if not _is_turned(directory) and sized_texts.corrected(text, page, page.size) is not None:
            fields[tags.DESCRIPTION] = directory[tags.DESCRIPTION]
        else:
            left.append(f"its description, whose size is no longer true ({kind})")
    lost = set(all_tags) - CODING - DESCRIPTIVE - set(fields) - {tags.X_RESOLUTION, tags.Y_RESOLUTION}
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
        for tag, number in zip((tags.PIXELS_ACROSS, tags.PIXELS_DOWN), size, strict=True):
            if tag in details:
                details[tag] = Field(ifd.LONG, number.to_bytes(4, "little"))
    return Directory({tag: field for tag, field in found.items() if tag not in _IN_NO_PAGE})


def is_sized(directory: Directory) -> bool:
    """Tell whether a page's description states a size, so that it is none for EXIF."""
    return sized_texts.kind_of(tags.text_of(directory, tags.DESCRIPTION), _laid(directory).size) is not None


def _kept_tags(directory: Directory) -> set[int]:
    photometric, bits = directory.number(tags.PHOTOMETRIC), directory.number(tags.BITS)
    kept = {*_ON_SHEET, *geotiff.TAGS} if not _is_turned(directory) else set[int]()
    if not geotiff.is_sound(directory):
        kept -= geotiff.TAGS
    if photometric in (_GREY, _RGB, _PALETTE):
        kept |= {tags.WHITE, tags.PRIMARIES}
    if photometric in (_GREY, _RGB) and bits in (8, 16):
        kept.add(tags.TRANSFER)
    if directory.number(tags.UNIT) == tags.NO_UNIT and not _is_turned(directory):
        kept |= {tags.X_RESOLUTION, tags.Y_RESOLUTION, tags.UNIT}
    return kept


def _is_turned(directory: Directory) -> bool:
    return (directory.number(tags.ORIENTATION) or 1) in range(2, 9)


def _laid(directory: Directory) -> Laid:
    size = directory.number(tags.WIDTH) or 1, directory.number(tags.HEIGHT) or 1
    bands = directory.number(tags.SAMPLES) or 1
    same = directory.number(tags.PHOTOMETRIC) in (0, _GREY, _RGB) and (bands == 1 or directory.number(tags.PLANAR) != 2)
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
