"""Prefetching of patches: the right step on every call, drawn ahead, in parts for several workers."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from lamnet.training.loader import Loader
from lamnet.training.pairs import PatchSampler
from lamnet.training.prepared import PreparedSet
from support.sets import prepared

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> PatchSampler:
    return PatchSampler(PreparedSet.open(prepared(tmp_path_factory.mktemp("data"))), 4, 8, 4, 0)


@pytest.mark.parametrize("steps", [(0, 1, 2), (0, 7, 8, 3)])
def test_each_step_gets_its_own_patches(sampler: PatchSampler, steps: tuple[int, ...]) -> None:
    with Loader(sampler, 0, 1, CPU) as loader:
        for step in steps:
            for taken, drawn in zip(loader.take(step), sampler.draw(step), strict=True):
                np.testing.assert_array_equal(taken.numpy(), drawn)


def test_workers_share_a_batch(sampler: PatchSampler) -> None:
    parts: list[torch.Tensor] = []
    for part in range(2):
        with Loader(sampler, part, 2, CPU) as loader:
            parts.append(loader.take(5)[0])
    np.testing.assert_array_equal(torch.cat(parts).numpy(), sampler.draw(5)[0])


def test_the_next_step_is_drawn_before_it_is_asked_for(sampler: PatchSampler, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, is_drawn = PatchSampler.draw, threading.Event()

    def noted(self: PatchSampler, step: int, part: int = 0, parts: int = 1):
        if step == 1:
            is_drawn.set()
        return draw(self, step, part, parts)

    monkeypatch.setattr(PatchSampler, "draw", noted)
    with Loader(sampler, 0, 1, CPU) as loader:
        loader.take(0)
        assert is_drawn.wait(60)
        assert loader.images_per_s > 0


def test_an_error_of_the_sampler_comes_out_at_its_step(sampler: PatchSampler, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = PatchSampler.draw

    def failing(self: PatchSampler, step: int, part: int = 0, parts: int = 1):
        if step == 1:
            raise OSError("the set is gone")
        return draw(self, step, part, parts)

    monkeypatch.setattr(PatchSampler, "draw", failing)
    with Loader(sampler, 0, 1, CPU) as loader:
        loader.take(0)
        with pytest.raises(OSError, match="the set is gone"):
            loader.take(1)
