"""Opening files of any content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import arrays, opening, xmp
from support.pictures import doubled, gradient


def test_palette_and_1_bit(upscaler: Upscaler, tmp_path: Path) -> None:
    palette = Image.fromarray(gradient(3)).quantize(16)
    palette.save(tmp_path / "palette.png", transparency=3)
    upscaler.file(tmp_path / "palette.png", tmp_path / "p.png")
    expected = np.asarray(Image.open(tmp_path / "palette.png").convert("RGBA"))
    out = arrays.read_array(tmp_path / "p.png")
    np.testing.assert_array_equal(out[..., 3], doubled(expected[..., 3]))
    visible = out[..., 3] > 0
    np.testing.assert_array_equal(out[visible], doubled(expected)[visible])
    Image.fromarray(gradient(1)[..., 0]).convert("1").save(tmp_path / "bits.tif")
    upscaler.file(tmp_path / "bits.tif", tmp_path / "bits_x2.tif")
    expected = np.asarray(Image.open(tmp_path / "bits.tif")) * np.uint8(255)
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "bits_x2.tif")[..., 0], doubled(expected))


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.png", gradient(3))
    with pytest.raises(BadImageError, match="--max-pixels"):
        opening.open_picture(tmp_path / "a.png", max_pixels=100)


def test_a_file_replaced_under_its_name_is_read_anew(upscaler: Upscaler, tmp_path: Path) -> None:
    for level in (10, 200):
        Image.new("L", (8, 8), level).save(tmp_path / "a.tif")
        upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
        assert (arrays.read_array(tmp_path / "b.tif") == level).all()
        Image.new("L", (8, 8), level).save(tmp_path / "a.bmp")
        assert (arrays.read_array(tmp_path / "a.bmp") == level).all()


@pytest.mark.parametrize("suffix", [".png", ".avif"])
def test_frames_that_cannot_be_read_are_not_lost_in_silence(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(BadImageError, match="animated"):
        upscaler.file(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"IIU\0\x18\0\0\0", "raw data"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "raw data"),
        (b"%PDF-1.7", "a PDF"),
        (b"\n<!doctype html><p>Not found", "page of the web"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x">', "an SVG"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"PK\3\4" + bytes(20), "a ZIP archive"),
        (b"P7\nWIDTH 1\n", "a PAM"),
        (b"farbfeld", "a farbfeld"),
        (bytes(200), "zeros"),
        (b"", "an empty file"),
        (b"hello", "a file of another kind"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(tmp_path: Path, start: bytes, words: str) -> None:
    (tmp_path / "a.png").write_bytes(start)
    with pytest.raises(BadImageError, match=rf"a\.png: expected a picture \(.*\), found {words}|found .*{words}"):
        opening.open_picture(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("endless.avif", b"\0\0\0\x10ftypavif\0\0\0\0" + b"\0\0\0\x01free" + bytes(8) + bytes(32)),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17) + b"\0\0\0\tpHYs" + bytes(5)),
    ],
)
def test_headers_that_lead_nowhere_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadImageError, match=name):
        opening.open_picture(tmp_path / name)


def test_a_number_in_xmp_that_no_picture_has_is_not_taken() -> None:
    assert xmp.orientation_in(b'tiff:Orientation="' + b"6" * 5000 + b'"') == 1
    assert xmp.orientation_in(b'tiff:Orientation="6"') == 6
