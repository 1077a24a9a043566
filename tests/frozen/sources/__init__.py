"""A small picture of every format, depth, number of bands and kind of metadata, each made by a function of its name."""

from __future__ import annotations

from frozen.sources.bmp import BMP
from frozen.sources.makers import Maker
from frozen.sources.tiff import TIFF
from frozen.sources.web import AVIF, GIF, JPEG, PNG, WEBP

REFUSED: dict[str, Maker] = {
    "empty.png": lambda path: path.write_bytes(b""),
    "text.tif": lambda path: path.write_text("no picture"),
    "xl.jxl": lambda path: path.write_bytes(b"\xff\x0a" + bytes(20)),
}
SOURCES = PNG | JPEG | WEBP | AVIF | TIFF | GIF | BMP | REFUSED
