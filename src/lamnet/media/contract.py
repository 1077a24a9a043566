"""Data of the contract that each picture format keeps: what a format can hold, and what is learned of a file at its opening."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Format:
    """A file format and what it can hold.

    Attributes:
        name: begins the names of libvips' operations for it.
        suffixes: the usual one first.
        signature: what the first bytes of a file match.
        options: of libvips' saver.
        side: the largest width or height.
        frames: whether it holds animations.
        pages: whether it holds pages of any size and depth.
        extra_bands: whether it holds bands that are neither colours nor alpha.
        dtypes: NumPy's names of its depths, the deepest last.
        profiled: numbers of colours, 1 for grey, for which there can be a profile.
        numbered_colours: whether it states colours by number (ITU-T H.273).
        substitute: whether a result becomes one where its source's format cannot hold it.
        palette: whether it holds few colours only, so that no result is put into it unasked.
        iptc: whether it holds IPTC records.
        comments: whether it holds texts without a keyword, or with that of a comment.
        salvageable: whether libvips reads what is there of a damaged file.
    """

    name: str
    suffixes: tuple[str, ...]
    signature: re.Pattern[bytes]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    side: int = 2**31 - 1
    alpha: bool = True
    frames: bool = False
    pages: bool = False
    extra_bands: bool = False
    dtypes: tuple[str, ...] = ("uint8",)
    profiled: tuple[int, ...] = (1, 3)
    numbered_colours: bool = False
    substitute: bool = False
    palette: bool = False
    iptc: bool = False
    comments: bool = False
    salvageable: bool = False

    def saved_with(self, quality: int | None) -> Mapping[str, Any]:
        """Return the options of libvips' saver for a quality, where the format has one."""
        return {**self.options, "Q": quality} if quality and "Q" in self.options else self.options


@dataclass(frozen=True)
class PageExtras:
    """Facts of a page that libvips does not see.

    Attributes:
        blobs: EXIF, XMP by libvips' names, used where libvips has found none.
        oriented: whether an orientation is stated outside XMP; None where libvips knows.
        reduced: whether the page is another one in a smaller size.
        resolved: whether a resolution is stated outside EXIF; libvips makes one up where a PNG states none.
        extra_kinds: kinds of the bands behind the colours, as TIFF's ExtraSamples has them; of others none is known.
    """

    blobs: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    oriented: bool | None = None
    reduced: bool = False
    resolved: bool = True
    extra_kinds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Extras:
    """Facts of a file, learned once at its opening, that libvips' image lacks; formats that carry more of their own extend it.

    Attributes:
        known: of the first pages, as many as are known.
        size: (width, height) by the header, of formats whose pixels are decoded at opening.
        hidden_frames: whether there are frames of which libvips would give the first alone.
        colours: primaries and transfer characteristics by number (ITU-T H.273).
        premultiplied: whether colours have been multiplied by their alpha.
        notes: what of the file is in none of the pages, a line each.
        comments: texts without a keyword.
        own: what a result in the same format alone carries over, in words; None for nothing.
        not_enlarged: the part of that which stays as it is though it is of the picture's size, in words; None for nothing.
        lossy: how pixels are coded where the file says that something is lost: "JPEG", "lossy WebP".
        quality: of a JPEG by its tables, 1 to 100 on the scale of the Independent JPEG Group.
        bits: of a lossy WebP or AVIF, for each pixel of its first frame; None where the file does not say.
    """

    known: tuple[PageExtras, ...] = ()
    size: tuple[int, int] | None = None
    hidden_frames: bool = False
    colours: tuple[int, int] | None = None
    premultiplied: bool = False
    notes: tuple[str, ...] = ()
    comments: tuple[bytes, ...] = ()
    own: str | None = None
    not_enlarged: str | None = None
    lossy: str | None = None
    quality: int | None = None
    bits: float | None = None

    def page(self, number: int) -> PageExtras:
        """Return what is known of a page."""
        return self.known[number] if number < len(self.known) else PageExtras()
