"""Colours: profiles kept, used or dropped."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import arrays
from support.pictures import doubled, gradient


def test_cmyk_becomes_rgb_through_its_profile(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8, 4), (0, 255, 255, 0), np.uint8), mode="CMYK").save(tmp_path / "red.tif")
    assert upscaler.file(tmp_path / "red.tif", tmp_path / "b.tif") == ("in RGB, not CMYK",)
    red, green, blue = arrays.read_array(tmp_path / "b.tif")[4, 4]
    assert red > 200
    assert max(green, blue) < 90
    assert "icc_profile" in Image.open(tmp_path / "b.tif").info


def test_colours_that_become_rgb_are_said(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).convert("LAB").save(tmp_path / "lab.tif")
    assert upscaler.file(tmp_path / "lab.tif", tmp_path / "b.png") == ("in RGB, not Lab",)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_profile_that_nobody_can_read_does_not_stay(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (good[:300], good[:100], lab):
        Image.fromarray(gradient(3)).save(tmp_path / "a.jpg", icc_profile=profile)
        notes = upscaler.file(tmp_path / "a.jpg", tmp_path / f"b{suffix}")
        assert "icc_profile" not in Image.open(tmp_path / f"b{suffix}").info
        assert notes == ("without its ICC profile, which is cut or for other colours than the picture's",)


@pytest.mark.parametrize("data", [b"x\0\0" + zlib.compress(b"no profile" * 20), b"x\0\0not packed", b"x"])
def test_a_broken_profile_of_a_png_is_said(upscaler: Upscaler, tmp_path: Path, data: bytes) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.png")
    png = (tmp_path / "a.png").read_bytes()
    chunk = struct.pack(">I", len(data)) + b"iCCP" + data + struct.pack(">I", zlib.crc32(b"iCCP" + data))
    (tmp_path / "a.png").write_bytes(png[:33] + chunk + png[33:])
    notes = upscaler.file(tmp_path / "a.png", tmp_path / "b.png")
    assert notes == ("without its ICC profile, which is cut or for other colours than the picture's",)


def _hostile_profiles() -> dict[str, bytes]:
    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    count = struct.unpack_from(">I", good, 128)[0]
    to_itself = bytearray(good)
    for number in range(count):
        struct.pack_into(">II", to_itself, 132 + 12 * number + 4, 0, len(good))
    curve = bytearray(good)
    struct.pack_into(">4sII", curve, struct.unpack_from(">I", good, good.index(b"rTRC") + 4)[0], b"curv", 0, 2**32 - 1)
    return {
        "padded to 10 MB": struct.pack(">I", len(good) + 10_000_000) + good[4:] + bytes(10_000_000),
        "tags that hold themselves": bytes(to_itself),
        "a curve without end": bytes(curve),
        "tags without end": good[:128] + b"\xff" * 4 + good[132:],
        "a size too large": b"\xff" * 4 + good[4:],
        "a device link": good[:12] + b"link" + good[16:],
        "nothing": b"\0" * 128,
        "three bytes": b"abc",
    }


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
@pytest.mark.parametrize("kind", _hostile_profiles())
def test_no_profile_changes_the_pixels_or_ends_the_work(
    upscaler: Upscaler, tmp_path: Path, kind: str, name: str
) -> None:
    """Of RGB; CMYK, which needs one, takes a usual one for it."""
    profile, mode = _hostile_profiles()[kind], "CMYK" if name in ("a.jpg", "a.tif") else "RGB"
    plain = Image.fromarray(gradient(3)).convert(mode)
    results: list[np.ndarray] = []
    for stated in (None, profile):
        plain.save(tmp_path / name, icc_profile=stated, quality=90)
        notes = upscaler.file(tmp_path / name, tmp_path / "b.png")
        results.append(arrays.read_array(tmp_path / "b.png"))
    np.testing.assert_array_equal(*results)
    assert [note for note in notes if "ICC" in note] or mode == "RGB"


def test_a_profile_that_no_jpeg_holds_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    large = struct.pack(">I", len(good) + 17_000_000) + good[4:] + bytes(17_000_000)
    Image.fromarray(gradient(3)).save(tmp_path / "a.webp", icc_profile=large)
    with pytest.raises(BadImageError, match=r"b\.jpg: expected a format that holds 17,000,\d+ bytes of ICC profile"):
        upscaler.file(tmp_path / "a.webp", tmp_path / "b.jpg")


def test_wide_gamut_numbers_and_profile_are_kept(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = gradient(3)
    image = pyvips.Image.new_from_array(pixels, interpretation="srgb").icc_transform("p3", input_profile="srgb")
    for suffix in (".png", ".tif", ".webp", ".avif", ".jpg"):
        source = tmp_path / f"a{suffix}"
        image.write_to_file(str(source))
        upscaler.file(source, tmp_path / f"b{suffix}")
        before, after = (pyvips.Image.new_from_file(str(path)) for path in (source, tmp_path / f"b{suffix}"))
        assert after.get("icc-profile-data") == before.get("icc-profile-data")
        lab = [picture.icc_import(embedded=True, pcs="lab").numpy() for picture in (before, after)]
        assert np.abs(doubled(lab[0]) - lab[1]).mean() < (0.01 if suffix in (".png", ".tif") else 1.5), suffix


def _linear_grey() -> bytes:
    """A grey profile whose numbers are proportional to light, by the ICC's specification."""
    white = struct.pack(">3i", 63190, 65536, 54061)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(79),
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IHxx", 1, 256),
    }
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4xI4s4s4s12x4s28x", size, 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
    return head + white + bytes(48) + table + body


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif", ".gif"])
@pytest.mark.parametrize("bands", [1, 3])
def test_colours_where_the_profile_cannot_go_along(upscaler: Upscaler, tmp_path: Path, bands: int, suffix: str) -> None:
    """Seen through the profiles they look the same, be it the source's or sRGB."""
    colour = pyvips.Image.new_from_array(np.full((16, 16, 3), (180, 90, 100), np.uint8), interpretation="srgb")
    image = colour[0].copy() if bands == 1 else colour.icc_transform("p3", input_profile="srgb")
    if bands == 1:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", _linear_grey())
    image.write_to_file(str(tmp_path / "a.png"))
    upscaler.file(tmp_path / "a.png", tmp_path / f"b{suffix}")
    before, after = (pyvips.Image.new_from_file(str(tmp_path / name)) for name in ("a.png", f"b{suffix}"))
    seen = [
        picture.icc_import(embedded=True, pcs="lab")
        if picture.get_typeof("icc-profile-data")
        else picture.colourspace("lab")
        for picture in (before, after)
    ]
    np.testing.assert_allclose(seen[0](8, 8), seen[1](8, 8)[:3], atol=1.5)
