"""Drawings: of every kind, a function of their seed, with band-limited edges."""

from __future__ import annotations

import numpy as np
import pytest

from lamnet.training.drawings import drawing


def drawn(seed: int, side: int = 96) -> np.ndarray:
    return drawing(side, np.random.default_rng(seed))


def test_shape_type_and_seed() -> None:
    for side in (16, 97, 256):
        picture = drawn(3, side)
        assert (picture.shape, picture.dtype) == ((side, side, 3), np.uint8)
    np.testing.assert_array_equal(drawn(5), drawn(5))
    assert (drawn(5) != drawn(6)).any()


@pytest.mark.thorough
def test_no_seed_fails_and_few_are_empty() -> None:
    flat = sum(int(np.ptp(drawn(seed, 64)) == 0) for seed in range(300))
    assert flat < 15


@pytest.mark.thorough
def test_most_of_graphics_is_flat_and_edges_are_soft() -> None:
    """Drawings look like a rasteriser's: many pixels equal their neighbour, and edges have levels between."""
    flat, levels = [], []
    for seed in range(100):
        steps = np.abs(np.diff(drawn(seed).astype(int), axis=1)).sum(2)
        flat.append((steps == 0).mean())
        levels.append(len(np.unique(drawn(seed)[..., 1])))
    assert np.mean(flat) > 0.3
    assert np.median(levels) > 12


@pytest.mark.thorough
@pytest.mark.parametrize("band", range(3))
def test_all_colours_come(band: int) -> None:
    values = np.concatenate([drawn(seed, 32)[..., band].ravel() for seed in range(200)])
    counts = np.histogram(values, 8, (0, 256))[0]
    assert counts.min() > 0.02 * len(values)
