"""BMP files of every kind, held against Pillow or against what was put in."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from lamnet.base.errors import BadImageError
from lamnet.media import arrays, opening
from support.pictures import gradient

GENERATOR = np.random.default_rng(0)


def pixels_in(*shape: int) -> np.ndarray:
    return GENERATOR.integers(0, 256, shape, dtype=np.uint8)


def bmp(
    width: int,
    height: int,
    depth: int,
    pixels: bytes,
    *,
    coding: int = 0,
    palette: bytes = b"",
    masks: tuple[int, ...] = (),
    size: int = 40,
) -> bytes:
    """A BMP from its parts."""
    header = struct.pack("<IiiHHIIiiII", size, width, height, 1, depth, coding, len(pixels), 3937, 3937, 0, 0)
    header = (header + struct.pack(f"<{len(masks)}I", *masks)).ljust(size, b"\0")
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P"])
@pytest.mark.parametrize("width", [1, 16, 17])
def test_files_of_pillow(tmp_path: Path, mode: str, width: int) -> None:
    picture = Image.fromarray(pixels_in(13, width, 3))
    picture = picture.quantize(9) if mode == "P" else picture.convert(mode)
    picture.save(tmp_path / "a.bmp", dpi=(300, 300))
    got = arrays.read_array(tmp_path / "a.bmp")
    expected = np.asarray(picture.convert("RGB" if mode == "P" else "L" if mode == "1" else mode))
    np.testing.assert_array_equal(got.squeeze(2) if expected.ndim == 2 else got, expected)
    assert opening.load(tmp_path / "a.bmp").xres == pytest.approx(11.811)


@pytest.mark.parametrize(
    ("depth", "coding", "masks", "size"),
    [
        (16, 0, (), 40),
        (16, 3, (0xF800, 0x07E0, 0x001F), 40),
        (32, 3, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 108),
        (32, 3, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 124),
        (32, 3, (0xFF, 0xFF00, 0xFF0000, 0xFF000000), 56),
        (32, 3, (0xFF000000, 0xFF0000, 0xFF00, 0), 56),
        (4, 0, (), 40),
    ],
)
@pytest.mark.parametrize("down", [1, -1])
def test_depths_and_masks(
    tmp_path: Path, depth: int, coding: int, masks: tuple[int, ...], size: int, down: int
) -> None:
    palette = pixels_in(16, 4).tobytes() if depth == 4 else b""
    stored = pixels_in(5, (7 * depth + 31) // 32 * 4).tobytes()
    data = bmp(7, 5 * down, depth, stored, coding=coding, masks=masks, size=size, palette=palette)
    (tmp_path / "a.bmp").write_bytes(data)
    expected = np.asarray(Image.open(tmp_path / "a.bmp"))
    if depth == 4:
        expected = np.asarray(Image.open(tmp_path / "a.bmp").convert("RGB"))
    got = arrays.read_array(tmp_path / "a.bmp")
    np.testing.assert_allclose(got.astype(int), expected, atol=1 if depth == 16 else 0)


@pytest.mark.parametrize(("fourth", "bands"), [(0, 3), (255, 3), (None, 4)])
def test_a_fourth_byte_that_varies_is_alpha(tmp_path: Path, fourth: int | None, bands: int) -> None:
    rgba = pixels_in(5, 7, 4)
    if fourth is not None:
        rgba[..., 3] = fourth
    (tmp_path / "a.bmp").write_bytes(bmp(7, -5, 32, rgba[..., [2, 1, 0, 3]].tobytes()))
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.bmp"), rgba[..., :bands])


@pytest.mark.parametrize(
    ("depth", "runs", "rows"),
    [
        (
            8,
            b"\x03\x01\x00\x04\x05\x06\x07\x08\x00\x00" + b"\x00\x02\x01\x01\x02\x09\x00\x01",
            ["111567800", "000000000", "099000000", "000000000"],
        ),
        (
            4,
            b"\x03\x12\x00\x05\x34\x56\x70\x00\x00\x00" + b"\x00\x02\x01\x00\x02\x98\x00\x01",
            ["121345670", "098000000", "000000000", "000000000"],
        ),
    ],
)
def test_run_lengths(tmp_path: Path, depth: int, runs: bytes, rows: list[str]) -> None:
    """Runs, literal pixels, the end of a row, a jump; a file that ends before them is refused."""
    palette = b"".join(bytes((i, i, i, 0)) for i in range(2**depth))
    expected = np.array([[int(value) for value in row] for row in reversed(rows)])
    coding = 1 if depth == 8 else 2
    for cut in range(len(runs)):
        (tmp_path / "a.bmp").write_bytes(bmp(9, 4, depth, runs[:cut], coding=coding, palette=palette))
        with pytest.raises(BadImageError, match=r"a\.bmp: expected a whole picture, found the end of its runs"):
            opening.load(tmp_path / "a.bmp")
    for data in (runs, runs + b"\x00\x02"):
        (tmp_path / "a.bmp").write_bytes(bmp(9, 4, depth, data, coding=coding, palette=palette))
        np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.bmp")[..., 0], expected)


def test_os2_header_and_embedded_profile(tmp_path: Path) -> None:
    stored = pixels_in(2, 8)
    header = struct.pack("<IHHHH", 12, 2, 2, 1, 24)
    (tmp_path / "a.bmp").write_bytes(b"BM" + struct.pack("<IHHI", 42, 0, 0, 26) + header + stored.tobytes())
    expected = np.asarray(Image.open(tmp_path / "a.bmp"))
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.bmp"), expected)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = bytearray(bmp(2, 2, 24, stored.tobytes(), size=124))
    data[70:74], data[126:134] = b"DEBM", struct.pack("<II", len(data) - 14, len(profile))
    (tmp_path / "b.bmp").write_bytes(bytes(data) + profile)
    assert opening.load(tmp_path / "b.bmp").get("icc-profile-data") == profile
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "b.bmp"), expected)


@pytest.mark.parametrize(
    "data",
    [
        b"BM",
        bmp(7, 5, 24, b"\0" * 30),
        bmp(0, 5, 24, b""),
        bmp(7, 5, 23, b"\0" * 300),
        bmp(2**20, 2**20, 8, b"\0\1", coding=1),
    ],
)
def test_broken_ones_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.bmp").write_bytes(data)
    with pytest.raises(BadImageError, match=r"a\.bmp"):
        arrays.read_array(tmp_path / "a.bmp")


def test_no_bmp_is_written(tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match="ends in one of"):
        arrays.write_array(tmp_path / "a.bmp", pixels_in(4, 4, 3))


@pytest.mark.parametrize("offset", [10, 14, 40, 53])
def test_pixels_within_the_header_are_refused(tmp_path: Path, offset: int) -> None:
    Image.fromarray(pixels_in(8, 8, 3)).save(tmp_path / "a.bmp")
    data = bytearray((tmp_path / "a.bmp").read_bytes())
    data[10:14] = struct.pack("<L", offset)
    (tmp_path / "a.bmp").write_bytes(data)
    with pytest.raises(
        BadImageError, match=f"expected pixels behind the header, at 54 or later, found them at {offset}"
    ):
        arrays.read_array(tmp_path / "a.bmp")


@pytest.mark.parametrize(("kind", "coding"), [("PNG", 5), ("JPEG", 4)])
def test_an_embedded_picture(tmp_path: Path, kind: str, coding: int) -> None:
    pixels, file = gradient(3), io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {}))
    data = bmp(36, 24, 0, file.getvalue(), coding=coding)
    (tmp_path / "a.bmp").write_bytes(data)
    np.testing.assert_allclose(arrays.read_array(tmp_path / "a.bmp"), pixels, atol=3 if kind == "JPEG" else 0)
    (tmp_path / "a.bmp").write_bytes(data[:-60])
    with pytest.raises(BadImageError, match=r"a\.bmp: expected a whole picture"):
        arrays.read_array(tmp_path / "a.bmp")


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("height", [5, -5])
def test_ten_bits_a_colour(tmp_path: Path, alpha: bool, height: int) -> None:
    numbers = GENERATOR.integers(0, 1024, (5, 6, 3)).astype(np.uint32)
    opaque = GENERATOR.integers(0, 4, (5, 6)).astype(np.uint32) if alpha else np.full((5, 6), 3, np.uint32)
    packed = opaque << 30 | numbers[..., 0] << 20 | numbers[..., 1] << 10 | numbers[..., 2]
    masks = (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)
    rows = packed[:: 1 if height < 0 else -1].astype("<u4").tobytes()
    (tmp_path / "a.bmp").write_bytes(bmp(6, height, 32, rows, coding=3, masks=masks, size=108))
    found = arrays.read_array(tmp_path / "a.bmp")
    assert (found.dtype, found.shape) == (np.uint16, (5, 6, 4 if alpha else 3))
    np.testing.assert_allclose(found[..., :3], numbers * (65535 / 1023), atol=0.5)
    if alpha:
        np.testing.assert_array_equal(found[..., 3], opaque * 21845)


def test_masks_of_any_bits(tmp_path: Path) -> None:
    packed = np.array([[0xF00, 0x0F0], [0x00F, 0x777]], "<u2")
    (tmp_path / "a.bmp").write_bytes(bmp(2, -2, 16, packed.tobytes(), coding=3, masks=(0xF00, 0xF0, 0xF)))
    expected = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [119, 119, 119]]]
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.bmp"), expected)


def test_24_bits_in_runs(tmp_path: Path) -> None:
    red, green, blue = b"\0\0\xff", b"\0\xff\0", b"\xff\0\0"
    runs = b"\3" + red + b"\0\0" + b"\0\3" + red + green + blue + b"\0" + b"\0\1"
    (tmp_path / "a.bmp").write_bytes(bmp(3, 2, 24, runs, coding=4, size=64))
    expected = [np.eye(3) * 255, [[255, 0, 0]] * 3]
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.bmp"), expected)
    (tmp_path / "a.bmp").write_bytes(bmp(3, 2, 24, runs[:6], coding=4, size=64))
    with pytest.raises(BadImageError, match=r"a\.bmp: expected a whole picture, found the end of its runs"):
        arrays.read_array(tmp_path / "a.bmp")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 1, "coding": 3, "size": 64}, "found a fax's coding"),
        ({"depth": 24, "coding": 11}, "found 24 bits in coding 11"),
        ({"depth": 32, "coding": 3, "masks": (0xF0F, 0xF0, 0xF000)}, r"found them apart \(0xf0f\)"),
        (
            {"depth": 32, "coding": 3, "masks": (0xFFF, 0xFFF000, 0), "height": 50},
            "expected a whole picture, found 4 of 50 rows",
        ),
    ],
)
def test_what_is_not_read_is_called_what_it_is(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    made = {"width": 2, "height": 2, "pixels": bytes(32), **options}
    (tmp_path / "a.bmp").write_bytes(bmp(**made))
    with pytest.raises(BadImageError, match=words):
        opening.open_picture(tmp_path / "a.bmp")
