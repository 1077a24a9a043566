"""Numbers of the fields of directories in TIFF and EXIF (TIFF 6.0, its supplements, EXIF 3.0, GDAL, DNG), and what one of them says."""

from __future__ import annotations

import numpy as np

from lamnet.media import ifd
from lamnet.media.ifd import Directory, Field

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
DESCRIPTION, ORIENTATION, SAMPLES, PLANAR = 270, 274, 277, 284
X_RESOLUTION, Y_RESOLUTION, UNIT = 282, 283, 296
X_POSITION, Y_POSITION, PAGE_NUMBER = 286, 287, 297
TRANSFER, WHITE, PRIMARIES = 301, 318, 319
THUMBNAIL, THUMBNAIL_BYTES = 513, 514
STRIPS, STRIP_BYTES, TILE_WIDTH, TILES, TILE_BYTES = 273, 279, 322, 324, 325  # where they lie, how long they are
SUB_DIRECTORIES, EXTRA, SAMPLE_FORMAT, SUBSAMPLING = 330, 338, 339, 530
PIXELS_ACROSS, PIXELS_DOWN = 40962, 40963  # of EXIF
XMP, IPTC, PROFILE = 700, 33723, 34675
NO_DATA, DNG = 42113, 50706

NO_UNIT = 1  # of UNIT


def text_of(directory: Directory, tag: int) -> str:
    """Return a field of text up to its first zero, empty where there is none; bytes that are no UTF-8 as surrogates."""
    found = directory.get(tag)
    return found.data.split(b"\0")[0].decode("utf-8", "surrogateescape") if isinstance(found, Field) else ""


def numbers_of(directory: Directory, tag: int) -> list[int]:
    """Return all numbers of a field; none where there is no such field, or its numbers are not whole ones."""
    found = directory.get(tag)
    if not isinstance(found, Field) or found.kind not in ifd.WHOLE:
        return []
    return [int(number) for number in np.frombuffer(found.data, f"<u{ifd.ITEM[found.kind]}")]
