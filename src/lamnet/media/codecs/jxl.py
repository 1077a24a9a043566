"""JPEG XL, read where libvips was built to: pyvips-binary was not."""

from __future__ import annotations

import re
from pathlib import Path

import pyvips

from lamnet.base.errors import BadImageError
from lamnet.media import vips
from lamnet.media.contract import Extras, Format

FORMAT = Format("jxl", (".jxl",), re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"))


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open the picture."""
    if not pyvips.type_find("VipsOperation", "jxlload"):
        raise BadImageError(
            f"{path}: JPEG XL wants a libvips that reads it: install the system's and remove pyvips-binary"
        )
    return vips.load("jxl", path)


def extras(path: Path) -> Extras:
    """Return no extras: libvips sees all there is."""
    return Extras()
