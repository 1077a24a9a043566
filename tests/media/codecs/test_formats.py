"""HEIC, JPEG XL, OpenEXR and Radiance HDR: what they hold, and what is said without the extra."""

from __future__ import annotations

import struct
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lamnet import Upscaler
from lamnet.base.errors import BadImageError, MissingExtraError
from lamnet.media import arrays, opening
from lamnet.media import picture as pictures_
from support.heic import heic, heic_pixels
from support.pictures import gradient

PIXELS = gradient(3)


def opened(path: Path, data: bytes) -> tuple[opening.Picture, np.ndarray]:
    path.write_bytes(data)
    found = opening.open_picture(path)
    page = found.pages[0]
    return found, pictures_.read(found, 0, 0, 0, page.height, page.width)


@pytest.mark.parametrize(("kind", "white"), [("8", 255), ("10", 65535), ("alpha", 255)])
def test_heic(tmp_path: Path, kind: str, white: int) -> None:
    found, pixels = opened(tmp_path / "a.heic", heic(kind))
    assert pixels.dtype.name == ("uint8" if white == 255 else "uint16")
    error = np.abs(pixels[..., :3] / white - heic_pixels() / 255)
    shown = pixels[..., 3] > 0 if kind == "alpha" else np.ones(error.shape[:2], bool)
    assert error[shown].mean() < 0.01
    assert found.notes == ()
    if kind == "alpha":
        assert (pixels[:, :11, 3] < 8).all()
        assert (pixels[:, 14:, 3] > 247).all()


def test_heic_is_turned_once_and_keeps_its_maker(tmp_path: Path, upscaler: Upscaler) -> None:
    _, pixels = opened(tmp_path / "a.heic", heic("turned"))
    assert np.abs(pixels / 255.0 - np.rot90(heic_pixels(), -1) / 255).mean() < 0.01
    upscaler.file(tmp_path / "a.heic", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as out:
        assert out.size == (32, 48)
        assert (out.getexif()[0x010F], out.getexif()[0x0112]) == ("Maker", 1)


@pytest.mark.parametrize("cut", [300, 100, 12])
def test_cut_heic_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(BadImageError, match=r"a\.heic: expected"):
        opened(tmp_path / "a.heic", heic("8")[:-cut])


@pytest.mark.parametrize(
    ("name", "module", "start"),
    [
        ("a.heic", "pi_heif", heic("8")),
        ("a.jxl", "imagecodecs", b"\xff\x0a" + bytes(20)),
        ("a.exr", "OpenEXR", b"\x76\x2f\x31\x01" + bytes(20)),
        ("a.hdr", "imagecodecs", b"#?RADIANCE\n\n-Y 2 +X 2\n" + bytes(16)),
    ],
)
def test_without_the_extra_one_line_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, start: bytes
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{name}: .* needs {module}.*lamnet-sr\[formats\]"):
        opened(tmp_path / name, start)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_jpeg_xl(tmp_path: Path, bands: int, dtype: Any) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = gradient(bands, np.dtype(dtype).type)
    _, found = opened(tmp_path / "a.jxl", imagecodecs.jpegxl_encode(pixels, lossless=True))
    np.testing.assert_allclose(found, pixels, atol=1e-6)
    assert found.dtype == dtype


def test_metadata_of_jpeg_xl(tmp_path: Path, upscaler: Upscaler) -> None:
    pylibjxl = pytest.importorskip("pylibjxl")
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    (tmp_path / "a.jxl").write_bytes(
        pylibjxl.encode(PIXELS, distance=0.0, exif=b"\0\0\0\0" + block, xmp=b"<x:xmpmeta/>")
    )
    upscaler.file(tmp_path / "a.jxl", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as out:
        assert out.getexif()[0x010F] == "Maker"
        assert b"xmpmeta" in out.info["xmp"]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("names", ["RGB", "RGBA", "Y"])
def test_openexr(tmp_path: Path, dtype: str, names: str) -> None:
    openexr = pytest.importorskip("OpenEXR")
    pixels = np.random.default_rng(0).random((5, 7, len(names))).astype(dtype) * 4
    pixels[..., 3:] /= 4
    planes = {name: openexr.Channel(np.ascontiguousarray(pixels[..., i])) for i, name in enumerate(names)}
    planes["Z"] = openexr.Channel(np.zeros((5, 7), np.float32))
    openexr.File({"type": openexr.scanlineimage, "compression": openexr.ZIP_COMPRESSION}, planes).write(
        str(tmp_path / "a.exr")
    )
    picture = opening.open_picture(tmp_path / "a.exr")
    found = pictures_.read(picture, 0, 0, 0, 5, 7)
    if names == "RGBA":
        found[..., :3] *= found[..., 3:]
    np.testing.assert_allclose(found, pixels.astype(np.float32), rtol=1e-6)
    assert picture.notes == ("without channels Z",)


def test_radiance(tmp_path: Path, upscaler: Upscaler) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    light = np.random.default_rng(0).random((9, 12, 3), np.float32) * 50
    _, found = opened(tmp_path / "a.hdr", imagecodecs.rgbe_encode(light))
    np.testing.assert_allclose(found, light, atol=0.3)
    upscaler.file(tmp_path / "a.hdr", tmp_path / "b.tif")
    assert arrays.read_array(tmp_path / "b.tif").dtype == np.float32


@pytest.mark.parametrize("frames", [1, 2])
def test_an_animated_png_of_one_frame_is_a_picture(tmp_path: Path, frames: int) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    data, control = (tmp_path / "a.png").read_bytes(), b"acTL" + struct.pack(">II", frames, 0)
    chunk = struct.pack(">I", 8) + control + struct.pack(">I", zlib.crc32(control))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    if frames == 1:
        assert opening.open_picture(tmp_path / "a.png").pages[0].width == PIXELS.shape[1]
    else:
        with pytest.raises(BadImageError, match="found an animated PNG"):
            opening.open_picture(tmp_path / "a.png")


def test_what_begins_like_a_format_and_goes_on_as_noise(tmp_path: Path) -> None:
    starts = [b"\x76\x2f\x31\x01", b"#?RADIANCE\n\n-Y 9 +X 9\n", b"\xff\x0a", heic("8")[:60], heic("8")[:400]]
    for number, start in enumerate(starts * 3):
        noise = np.random.default_rng(number).integers(0, 256, 300, np.uint8).tobytes()
        with suppress(BadImageError):  # some noise is a picture
            opened(tmp_path / "a", start + noise)
