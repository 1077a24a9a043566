"""JPEGs whose data are spoilt within: libjpeg goes on behind the place with what it takes for the picture, and warns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import pyvips

from lamnet.media import vips

# Warnings behind which no pixel is wrong: headers of odd versions, and a few bytes behind the data of a scan.
_HARMLESS = re.compile(r"unknown JFIF|Unknown Adobe|\b(?:\d|1[0-6]) extraneous bytes before marker 0x(?!d[0-7])")


def strictness(path: Path) -> Literal["truncated", "warning"]:
    """Return what libvips must fail on so that a spoilt picture is refused. All of it is decoded, in little memory.

    libjpeg's first warning alone can be seen, so one behind a harmless one is missed; and so is data of a single scan
    that end too late.
    """
    try:
        found: Any = vips.load("jpeg", path, fail_on="warning", access="sequential")
        found.avg()
    except pyvips.Error as error:
        return "truncated" if _HARMLESS.search(str(error.detail or error.message)) else "warning"
    return "truncated"
