"""The picture that all sources hold, its metadata, and makers of files by each library."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import tifffile
from numpy.typing import NDArray
from PIL import Image

SIZE = (7, 11)
Maker = Callable[[Path], object]

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" tiff:ImageWidth="11" tiff:XResolution="300/1" '
    b'note="kept"/></x:xmpmeta>'
)
TURNED = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="8"/>'
RECORDS = b"\x1c\x02\x05\x00\x05Title"


def scene(bands: int, dtype: type = np.uint8, size: tuple[int, int] = SIZE) -> NDArray[Any]:
    """(height, width, bands) of slopes with an edge, and of an alpha that is clear in a corner."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    edge = np.where(rows + columns > sum(size) / 2, 0.35, 0.0)
    red, green = rows / size[0] * 0.6 + edge, columns / size[1] * 0.6 + edge
    blue, alpha = 0.9 - (rows + columns) / sum(size) * 0.8, (rows + 2 * columns).clip(0, 9) / 9
    parts = [red, green, blue][: 3 if bands > 2 else 1] + ([alpha] if bands in (2, 4) else [])
    pixels = np.stack(parts, -1)
    return (pixels if np.dtype(dtype).kind == "f" else pixels * np.iinfo(dtype).max).astype(dtype)


def picture(bands: int = 3, size: tuple[int, int] = SIZE) -> Image.Image:
    pixels = scene(bands, size=size)
    return Image.fromarray(pixels[..., 0] if bands == 1 else pixels)


def profile(name: str) -> bytes:
    """The ICC profile that libvips has under this name."""
    found: Any = pyvips.Operation.call("profile_load", name)
    return found


def exif(orientation: int | None = 6) -> Image.Exif:
    """Camera, time, place, sizes and resolution."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0100], tags[0x0101] = "Maker", "Model", 11, 7
    tags[0x011A], tags[0x011B], tags[0x0128] = 300.0, 150.0, 2
    if orientation:
        tags[0x0112] = orientation
    details, place = tags.get_ifd(0x8769), tags.get_ifd(0x8825)
    details[0x9003], details[0xA002], details[0xA003] = "2020:01:02 03:04:05", 11, 7
    details[0x829A], details[0x9286], details[0x927C] = 0.004, b"UNICODE\0j\0\xf6\0", b"\x01\x02maker note\xff"
    place[1], place[2] = "N", (52.0, 31.0, 12.5)
    return tags


def vips(bands: int, dtype: type = np.uint8) -> Any:
    deep = np.dtype(dtype) == np.uint16
    space = ("grey16" if deep else "b-w") if bands < 3 else ("rgb16" if deep else "srgb")
    return pyvips.Image.new_from_array(scene(bands, dtype), interpretation=space)


def by_vips(bands: int, dtype: type = np.uint8, icc: str | None = None, **options: Any) -> Maker:
    def make(path: Path) -> None:
        image = vips(bands, dtype)
        if icc:
            image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile(icc))
        image.write_to_file(str(path), **options)

    return make


def by_pillow(image: Callable[[], Image.Image], **options: Any) -> Maker:
    return lambda path: image().save(path, **options)


def by_tifffile(bands: int, dtype: type = np.uint8, **options: Any) -> Maker:
    def make(path: Path) -> None:
        pixels = scene(bands, dtype)
        extra = ["unassalpha"] if bands in (2, 4) and options.get("photometric") != "separated" else None
        kind = {"photometric": "rgb" if bands > 2 else "minisblack", "extrasamples": extra, "metadata": None} | options
        tifffile.imwrite(path, pixels[..., 0] if bands == 1 else pixels, **kind)

    return make


def frames(bands: int = 3, count: int = 3) -> list[Image.Image]:
    return [Image.fromarray(np.roll(scene(bands), 2 * number, 1)) for number in range(count)]


def animated(bands: int = 3, **options: Any) -> Maker:
    def make(path: Path) -> None:
        first, *others = frames(bands)
        timing = {"duration": [40, 100, 250], "loop": 3} if path.suffix in (".gif", ".webp", ".png") else {}
        first.save(path, save_all=True, append_images=others, **timing, **options)

    return make


def bytes_of(image: Image.Image, kind: str) -> bytes:
    made = io.BytesIO()
    image.save(made, kind)
    return made.getvalue()
