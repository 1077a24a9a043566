"""Reasons that libraries give for refusing files, in words that people understand."""

from __future__ import annotations

import re

_WORDS = (
    (r"unable to call pngload", "the header of a PNG that makes no sense"),
    (
        r"Not enough image data|Read error at|Read error on|got \d+ bytes, expected|read error",
        "its data broken off or spoilt",
    ),
    (r"premature end of JPEG", "its data broken off"),
    (r"Corrupt JPEG data", "its data spoilt"),
    (
        r"bad seek|Insufficient input data|File size too small|Unexpected end of file|outside of file",
        "its data broken off",
    ),
    (r"Corrupt frame|Invalid frame data|unable to parse image|load error", "its data broken off or spoilt"),
    (
        r"Can ?not read TIFF directory|Failed to read directory|unable to open source",
        "a directory of pages that is broken",
    ),
    (r"not a whole number of bytes|samples out of range", "numbers of a kind that is not read"),
    (r"unable to write to memory", "its data spoilt"),
    (r"[Ii]nvalid argument", "something that the system refuses"),
    (r"Operation not supported|Inappropriate ioctl", "a place that cannot do that"),
    (r"(?:compression|Compression scheme).*(?:not configured|not implemented)", "a compression that is not read"),
    (r"No space left", "a full disk"),
)


def plain(reason: str) -> str:
    """Return a library's reason, said first in plain words where these are known."""
    for pattern, words in _WORDS:
        if re.search(pattern, reason):
            return f"found {words} ({_short(reason)})"
    return reason


def _short(reason: str) -> str:
    """Return a reason without what says nothing: 32 bits of ones for an unknown row, the same place again and again."""
    reason = re.sub(r" at scanline 4294967295", "", reason)
    reason = re.sub(r"(\S+: bad seek to \d+ )+", "", reason)
    return re.sub(
        r"\b(?:tiff2vips|vips__\w+|vipspng|VipsJpeg|(?:png|jpeg|gif|heif|tiff|webp)load): ", "", reason
    ).replace(" load error", "")
