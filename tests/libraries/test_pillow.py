"""What Pillow 13.0 still cannot do, so that we do it: a test that fails here after an upgrade names code to delete.

Each names the version that is known to end its work-around, "none known" otherwise, and the code.
"""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image


def bmp(depth: int, coding: int, pixels: bytes, palette: bytes = b"") -> Image.Image:
    start = 14 + 40 + len(palette)
    content = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, depth, coding, len(pixels), 0, 0, 0, 0) + palette + pixels
    return Image.open(io.BytesIO(b"BM" + struct.pack("<IHHI", 14 + len(content), 0, 0, start) + content))


def test_pillow_still_refuses_run_lengths_that_end_early() -> None:
    """None known. codecs/bmp.py: `_run_lengths`."""
    image = bmp(8, 1, b"\x04\x01\0\0\0\1", palette=bytes(1024))
    with pytest.raises(ValueError, match="not enough image data"):
        image.load()


def test_pillow_still_cuts_5_bits_off() -> None:
    """None known. codecs/bmp.py: `_rounded`."""
    image = bmp(16, 0, struct.pack("<16H", *[2 << 10] * 16))
    assert image.getpixel((0, 0)) == (16, 0, 0)  # of 16.45; and 3 of 31 are 24.68
    assert bmp(16, 0, struct.pack("<16H", *[3 << 10] * 16)).getpixel((0, 0)) == (24, 0, 0)


def test_pillow_still_drops_the_fourth_byte() -> None:
    """None known. codecs/bmp.py: `decoded`."""
    assert bmp(32, 0, bytes(range(64))).mode == "RGB"


def test_pillow_still_reads_no_profile_of_a_bmp() -> None:
    """None known. codecs/bmp.py: `profile_of`."""
    header = bytearray(struct.pack("<IiiHHIIiiII", 124, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0).ljust(124, b"\0"))
    header[56:60], header[112:120] = b"DEBM", struct.pack("<II", 128, 4)
    image = Image.open(io.BytesIO(b"BM" + struct.pack("<IHHI", 146, 0, 0, 138) + header + bytes(4) + b"icc!"))
    assert "icc_profile" not in image.info


@pytest.mark.parametrize(
    ("bits", "coding", "masks"),
    [
        (0, 5, b""),  # an embedded PNG
        (24, 4, b""),  # runs of colours
        (32, 3, struct.pack("<3I", 0x3FF00000, 0xFFC00, 0x3FF)),  # ten bits a colour
        (16, 3, struct.pack("<3I", 0xF00, 0xF0, 0xF)),
    ],
)
def test_pillow_still_refuses_rare_kinds_of_bmp(bits: int, coding: int, masks: bytes) -> None:
    """None known. codecs/bmp_rare.py."""
    with pytest.raises(OSError, match="Unsupported BMP"):
        bmp(bits, coding, bytes(64), palette=masks)


def test_pillow_still_gives_8_bits_of_a_ppm_of_16() -> None:
    """None known. codecs/pillow.py: `_deep_colours`."""
    image = Image.open(io.BytesIO(b"P6 1 1 65535\n" + bytes(6)))
    assert np.asarray(image).dtype == np.uint8


def test_pillow_still_reads_no_pfm_in_colour() -> None:
    """None known. codecs/pfm.py."""
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(io.BytesIO(b"PF\n1 1\n-1\n" + bytes(12)))
