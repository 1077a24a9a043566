"""XMP packets: numbers in them read, and made true for a result, without parsing the XML."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NUMBER = rb"(%s\s*(?:=\s*[\"']|>)\s*)(\d{1,18})(?!\d)"  # as an attribute or an element
# What grows with the picture: its resolution, and the numbers by which viewers wrap panoramas around.
_ACROSS = rb"(?:tiff:XResolution|GPano:(?:FullPanoWidth|CroppedAreaImageWidth|CroppedAreaLeft)Pixels)"
_DOWN = rb"(?:tiff:YResolution|GPano:(?:FullPanoHeight|CroppedAreaImageHeight|CroppedAreaTop)Pixels)"


def corrected(packet: bytes, size: tuple[int, int], factor: tuple[float, float] = (1, 1)) -> bytes:
    """Return a packet true for a result: orientation 1, its (width, height), its resolution; no thumbnails.

    Only statements that the packet makes are changed; none is added. `factor` multiplies the resolution and the
    sizes of a panorama, across and down.
    """
    for name, value in (
        (b"tiff:Orientation", 1),
        (b"tiff:ImageWidth", size[0]),
        (b"tiff:ImageLength", size[1]),
        (b"exif:PixelXDimension", size[0]),
        (b"exif:PixelYDimension", size[1]),
    ):
        packet = re.sub(_NUMBER % name, rb"\g<1>%d" % value, packet)
    packet = _scaled(_scaled(packet, _ACROSS, factor[0]), _DOWN, factor[1])
    return re.sub(rb"<xmp:Thumbnails>.*?</xmp:Thumbnails>", b"", packet, flags=re.DOTALL)


def _scaled(packet: bytes, names: bytes, factor: float) -> bytes:
    def scaled(found: re.Match[bytes]) -> bytes:
        return found[1] + b"%d" % round(int(found[2]) * factor)

    return re.sub(_NUMBER % names, scaled, packet)


def orientation_in(packet: bytes) -> int:
    """Return the orientation that a packet states, 1 to 8 as in EXIF; 1 where it states none."""
    found = re.search(_NUMBER % b"tiff:Orientation", packet)
    return int(found[2]) if found and int(found[2]) in range(2, 9) else 1


def with_item_lengths(packet: bytes, lengths: Mapping[int, int]) -> bytes:
    """Return a packet with new lengths of the pictures that it says follow the first one, by their old lengths."""

    def changed(found: re.Match[bytes]) -> bytes:
        return found[1] + b"%d" % lengths.get(int(found[2]), int(found[2]))

    return re.sub(_NUMBER % b"Item:Length", changed, packet)
