"""Pictures in 8 bits: one white for a pair, numbers that are missing, and what of a file is left out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from lamnet.base.errors import BadImageError
from lamnet.training import conversion
from lamnet.training.fitting import Fit
from lamnet.training.preparation import prepare
from lamnet.training.prepared import PreparedSet
from lamnet.training.reading import read_rgb8
from support.pairs import picture


def _tiff(path: Path, pixels: np.ndarray) -> Path:
    tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    return path


@pytest.mark.parametrize(
    ("kind", "brightest", "white"),
    [(np.uint16, (5000, 4000), 8191), (np.uint16, (4000, 5000), 8191), (np.float32, (3.0, 2.0), 3)],
)
def test_pictures_of_a_pair_have_one_white(
    tmp_path: Path, kind: type[np.generic], brightest: tuple[float, float], white: float
) -> None:
    """Each alone would get a white of its own, and the darker one be brightened."""
    shares = np.linspace(0, 1, 64).reshape(8, 8)[..., None].repeat(3, 2)
    pixels = [(shares * largest).astype(kind) for largest in brightest]
    found = read_rgb8(*(_tiff(tmp_path / f"{number}.tif", each) for number, each in enumerate(pixels)))
    for each, made in zip(pixels, found, strict=True):
        np.testing.assert_allclose(made.pixels, each.astype(float) / white * 255, atol=0.51)


def test_floats_of_a_pair_have_one_black(tmp_path: Path) -> None:
    shares = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)[..., None].repeat(3, 2)
    below, above = read_rgb8(_tiff(tmp_path / "a.tif", shares * 2 - 1), _tiff(tmp_path / "b.tif", shares))
    np.testing.assert_allclose(below.pixels, shares * 255, atol=0.51)
    np.testing.assert_allclose(above.pixels, 127.5 + shares * 127.5, atol=0.51)


def test_pictures_of_other_depths_keep_their_own_white(tmp_path: Path) -> None:
    shares = np.linspace(0, 1, 64).reshape(8, 8)[..., None].repeat(3, 2)
    deep = _tiff(tmp_path / "deep.tif", (shares * 65535).astype(np.uint16))
    reals = _tiff(tmp_path / "reals.tif", shares.astype(np.float32))
    plain = _tiff(tmp_path / "plain.tif", (shares * 255).round().astype(np.uint8))
    for found in read_rgb8(deep, reals, plain):
        np.testing.assert_allclose(found.pixels, shares * 255, atol=0.51)


def test_the_lr_of_a_pair_is_as_dark_as_its_hr(tmp_path: Path) -> None:
    """In 16 bits, of which the brightest pixel of HR needs one more than LR, by whose mean it is gone."""
    hr = (picture(0) * 15.0).astype(np.uint16)
    lr = _by_area(hr).astype(np.uint16)
    hr[3, 3] = 4500
    opened = _pair(tmp_path, hr, lr)
    pixels = [np.fromfile(opened.file(scale), np.uint8).mean() for scale in (1, 4)]
    assert pixels[0] == pytest.approx(pixels[1], abs=1)
    assert opened.photos[0].note == ""


@pytest.mark.parametrize(("gain", "note"), [(0.8, ""), (0.5, r"LR has 0\.(4|5)\d* times the contrast of HR")])
def test_another_contrast_is_noted(tmp_path: Path, gain: float, note: str) -> None:
    hr = picture(0)
    opened = _pair(tmp_path, hr, (_by_area(hr) * gain).astype(np.uint8))
    assert re.fullmatch(note, opened.photos[0].note)


def test_no_shift_has_no_sign_of_its_own() -> None:
    (note,) = conversion._notes(Fit(-0.004, 0.3, 1.0))
    assert note == "LR is shifted by +0.00 pixels to the right and +0.30 down"


def test_grey_beside_colour_is_noted(tmp_path: Path) -> None:
    hr = picture(0)
    lr, grey = _by_area(hr).astype(np.uint8), hr[..., 1]
    small = _by_area(hr)[..., 1].astype(np.uint8)
    for name, one, other, note in (
        ("a", hr, small, "LR is grey and HR in colour"),
        ("b", grey, lr, "HR is grey and LR in colour"),
        ("c", grey, small[..., None].repeat(3, 2), ""),
    ):
        assert _pair(tmp_path / name, one, other).photos[0].note.rpartition("; ")[2] == note


def _by_area(hr: np.ndarray) -> np.ndarray:
    return hr.reshape(40, 4, 48, 4, 3).mean((1, 3))


def _pair(folder: Path, hr: np.ndarray, lr: np.ndarray) -> PreparedSet:
    for name, pixels in (("hr", hr), ("lr", lr)):
        (folder / name).mkdir(parents=True)
        _tiff(folder / name / "a.tif", pixels)
    return prepare(folder / "hr", folder / "set", (4,), folder / "lr")


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -9999.0])
def test_floats_that_stand_for_nothing_are_no_pixels(tmp_path: Path, value: float) -> None:
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).random((60, 60, 3), np.float32)
    _tiff(tmp_path / "in" / "whole.tif", pixels)
    pixels[10, 20] = pixels[30, 40] = value
    _tiff(tmp_path / "in" / "a.tif", pixels)
    _tiff(tmp_path / "in" / "all.tif", np.full_like(pixels, np.nan))
    opened = prepare(tmp_path / "in", tmp_path / "set", (2,))
    assert [photo.name for photo in opened.photos] == ["whole.tif"]
    some, no = (photo.reason or "" for photo in opened.skipped)
    assert some.startswith("expected a number in every pixel, found none in 2 of 3,600")
    assert "expected numbers, found none" in no


def test_a_pair_with_an_lr_that_has_no_numbers_is_skipped(tmp_path: Path) -> None:
    lr = np.random.default_rng(0).random((20, 20, 3), np.float32)
    good = _tiff(tmp_path / "hr.tif", lr.repeat(4, 0).repeat(4, 1))
    lr[0, 0, 1] = np.nan
    with pytest.raises(BadImageError, match=r"lr\.tif: expected a number in every pixel, found none in 1 of 400 "):
        read_rgb8(good, _tiff(tmp_path / "lr.tif", lr))


def test_what_is_left_out_is_noted(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (60, 60, 4), np.uint8)
    (tmp_path / "in").mkdir()
    pictures = {"clear": rgba, "opaque": np.dstack([rgba[..., :3], np.full((60, 60), 255, np.uint8)])}
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / "in" / f"{name}.png")
    Image.fromarray(rgba[..., [0, 3]], "LA").save(tmp_path / "in" / "grey.png")
    pages = [Image.fromarray(rgba[..., :3])] * 3
    pages[0].save(tmp_path / "in" / "pages.tif", save_all=True, append_images=pages[1:])
    frames = [Image.fromarray(rgba[..., number : number + 3]) for number in (0, 1)]
    frames[0].save(tmp_path / "in" / "frames.webp", save_all=True, append_images=frames[1:])
    deep = rgba.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "in" / "deep.tif", deep, photometric="rgb", extrasamples=["unassalpha"])
    assert {photo.name: photo.note for photo in prepare(tmp_path / "in", tmp_path / "set", (2,)).photos} == {
        "clear.png": "its transparency was left out",
        "deep.tif": "its transparency was left out",
        "frames.webp": "the first of 2 frames was taken",
        "grey.png": "its transparency was left out",
        "opaque.png": "",
        "pages.tif": "the first of 3 pages was taken",
    }


def test_what_is_left_out_of_a_pair_names_the_side(tmp_path: Path) -> None:
    hr = picture(0)
    lr = _by_area(hr).astype(np.uint8)
    for name in ("hr", "lr"):
        (tmp_path / name).mkdir()
    Image.fromarray(np.dstack([hr, hr[..., 0]])).save(tmp_path / "hr" / "a.png")
    Image.fromarray(lr).save(tmp_path / "lr" / "a.tif", save_all=True, append_images=[Image.fromarray(lr)])
    (photo,) = prepare(tmp_path / "hr", tmp_path / "set", (4,), tmp_path / "lr").photos
    assert photo.note == "HR: its transparency was left out; LR: the first of 2 pages was taken"
