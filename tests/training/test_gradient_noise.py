"""The gradient noise scale against gradients whose noise is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lamnet.training.gradient_noise import GradientNoise
from lamnet.training.loop import train
from support.sets import prepared, recipe


def test_the_scale_is_the_variance_over_the_squared_gradient() -> None:
    generator = np.random.default_rng(0)
    gradient, deviation, small, large = np.full(400, 0.5), 2.0, 4, 16
    noise = GradientNoise(small, large)
    for _ in range(500):
        patches = gradient + generator.normal(0, deviation, (large, 400))
        noise.add(float((patches[:small].mean(0) ** 2).sum()), float((patches.mean(0) ** 2).sum()))
    assert noise.take() == pytest.approx(deviation**2 / 0.5**2, rel=0.05)  # 16 patches
    assert noise.take() is None


def test_equal_patches_have_no_noise_and_noise_alone_no_scale() -> None:
    noise = GradientNoise(1, 2)
    noise.add(3.0, 3.0)
    assert noise.take() == 0
    noise.add(4.0, 1.0)
    assert noise.take() is None


@pytest.mark.thorough
def test_a_training_with_micro_batches_records_it(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    for accumulate in (1, 2):
        train(recipe(accumulate=accumulate, batch=4), data, tmp_path / str(accumulate))
        text = (tmp_path / str(accumulate) / "metrics.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        assert all(("gradient_noise" in line) == (accumulate == 2) for line in lines)


@pytest.mark.thorough
def test_measuring_leaves_the_training_as_it_is(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    data = prepared(tmp_path)
    train(recipe(accumulate=2, batch=4), data, tmp_path / "a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GradientNoise, "add", lambda *_: None)
        train(recipe(accumulate=2, batch=4), data, tmp_path / "b")
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in "ab")
    assert all(np.array_equal(one[name], other[name]) for name in one)
