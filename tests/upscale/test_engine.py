"""The engine: planes of NumPy numbers through a network, what memory it takes, and what it says when there is none."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig, mix
from lamnet.base import memory
from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.network.ensemble import self_ensemble
from lamnet.ops import native
from lamnet.ops.backend import use_backend
from lamnet.upscale.engine import Engine
from lamnet.upscale.planner import Planner

PLANE = np.random.default_rng(0).random((3, 20, 31), np.float32)


@pytest.mark.parametrize("ensemble", [False, True])
def test_a_plane_is_what_the_network_gives(network: LAMNet, ensemble: bool) -> None:
    x = torch.from_numpy(PLANE)[None]
    with torch.no_grad():
        expected = (self_ensemble(network, x) if ensemble else network(x))[0].numpy()
    np.testing.assert_array_equal(Engine(network, "cpu", ensemble=ensemble).run(PLANE), expected)


def test_a_part_of_an_array_is_a_plane_too(network: LAMNet) -> None:
    engine = Engine(network, "cpu")
    np.testing.assert_array_equal(engine.run(PLANE[:, 3:, ::2]), engine.run(PLANE[:, 3:, ::2].copy()))


def test_the_modules_around_the_engine_do_not_import_torch() -> None:
    modules = ("plan", "goal", "raster", "bands", "planner", "picture", "parts", "video")
    program = "import sys; " + "; ".join(f"import lamnet.upscale.{name}" for name in modules)
    command = [sys.executable, "-c", f"{program}; print('torch' in sys.modules)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.skipif(native.why_not() is not None, reason="this build has no kernels")
def test_the_kernels_hold_fewer_images() -> None:
    on_kernels = Engine(LAMNet(LAMNetConfig(scale=2, channels=32, groups=1, blocks=1)), "cpu")
    too_narrow = Engine(LAMNet(LAMNetConfig(scale=2, channels=16, groups=1, blocks=1)), "cpu")
    assert on_kernels.footprint().images < too_narrow.footprint().images
    with use_backend("reference"):
        assert on_kernels.footprint() == too_narrow.footprint()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shape '[2]' is invalid for input of size 3"),
        RuntimeError("PYTORCH_CUDA_ALLOC_CONF: unknown allocator setting"),
        ValueError("a size that was allocated"),
    ],
)
def test_other_errors_are_not_about_memory(network: LAMNet, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    engine = Engine(network, "cpu")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(engine.network, "forward", fail)
    with pytest.raises(type(error), match=r"invalid|setting|allocated"):
        engine.run(PLANE)


def test_identity_follows_the_weights_and_the_precision(network: LAMNet) -> None:
    first = Engine(network, "cpu").identity()
    assert first == Engine(network, "cpu", "float32").identity()
    assert first != Engine(network, "cpu", "bfloat16").identity()
    assert first != Engine(network, "cpu", ensemble=True).identity()
    assert first != Engine(LAMNet(network.config), "cpu").identity()


def test_little_free_memory_is_enough_for_small_parts(network: LAMNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 400_000_000)  # half of it would not even hold PyTorch
    assert Planner(Engine(network, "cpu")).plan(3000, 4000).tile is not None
    monkeypatch.setattr(memory, "available", lambda: 10_000_000)
    with pytest.raises(BadArgumentError, match=r"got 505 MB, from half of what is free; --memory allows more"):
        Planner(Engine(network, "cpu")).plan(3000, 4000)


def test_a_changed_network_never_goes_on_with_what_another_made(network: LAMNet) -> None:
    changed = copy.deepcopy(network)
    changed.head.register_forward_hook(lambda _, __, out: out / 2)
    first, second = (Engine(changed, "cpu").identity() for _ in range(2))
    assert first != second
    assert Engine(network, "cpu").identity() == Engine(network, "cpu").identity()


def test_a_network_without_numbers_is_refused(network: LAMNet) -> None:
    empty = copy.deepcopy(network).to("meta")
    with pytest.raises(BadWeightsError, match=r"^model: expected a network with numbers"):
        Engine(empty, "cpu")
    with pytest.raises(BadWeightsError, match=r"^a: expected a network with numbers"):
        mix(empty, network, 0.5)
