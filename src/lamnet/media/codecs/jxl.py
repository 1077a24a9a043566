"""JPEG XL: by libvips where it was built to, else by imagecodecs, and pylibjxl for metadata (extra "formats")."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from lamnet.base.extras import require
from lamnet.media import vips
from lamnet.media.blobs import upright_exif, with_blobs
from lamnet.media.codecs import decoded
from lamnet.media.contract import Extras, Format, PageExtras

FORMAT = Format("jxl", (".jxl",), re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", re.DOTALL))

_TIFF = re.compile(rb"II\*\0|MM\0\*")  # begins EXIF behind the offset that its box states


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open the picture. Raises BadImageError, MissingExtraError."""
    if _in_libvips():
        return vips.load("jxl", path)
    codecs: Any = require("imagecodecs", "formats", f"{path}: JPEG XL")
    pylibjxl: Any = require("pylibjxl", "formats", f"{path}: JPEG XL")
    with decoded.refusing(path):
        data = path.read_bytes()
        decoded.check(path, *_size(pylibjxl.probe(data)))
        pixels: Any = codecs.jpegxl_decode(data)
        _, found = pylibjxl.decode(data, metadata=True)
        if pixels.dtype == np.float16:
            pixels = pixels.astype(np.float32)
        image = decoded.image_of(pixels)
    blobs = {"icc-profile-data": found.get("icc") or found.get("icc_profile"), "xmp-data": found.get("xmp")}
    if exif := _TIFF.search(found.get("exif", b"")[:32]):
        blobs["exif-data"] = upright_exif(found["exif"][exif.start() :], (image.width, image.height))
    return with_blobs(image, {name: blob for name, blob in blobs.items() if blob})


def extras(path: Path) -> Extras:
    """Learn the size, and whether there are frames. Raises OSError."""
    oriented = PageExtras(oriented=True)  # libjxl has turned the picture itself
    data = path.read_bytes()
    try:
        probed = require("pylibjxl", "formats", f"{path}: JPEG XL").probe(data)
        return Extras((oriented,), size=_size(probed), hidden_frames=probed["have_animation"])
    except Exception:  # load says what is wrong
        return Extras((oriented,))


def _size(probed: Any) -> tuple[int, int]:
    return probed["width"], probed["height"]


def _in_libvips() -> bool:
    return bool(pyvips.type_find("VipsOperation", "jxlload"))
