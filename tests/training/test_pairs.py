"""Patches: aligned, from everywhere, and a function of seed and step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamnet.base.errors import BadDataError
from lamnet.training.pairs import PatchSampler
from lamnet.training.preparation import prepare
from lamnet.training.prepared import PreparedSet
from support.sets import photographs, prepared


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return PreparedSet.open(prepared(tmp_path_factory.mktemp("data")))


@pytest.mark.parametrize("scale", [2, 4])
def test_lr_and_hr_show_the_same_place_turned_alike(data: PreparedSet, scale: int) -> None:
    lr, hr = PatchSampler(data, scale, 12, 64, seed=1).draw(0)
    assert lr.shape == (64, 3, 12, 12)
    assert hr.shape == (64, 3, 12 * scale, 12 * scale)
    assert lr.dtype == hr.dtype == np.uint8
    means = hr.reshape(64, 3, 12, scale, 12, scale).mean((3, 5))
    aligned = np.abs(means - lr).mean()
    turned = np.abs(means.swapaxes(2, 3) - lr).mean()
    assert aligned < 0.5 * turned


def test_a_batch_is_a_function_of_seed_and_step(data: PreparedSet) -> None:
    first, again = (PatchSampler(data, 4, 8, 4, seed=3) for _ in range(2))
    again.draw(0)
    for mine, other in zip(first.draw(7), again.draw(7), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert (first.draw(8)[0] != first.draw(7)[0]).any()
    assert (PatchSampler(data, 4, 8, 4, seed=4).draw(7)[0] != first.draw(7)[0]).any()


def test_workers_share_the_batch_of_one_process(data: PreparedSet) -> None:
    sampler = PatchSampler(data, 4, 8, 6, seed=0)
    parts = [sampler.draw(5, part, 3) for part in range(3)]
    for side, whole in enumerate(sampler.draw(5)):
        np.testing.assert_array_equal(np.concatenate([part[side] for part in parts]), whole)


@pytest.mark.thorough
def test_every_pixel_of_the_set_is_as_likely(tmp_path: Path) -> None:
    opened = prepare(photographs(tmp_path / "in", [(48, 48), (96, 96)]), tmp_path / "out", (2,))
    drawn = PatchSampler(opened, 2, 1, 20_000, seed=0).draw(0)[0].reshape(-1, 3).astype(float)
    whole = np.fromfile(opened.file(2), np.uint8).reshape(-1, 3).astype(float)
    np.testing.assert_allclose(drawn.mean(0), whole.mean(0), atol=6 * whole.std() / 20_000**0.5)


def test_patches_come_in_all_eight_symmetries(tmp_path: Path) -> None:
    opened = prepare(photographs(tmp_path / "in", [(48, 48)]), tmp_path / "out", (2,))
    drawn = PatchSampler(opened, 2, 24, 400, seed=0).draw(0)[0]
    picture = np.fromfile(opened.file(2), np.uint8).reshape(24, 24, 3).transpose(2, 0, 1)
    symmetries = {np.rot90(side, k, (1, 2)).tobytes() for side in (picture, picture[:, :, ::-1]) for k in range(4)}
    assert {patch.tobytes() for patch in drawn} == symmetries


def test_a_set_without_the_scale_or_with_too_small_pictures_says_so(data: PreparedSet) -> None:
    with pytest.raises(BadDataError, match=r"expected LR of scale 3, found scales \[2, 4\]; .* with --scales 3 makes"):
        PatchSampler(data, 3, 8, 1, 0)
    for scale in (1, 9):
        with pytest.raises(
            BadDataError,
            match=r"found scales \[2, 4\]; a set has LR of scales 2 to 8; .*, such as based_on = \"photo\"",
        ):
            PatchSampler(data, scale, 8, 1, 0)
    with pytest.raises(
        BadDataError, match=r"at least 128x128 pixels for LR patches of 32x32 at x4, the largest allows 18x18"
    ):
        PatchSampler(data, 4, 32, 1, 0)
