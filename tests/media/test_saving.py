"""The format of a result, and what no format gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import arrays, opening, saving
from support.pictures import doubled, gradient


@pytest.mark.parametrize(
    ("pixels", "name", "expected"),
    [
        (gradient(3), "a.png", ".png"),
        (gradient(3), "a.JPG", ".JPG"),
        (gradient(3), "a.gif", ".png"),
        (gradient(3, np.uint16), "a.tif", ".tif"),
        (gradient(3, size=(16, 60)), "a.webp", ".webp"),
    ],
)
def test_the_format_stays_where_it_can(tmp_path: Path, pixels: np.ndarray, name: str, expected: str) -> None:
    arrays.write_array(tmp_path / name, pixels)
    picture = opening.open_picture(tmp_path / name)
    assert saving.suffix_for(picture, (1000, 1000)) == expected


def test_the_format_changes_where_it_must(tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.webp", gradient(3))
    assert saving.suffix_for(opening.open_picture(tmp_path / "a.webp"), (20_000, 100)) == ".png"
    arrays.write_array(tmp_path / "a.jpg", gradient(3))
    assert saving.suffix_for(opening.open_picture(tmp_path / "a.jpg"), (70_000, 100)) == ".png"


@pytest.mark.parametrize("bands", [2, 4])
def test_transparency_into_jpeg_is_refused(upscaler: Upscaler, tmp_path: Path, bands: int) -> None:
    Image.fromarray(gradient(bands)).save(tmp_path / "a.png")
    with pytest.raises(BadImageError, match="transparency"):
        upscaler.file(tmp_path / "a.png", tmp_path / "b.jpg")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_in_8_bit_formats_are_rounded(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    pixels = gradient(3, np.uint16)
    arrays.write_array(tmp_path / "a.tif", pixels)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.webp")
    expected = doubled(np.floor(pixels / 257 + 0.5))
    assert np.abs(arrays.read_array(tmp_path / "b.webp") - expected).mean() < 2


def test_nothing_is_made_up(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.png")
    upscaler.file(tmp_path / "a.png", tmp_path / "b.png")
    out = Image.open(tmp_path / "b.png")
    assert not out.getexif()
    assert "icc_profile" not in out.info
