"""Formats read through Pillow: every depth, palettes, alpha, profiles; our limit of pixels and not Pillow's."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import arrays, formats, opening, saving
from lamnet.media.codecs import pillow
from support.pictures import gradient

MODES = [
    (".tga", ["L", "RGB", "RGBA", "P"]),
    (".ico", ["RGBA"]),
    (".pcx", ["1", "L", "P", "RGB"]),
    (".jp2", ["L", "LA", "RGB", "RGBA", "I;16"]),
    (".j2k", ["RGB"]),
    (".pbm", ["1"]),
    (".pgm", ["L", "I;16"]),
    (".ppm", ["RGB"]),
    (".pfm", ["F"]),
    (".dds", ["L", "LA", "RGB", "RGBA"]),
    (".qoi", ["RGB", "RGBA"]),
    (".sgi", ["L", "RGB", "RGBA"]),
]


def picture_in(mode: str) -> Image.Image:
    if mode in ("I;16", "F"):
        return Image.fromarray(gradient(1, {"I;16": np.uint16, "F": np.float32}[mode])[..., 0])
    if mode in ("1", "P"):
        return Image.fromarray(gradient(3)).quantize(9) if mode == "P" else Image.fromarray(gradient(3)).convert("1")
    pixels = gradient(len(mode))
    return Image.fromarray(pixels[..., 0] if mode == "L" else pixels)


@pytest.mark.parametrize(("suffix", "mode"), [(suffix, mode) for suffix, modes in MODES for mode in modes])
def test_pixels_and_depths(tmp_path: Path, suffix: str, mode: str) -> None:
    """Opened by content: the suffix is another one."""
    image = picture_in(mode)
    options = {".jp2": {"irreversible": False}, ".ico": {"sizes": [(36, 24)]}}.get(suffix, {})
    image.save(tmp_path / f"a{suffix}", **options)
    (tmp_path / f"a{suffix}").rename(tmp_path / "a.png")
    expected = np.asarray(image.convert({"1": "L", "P": "RGB"}.get(mode, mode)))
    out = arrays.read_array(tmp_path / "a.png")
    assert out.dtype == expected.dtype
    np.testing.assert_array_equal(out, expected.reshape(out.shape))


@pytest.mark.parametrize("white", [65535, 1023])
def test_16_bits_of_a_ppm(tmp_path: Path, white: int) -> None:
    pixels = gradient(3, np.uint16) // (65536 // (white + 1))
    (tmp_path / "a.ppm").write_bytes(b"P6 # deep\n36 24\n%d\n" % white + pixels.astype(">u2").tobytes())
    out = arrays.read_array(tmp_path / "a.ppm")
    assert out.dtype == np.uint16
    np.testing.assert_allclose(out, pixels * (65535 / white), atol=0.5)


def psd(mode: int, pixels: np.ndarray, profile: bytes = b"") -> bytes:
    """A PSD of no layers but its flat picture; 1 grey, 3 RGB, 4 CMYK."""
    height, width, bands = pixels.shape
    resources = b"8BIM" + struct.pack(">HHI", 0x040F, 0, len(profile)) + profile + b"\0" * (len(profile) % 2)
    sections = bytes(4) + struct.pack(">I", len(resources)) + resources + bytes(4)
    header = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", bands, height, width, 8, mode)
    return header + sections + b"\0\0" + pixels.transpose(2, 0, 1).tobytes()


@pytest.mark.parametrize(("mode", "bands"), [(1, 1), (3, 3), (3, 4)])
def test_the_flat_picture_of_a_psd_with_its_profile(tmp_path: Path, mode: int, bands: int) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (tmp_path / "a.psd").write_bytes(psd(mode, gradient(bands), profile))
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.psd"), gradient(bands))
    assert opening.load(tmp_path / "a.psd").get("icc-profile-data") == profile


def test_cmyk_of_a_psd_becomes_rgb(upscaler: Upscaler, tmp_path: Path) -> None:
    inks = 255 - np.full((8, 8, 4), (0, 255, 255, 0), np.uint8)
    (tmp_path / "a.psd").write_bytes(psd(4, inks))
    upscaler.file(tmp_path / "a.psd", tmp_path / "b.png")
    red, green, blue = arrays.read_array(tmp_path / "b.png")[4, 4]
    assert red > 200
    assert max(green, blue) < 90


def test_sun_raster(tmp_path: Path) -> None:
    header = struct.pack(">8I", 0x59A66A95, 36, 24, 24, 24 * 36 * 3, 1, 0, 0)
    (tmp_path / "a.ras").write_bytes(header + gradient(3)[..., ::-1].tobytes())
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.ras"), gradient(3))


def test_a_palette_with_alpha(tmp_path: Path) -> None:
    palette = bytes((10, 20, 30, 255, 40, 50, 60, 0))
    header = struct.pack("<3B2HB4H2B", 0, 1, 1, 0, 2, 32, 0, 0, 2, 1, 8, 0x20)
    (tmp_path / "a.tga").write_bytes(header + palette + b"\0\1")
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.tga"), [[[30, 20, 10, 255], [60, 50, 40, 0]]])


@pytest.mark.parametrize(("suffix", "target"), [(".tga", ".png"), (".pgm", ".png"), (".pfm", ".tif")])
def test_results_come_out_in_a_format_that_holds_them(
    upscaler: Upscaler, tmp_path: Path, suffix: str, target: str
) -> None:
    image = picture_in({".tga": "RGBA", ".pgm": "I;16", ".pfm": "F"}[suffix])
    image.save(tmp_path / f"a{suffix}")
    assert saving.suffix_for(opening.open_picture(tmp_path / f"a{suffix}"), (72, 48)) == target
    upscaler.file(tmp_path / f"a{suffix}", tmp_path / f"b{target}")
    out = arrays.read_array(tmp_path / f"b{target}")
    assert out.dtype == np.asarray(image).dtype
    assert out.shape[:2] == (48, 72)


def test_dots_per_inch(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.pcx", dpi=(300, 150))
    data = bytearray((tmp_path / "a.pcx").read_bytes())
    data[12:16] = struct.pack("<2H", 300, 150)
    (tmp_path / "a.pcx").write_bytes(data)
    upscaler.file(tmp_path / "a.pcx", tmp_path / "b.tif")
    page = tifffile.TiffFile(tmp_path / "b.tif").pages[0]
    assert [page.tags[name].value[0] / page.tags[name].value[1] for name in ("XResolution", "YResolution")] == (
        pytest.approx([600, 300], abs=0.01)
    )


@pytest.mark.parametrize("suffix", [".tga", ".ppm", ".pcx", ".qoi", ".sgi"])
def test_cut_ones_are_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 36, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"a{suffix}").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadImageError, match=rf"a\{suffix}: expected a whole picture"):
        arrays.read_array(tmp_path / f"a{suffix}")


def test_the_header_is_checked_before_pixels_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5\n60000 60000\n255\n")
    with pytest.raises(BadImageError, match=r"expected at most 500,000,000 pixels \(--max-pixels\)"):
        opening.open_picture(tmp_path / "a.pgm")
    with pytest.raises(BadImageError, match=r"a\.pgm: expected at most 1,073,741,824 pixels in a format"):
        arrays.read_array(tmp_path / "a.pgm")
    Image.fromarray(gradient(3)).save(tmp_path / "a.ppm")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert opening.open_picture(tmp_path / "a.ppm").pages[0].width == 36


def test_ints_of_32_bits_and_lab_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.psd").write_bytes(psd(9, gradient(3)))
    with pytest.raises(BadImageError, match=r"a\.psd: expected grey, RGB or CMYK .*, found Pillow's LAB"):
        arrays.read_array(tmp_path / "a.psd")


def test_all_its_suffixes_are_read_and_none_is_written(tmp_path: Path) -> None:
    assert set(pillow.FORMAT.suffixes) < formats.SUFFIXES
    for suffix in pillow.FORMAT.suffixes:
        with pytest.raises(BadImageError, match="ends in one of"):
            formats.format_named(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(("scale", "order"), [("-1.0", "<"), ("1", ">")])
def test_a_pfm_in_colour(tmp_path: Path, scale: str, order: str) -> None:
    pixels = gradient(3, np.float32) * 3
    data = pixels[::-1].astype(f"{order}f4").tobytes()
    (tmp_path / "a.pfm").write_bytes(f"PF\n36 24\n{scale}\n".encode() + data)
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.pfm"), pixels)
    (tmp_path / "b.pfm").write_bytes(f"PF\n36 24\n{scale}\n".encode() + data[:-1])
    with pytest.raises(BadImageError, match="broken off"):
        opening.open_picture(tmp_path / "b.pfm")


def test_a_psd_of_16_bits_is_refused_in_plain_words(tmp_path: Path) -> None:
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 24, 36, 16, 3) + bytes(14)
    (tmp_path / "a.psd").write_bytes(header + bytes(36 * 24 * 6))
    with pytest.raises(BadImageError, match="found a kind of it that is not read"):
        opening.open_picture(tmp_path / "a.psd")
