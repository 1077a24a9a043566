"""HEIC, the photographs of phones, read by pi-heif (extra "formats"): pyvips-binary's libheif has no HEVC."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from lamnet.base.extras import require
from lamnet.media.blobs import upright_exif, with_blobs
from lamnet.media.codecs import avif, decoded
from lamnet.media.contract import Extras, Format, PageExtras

FORMAT = Format(
    "heic",
    (".heic", ".heif", ".hif"),
    re.compile(rb".{4}ftyp(?:hei[cxms]|hev[cxms]|(?:mif1|msf1).{4}(?:(?!avi[fs]).{4})*?(?:hei[cx]|hevc))", re.DOTALL),
)

_SEQUENCES = (b"hevc", b"hevx", b"hevm", b"hevs", b"msf1")  # brands of files with frames
_BEYOND = {"depth_images": "its depth image", "aux": "its auxiliary images, such as a gain map"}


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open the picture, of several the main one, turned upright. Raises BadImageError, MissingExtraError."""
    file, image = _opened(path)
    width, height = image.size
    decoded.check(path, width, height)
    with decoded.refusing(path):
        pixels: Any = np.array(image)  # a copy: what pi-heif gives goes with the image
        if pixels.dtype == np.uint16:  # its bits stand above zeros
            pixels = pixels | (pixels >> file.info["bit_depth"])
    info = file.info
    blobs = {"xmp-data": info.get("xmp"), "icc-profile-data": info.get("icc_profile")}
    if info.get("exif"):
        blobs["exif-data"] = upright_exif(info["exif"], (width, height))
    return with_blobs(decoded.image_of(pixels), {name: data for name, data in blobs.items() if data})


def extras(path: Path) -> Extras:
    """Learn the size, whether there are frames, the colours, and what the picture alone does not hold. Raises OSError."""
    with path.open("rb") as file:
        animated = file.read(12)[8:] in _SEQUENCES
        description = avif.description(file)
    size, premultiplied, notes = None, False, list[str]()
    try:
        file, image = _opened(path)
        size, premultiplied = image.size, bool(image.premultiplied_alpha)
        notes = [text for name, text in _BEYOND.items() if image.info.get(name)]
        notes += [f"{len(file) - 1} more pictures of the file"] if len(file) > 1 else []
    except Exception:  # load says what is wrong
        pass
    return Extras(
        (PageExtras(oriented=True),),
        size=size,
        hidden_frames=animated,
        colours=avif.numbered_colours(description),
        premultiplied=premultiplied,
        lossy=None if avif.is_lossless(description) else "lossy HEIC",
        notes=(f"without {', '.join(notes)}",) if notes else (),
    )


def _opened(path: Path) -> tuple[Any, Any]:
    """Return pi-heif's file and its main picture, not yet decoded."""
    pi_heif = require("pi_heif", "formats", f"{path}: HEIC")
    with decoded.refusing(path, "a picture"):
        file = pi_heif.open_heif(path, convert_hdr_to_8bit=False)
        return file, file[file.primary_index]
