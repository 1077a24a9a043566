"""The fit of LR to HR: shifts, likeness, contrast and colour."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from lamnet.evaluation.benchmarks import find_sets
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.media import arrays
from lamnet.training.fitting import fit
from support.pairs import moved, picture


@pytest.mark.parametrize("by", [(0, 0), (0.3, -0.2), (-0.6, 0.6), (1.3, -2.6)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_shifts_are_found_also_under_another_exposure_and_noise(scale: int, by: tuple[float, float]) -> None:
    hr = picture(0, 48 * scale, 60 * scale)
    lr = 0.6 * moved(imresize(hr, Fraction(1, scale)), *by) + 30
    found = fit(hr, (lr + np.random.default_rng(1).normal(0, 4, lr.shape)).astype(np.uint8), scale)
    assert (found.down, found.right) == pytest.approx(by, abs=0.1)
    assert found.likeness > 0.9


@pytest.mark.thorough
def test_photographs_lie_where_they_are_said_to_lie(shared: Path) -> None:
    """Shifts are measured to 0.1 pixels on Set14, for the upper left pixels of HR as LR too; turned pictures differ."""
    (benchmark,) = find_sets(shared / "data" / "benchmarks", 4, ["Set14"])
    for pair in benchmark.pairs:
        hr = _rgb(pair.hr)
        lr = imresize(hr, Fraction(1, 4))
        for by in ((0.4, -0.4), (0.6, 0.0), (1.3, 2.6)):
            found = fit(hr, moved(lr, *by), 4)
            assert (found.down, found.right) == pytest.approx(by, abs=0.1)
        nearest = fit(hr, hr[::4, ::4].copy(), 4)
        assert (nearest.down, nearest.right) == pytest.approx((0.375, 0.375), abs=0.1)
        assert nearest.likeness > 0.95
        assert fit(hr, lr[::-1, ::-1].copy(), 4).likeness < 0.5


def _rgb(path: Path) -> np.ndarray:
    hr = crop_to_multiple(arrays.read_array(path), 4)
    return hr.repeat(3, 2) if hr.shape[2] == 1 else hr


def test_other_pictures_are_not_alike_and_flat_ones_tell_nothing() -> None:
    hr = picture(0)
    lr = imresize(hr, Fraction(1, 4))
    for other in (imresize(picture(1), Fraction(1, 4)), lr[::-1].copy(), 255 - lr):
        assert fit(hr, other, 4).likeness < 0.5
    flat = np.full((160, 192, 3), 9, np.uint8)
    assert fit(flat, flat[:40, :48], 4).likeness == 1
    assert fit(flat, flat[:40, :48] + np.uint8([0, 0, 99]), 4).likeness == 0


def turned(pixels: np.ndarray, degrees: float, zoom: float = 1.0) -> np.ndarray:
    """The pixels turned and zoomed about the middle."""
    angle, middle = np.deg2rad(degrees), (np.array(pixels.shape[:2]) - 1) / 2
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    planes = [
        affine_transform(pixels[..., place].astype(float), matrix, middle - matrix @ middle, order=1, mode="mirror")
        for place in range(3)
    ]
    return np.stack(planes, -1).round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("degrees", "zoom"), [(3.0, 1.0), (-1.0, 1.0), (0.0, 1.02), (0.0, 0.98), (1.0, 1.01)])
def test_what_is_turned_or_zoomed_is_shifted_in_its_parts(degrees: float, zoom: float) -> None:
    hr = picture(2, 480, 576)
    lr = imresize(hr, Fraction(1, 4))
    found = fit(hr, turned(lr, degrees, zoom), 4)
    assert found.bend > 0.5
    noisy = (0.7 * lr + 30 + np.random.default_rng(1).normal(0, 8, lr.shape)).clip(0, 255).astype(np.uint8)
    for straight in (lr, noisy, moved(lr, 0.4, -0.4)):
        assert fit(hr, straight, 4).bend < 0.2


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("side", [12, 71, 72, 80])
def test_a_far_shift_leaves_parts_alone(side: int) -> None:
    hr = picture(3, 4 * side, 4 * side)
    lr = imresize(hr, Fraction(1, 4))
    far = fit(hr, np.roll(lr, (side // 4, -(side // 4)), (0, 1)), 4)
    assert far.shift > 0.5 or far.likeness < 0.5
    assert far.bend == 0
    assert fit(hr, lr, 4).bend < 0.01


def test_red_and_blue_exchanged_are_told_also_where_colours_are_weak() -> None:
    grey = picture(0)[..., 1:2].astype(float) * 0.8 + 20
    for tint in ([12, 0, -12], [0, 3, -9]):
        hr = (grey + tint).astype(np.uint8)
        lr = imresize(hr, Fraction(1, 4))
        assert fit(hr, lr[..., ::-1].copy(), 4).exchanged
        assert not fit(hr, lr, 4).exchanged
        assert not fit(hr, (lr + np.array([6, 0, -6])).clip(0, 255).astype(np.uint8), 4).exchanged


def test_red_and_blue_exchanged_are_not_alike() -> None:
    """As OpenCV reads pictures: luma alone says little."""
    hr = np.repeat(picture(0)[..., :1] // 2 + 60, 3, 2)
    hr[..., 0] = np.clip(hr[..., 0] + np.linspace(-50, 50, hr.shape[1]), 0, 255)
    lr = imresize(hr, Fraction(1, 4))
    assert fit(hr, lr, 4).likeness > 0.95
    assert fit(hr, lr[..., ::-1].copy(), 4).likeness < 0.5
    grey = np.repeat(lr[..., 1:2], 3, 2)
    assert fit(hr, grey, 4).likeness > 0.5


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.0, 1.5])
def test_contrast_is_told_whatever_the_brightness(gain: float) -> None:
    hr = (picture(0) * 0.4 + 60).astype(np.uint8)
    lr = imresize(hr, Fraction(1, 4)).astype(float)
    found = fit(hr, (gain * (lr - lr.mean()) + 120).round().clip(0, 255).astype(np.uint8), 4)
    assert found.gain == pytest.approx(gain, rel=0.05)
    assert found.likeness > 0.95


def test_contrast_is_told_where_one_is_too_flat_to_compare() -> None:
    hr = picture(0)
    flat = np.full((40, 48, 3), int(hr.mean()), np.uint8)
    assert fit(hr, flat, 4).gain < 0.1
    assert fit(np.full_like(hr, 99), flat, 4).gain == 1


def test_grey_beside_colour_is_told_by_content() -> None:
    """Little colour, as JPEG leaves it in grey, and noise are grey; a coloured corner is colour."""
    rng = np.random.default_rng(1)
    colour = picture(0)
    grey = colour[..., 1:2].repeat(3, 2)
    marked = grey.copy()
    marked[:40, :40, 0] = 255 - marked[:40, :40, 0] // 4
    nearly = (grey + rng.integers(-2, 3, grey.shape)).clip(0, 255).astype(np.uint8)
    small = {
        name: imresize(hr, Fraction(1, 4))
        for name, hr in {"colour": colour, "grey": grey, "marked": marked, "nearly": nearly}.items()
    }
    noisy = (small["grey"] + rng.normal(0, 3, small["grey"].shape)).clip(0, 255).astype(np.uint8)
    assert fit(colour, small["colour"], 4).grey == ""
    assert fit(grey, small["grey"], 4).grey == fit(grey, noisy, 4).grey == ""
    assert fit(colour, small["grey"], 4).grey == fit(colour, small["nearly"], 4).grey == "LR"
    assert fit(colour, noisy, 4).grey == "LR"
    assert fit(grey, small["colour"], 4).grey == fit(nearly, small["colour"], 4).grey == "HR"
    assert fit(marked, small["grey"], 4).grey == "LR"
