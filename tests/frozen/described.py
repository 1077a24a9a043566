"""What a picture file holds, told by readers other than lamnet: pixels as arrays, and all the rest as JSON."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import tifffile
from numpy.typing import NDArray
from PIL import Image

# What depends on pixels or on where they lie in the file rather than on what lamnet says of them.
_PLACES = {"StripOffsets", "StripByteCounts", "TileOffsets", "TileByteCounts", "RowsPerStrip"}
_OWN = {"exif", "photoshop", "xmp", "icc_profile", "duration", "transparency", "extension", "timestamp"}
_LONGEST = 48  # bytes that are shown and not hashed


def pixels_of(path: Path) -> list[NDArray[Any]]:
    """(H, W, bands) of each page, or of all frames of an animation one below the other."""
    if _is_tiff(path):
        with tifffile.TiffFile(path) as file:
            arrays = [page.asarray() for page in file.pages]
    else:
        options = {"n": -1} if path.suffix in (".gif", ".webp") else {}
        arrays = [pyvips.Image.new_from_file(str(path), revalidate=True, **options).numpy()]
    return [array if array.ndim == 3 else array[..., None] for array in arrays]


def description(path: Path) -> dict[str, Any]:
    """Format, size, depth, metadata and layout; the same on every machine, since it leaves out what pixels decide."""
    if _is_tiff(path):
        return {"format": "TIFF", "pages": _tiff_pages(path)}
    image: Any = pyvips.Image.new_from_file(str(path), revalidate=True)
    with Image.open(path) as opened:
        info: dict[str, Any] = {str(key): brief(value) for key, value in opened.info.items() if key not in _OWN}
        found = {"format": opened.format, "size": list(opened.size), "mode": opened.mode, "numbers": image.format}
        blobs = {"ICC": opened.info.get("icc_profile"), "XMP": _blob(image, "xmp-data")}
        found |= {name: brief(blob) for name, blob in blobs.items() if blob}
        if frames := getattr(opened, "n_frames", 1) - 1:
            found["frames"] = frames + 1
            found["delays"] = image.get("delay") if image.get_typeof("delay") else None
        found |= {"info": info} | ({"EXIF": exif} if (exif := _exif(opened)) else {})
    for name in ("bits-per-sample", "heif-compression"):
        if image.get_typeof(name):
            found[name] = image.get(name)
    parts = list(_parts(path))
    return found | ({"parts": parts} if parts else {})


def brief(value: Any) -> Any:
    """The value as JSON takes it; long bytes as their length and hash."""
    if isinstance(value, bytes):
        return value.decode("latin-1") if len(value) <= _LONGEST else f"{len(value)} bytes {digest(value)}"
    if isinstance(value, Mapping):
        return {str(key): brief(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [brief(one) for one in value]
    if isinstance(value, (bool, int, str, type(None))):
        return int(value) if isinstance(value, int) else value
    return round(float(value), 5) if isinstance(value, (float, np.floating)) else str(value)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _is_tiff(path: Path) -> bool:
    return path.suffix in (".tif", ".tiff")


def _blob(image: Any, name: str) -> bytes | None:
    return image.get(name) if image.get_typeof(name) else None


def _exif(opened: Image.Image) -> dict[str, Any]:
    exif = opened.getexif()
    directories = {"0": dict(exif), **{f"{tag:x}": exif.get_ifd(tag) for tag in (0x8769, 0x8825, 0xA005, 1)}}
    return {
        name: {f"{tag:04x}": brief(value) for tag, value in sorted(tags.items()) if tag not in (0x8769, 0x8825, 0xA005)}
        for name, tags in directories.items()
        if tags
    }


def _tiff_pages(path: Path) -> list[dict[str, Any]]:
    with tifffile.TiffFile(path) as file:
        layout = {"bigtiff": file.is_bigtiff, "order": file.byteorder}
        pages: list[Any] = list(file.pages)
        return [layout | {tag.name: _tiff_value(tag) for tag in page.tags if tag.name not in _PLACES} for page in pages]


def _tiff_value(tag: Any) -> Any:
    return brief(tag.value if not hasattr(tag.value, "name") else int(tag.value))


def _parts(path: Path) -> Iterator[str]:
    """The parts of a PNG, JPEG or WebP in order; what is packed by name alone."""
    data = path.read_bytes()
    if data.startswith(b"\x89PNG"):
        yield from _png_parts(data)
    elif data.startswith(b"\xff\xd8"):
        yield from _jpeg_parts(data)
    elif data[8:12] == b"WEBP":
        yield from _webp_parts(data)


def _png_parts(data: bytes) -> Iterator[str]:
    at = 8
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        packed = name in (b"IDAT", b"IEND", b"zTXt", b"iCCP")
        yield name.decode() if packed else f"{name.decode()} {brief(data[at + 8 : at + 8 + length])}"
        at += length + 12


def _jpeg_parts(data: bytes) -> Iterator[str]:
    at = 2
    while data[at + 1] != 0xDA:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        yield f"{marker:02x}" if marker == 0xC4 else f"{marker:02x} {brief(data[at + 4 : at + 2 + length])}"
        at += length + 2
    yield f"scan, then {len(data) - data.rindex(bytes((0xFF, 0xD9))) - 2} bytes"


def _webp_parts(data: bytes) -> Iterator[str]:
    at = 12
    while at < len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        pixels = name in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF")
        yield name.decode() if pixels else f"{name.decode()} {brief(data[at + 8 : at + 8 + length])}"
        at += 8 + length + length % 2
