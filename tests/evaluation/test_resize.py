from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.media import arrays


@pytest.mark.thorough
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["Set5", "Set14", "B100"])
def test_every_benchmark_file_of_matlab_is_reproduced_exactly(shared: Path, name: str, scale: int) -> None:
    folder = shared / "data" / "benchmarks" / name
    for path in arrays.find(folder / "HR"):
        hr = crop_to_multiple(arrays.read_array(path), scale)
        expected = arrays.read_array(folder / f"LR_bicubic/X{scale}/{path.stem}x{scale}.png")
        np.testing.assert_array_equal(imresize(hr, 1 / scale), expected, err_msg=str(path))


def definition(line: NDArray[np.float64], scale: Fraction, border: str) -> list[float]:
    """imresize of one line, term by term: MATLAB's `contributions` written as a sum."""

    def cubic(x: float) -> float:
        x = abs(x)
        near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return near if x <= 1 else far if x < 2 else 0.0

    squeeze = min(float(scale), 1.0)
    out: list[float] = []
    for x in range(-(-len(line) * scale.numerator // scale.denominator)):
        centre = (x + 0.5) / float(scale) - 0.5
        taps = range(int(centre - 2 / squeeze) - 2, int(centre + 2 / squeeze) + 3)
        weights = [cubic(squeeze * (centre - tap)) for tap in taps]
        twice = [*range(len(line)), *reversed(range(len(line)))]
        inside = [min(max(tap, 0), len(line) - 1) if border == "edge" else twice[tap % len(twice)] for tap in taps]
        out.append(sum(w * line[i] for w, i in zip(weights, inside, strict=True)) / sum(weights))
    return out


@given(
    st.integers(1, 40),
    st.sampled_from(
        [Fraction(p, q) for p, q in [(1, 2), (1, 3), (1, 4), (2, 1), (3, 1), (4, 1), (2, 3), (5, 4), (7, 9)]]
    ),
    st.sampled_from(["edge", "mirror"]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_both_borders_agree_with_the_definition(
    length: int, scale: Fraction, border: Literal["edge", "mirror"], seed: int
) -> None:
    line = np.random.default_rng(seed).uniform(0, 255, length)
    expected = definition(line, scale, border)
    np.testing.assert_allclose(imresize(np.tile(line, (3, 1)), scale, border)[0], expected, atol=1e-9)
    np.testing.assert_allclose(imresize(np.tile(line[:, None], (1, 5)), scale, border)[:, 0], expected, atol=1e-9)


def test_integers_are_rounded_half_up_and_clipped_after_each_pass() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (12, 15, 3)).astype(np.uint8)
    rows = np.stack(
        [
            np.stack([definition(picture[:, x, c].astype(float), Fraction(1, 3), "edge") for x in range(15)], 1)
            for c in range(3)
        ],
        2,
    )
    rows = np.floor(rows + 0.5 + 1e-9).clip(0, 255)
    both = np.stack(
        [np.stack([definition(rows[y, :, c], Fraction(1, 3), "edge") for y in range(4)]) for c in range(3)], 2
    )
    np.testing.assert_array_equal(imresize(picture, 1 / 3), np.floor(both + 0.5 + 1e-9).clip(0, 255))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_a_flat_picture_stays_flat_in_its_own_type(dtype: type) -> None:
    flat = np.full((9, 7, 1), 200, dtype)
    for scale in (1 / 2, 3):
        resized = imresize(flat, scale, "mirror")
        assert resized.dtype == dtype
        np.testing.assert_allclose(resized, 200, rtol=1e-6)


def test_floating_values_are_neither_rounded_nor_clipped() -> None:
    edge = np.repeat([0.0, 1.0], 8)[None].repeat(4, 0)
    resized = imresize(edge, 2)
    assert resized.min() < 0
    assert resized.max() > 1


def test_views_and_rotated_pictures_give_the_rotated_result() -> None:
    picture = np.random.default_rng(2).uniform(0, 1, (18, 24, 3))
    np.testing.assert_allclose(imresize(picture[::-1], 1 / 3), imresize(picture, 1 / 3)[::-1], atol=1e-12)
    np.testing.assert_allclose(imresize(np.rot90(picture), 2), np.rot90(imresize(picture, 2)), atol=1e-12)


def test_crop_to_multiple() -> None:
    assert crop_to_multiple(np.zeros((13, 24, 3), np.uint8), 4).shape == (12, 24, 3)
    assert crop_to_multiple(np.zeros((3, 9), np.uint8), 4).shape == (0, 8)


@pytest.mark.parametrize("scale", [0, -1, 1000, 1e-9, float("nan")])
def test_a_factor_out_of_range_is_refused(scale: float) -> None:
    with pytest.raises(BadArgumentError, match="scale: expected a factor"):
        imresize(np.zeros((4, 4)), scale)


def test_wrong_pictures_and_borders_are_refused() -> None:
    with pytest.raises(BadArgumentError, match=r"got \(0, 4\)"):
        imresize(np.zeros((0, 4)), 2)
    with pytest.raises(BadArgumentError, match="int64"):
        imresize(np.zeros((4, 4), np.int64), 2)
    with pytest.raises(BadArgumentError, match='border: expected "edge" or "mirror"'):
        imresize(np.zeros((4, 4)), 2, "wrap")  # pyright: ignore[reportArgumentType]
