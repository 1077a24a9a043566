"""Arrays, options and results that an Upscaler refuses, each in one line."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

from lamnet import LAMNet, Upscaler
from lamnet.base.errors import BackendError, BadArgumentError, BadImageError
from lamnet.upscale.goal import Goal


@pytest.mark.parametrize("shape", [(4, 4, 5), (0, 4, 3), (4,), (1, 2, 3, 4)])
def test_other_shapes_are_refused(network: LAMNet, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadArgumentError, match="array"):
        Upscaler(network, "cpu")(np.zeros(shape, np.uint8))


def test_what_is_no_array_is_refused(network: LAMNet) -> None:
    for other in ([[1, 2], [3, 4]], None, "photo.png"):
        with pytest.raises(BadArgumentError, match="array"):
            Upscaler(network, "cpu")(other)  # pyright: ignore


def test_another_precision_is_refused(network: LAMNet) -> None:
    with pytest.raises(BadArgumentError, match="precision"):
        Upscaler(network, "cpu", precision="fp16")  # pyright: ignore


def test_other_dtypes_are_refused(network: LAMNet) -> None:
    with pytest.raises(BadArgumentError, match="int64"):
        Upscaler(network, "cpu")(np.zeros((4, 4, 3), np.int64))


def test_a_device_that_is_not_there_is_refused(network: LAMNet) -> None:
    with pytest.raises(BackendError, match="cuda:77"):
        Upscaler(network, "cuda:77")


def test_floats_too_far_apart_are_refused(network: LAMNet) -> None:
    array = np.broadcast_to(np.linspace(-3e38, 3e38, 8, dtype=np.float32)[:, None, None], (8, 8, 3))
    with pytest.raises(
        BadArgumentError, match=r"array: expected numbers at most 3\.4e\+38 apart, found -3e\+38 to 3e\+38"
    ):
        Upscaler(network, "cpu")(array)


@pytest.mark.parametrize("size", [(-1, 5), (10,), ("a", 1), (0, 0), (2.5, 2)])
def test_what_is_no_size_is_refused(network: LAMNet, pixels: np.ndarray, size: Any) -> None:
    with pytest.raises(BadArgumentError, match="size: expected a width and a height in pixels"):
        Upscaler(network, "cpu")(pixels, size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": "x"}, "tile: expected a number of pixels, 1 or more, got 'x'"),
        ({"tile": 2.5}, "tile: expected a number of pixels, 1 or more, got 2.5"),
        ({"memory": "2GB"}, "memory: expected a number of bytes, got '2GB'"),
        ({"device": "meta"}, "device: expected one that works here, got meta"),
    ],
)
def test_what_an_upscaler_cannot_be_made_with(network: LAMNet, options: dict[str, Any], message: str) -> None:
    with pytest.raises((BadArgumentError, BackendError), match=message):
        Upscaler(network, **options)


def test_no_memory_is_too_little(network: LAMNet, pixels: np.ndarray) -> None:
    with pytest.raises(BadArgumentError, match="memory: expected"):
        Upscaler(network, "cpu", memory=0)(pixels)


@pytest.mark.parametrize("exact", [False, True])
def test_results_that_are_no_numbers_are_refused(network: LAMNet, pixels: np.ndarray, exact: bool) -> None:
    broken = deepcopy(network)
    broken.tail.bias.data[0] = float("nan")
    with pytest.raises(BadImageError, match="expected a finite result"):
        Upscaler(broken, "cpu", tile=32, exact=exact)(pixels)


def test_exact_refuses_what_it_would_not_run(network: LAMNet, pixels: np.ndarray) -> None:
    hooked = deepcopy(network)
    hooked.groups[0].register_forward_hook(lambda *_: None)
    with pytest.raises(BackendError, match=r"exact: .*groups\.0 with a hook"):
        Upscaler(hooked, "cpu", tile=32, exact=True)(pixels)


@pytest.mark.parametrize("white", [0, float("inf"), float("nan"), "a"])
def test_white_is_above_black(network: LAMNet, pixels: np.ndarray, white: Any) -> None:
    with pytest.raises(BadArgumentError, match=f"white: expected a number above 0, got {white!r}"):
        Upscaler(network, "cpu")(pixels, white=white)


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ({}, "a factor or a width and a height, got none"),
        ({"factor": 2, "width": 3}, "a factor or a width and a height, got both"),
        *(
            ({"factor": factor}, f"a factor above 0, got {factor!r}")
            for factor in (0, -1, float("nan"), float("inf"), "2")
        ),
        *(({"width": side}, f"sides in whole pixels, got {side!r}") for side in (0, -1, 2.5, "9")),
    ],
)
def test_a_goal_that_is_none_is_refused(goal: dict[str, Any], words: str) -> None:
    with pytest.raises(BadArgumentError, match=f"goal: expected {words}"):
        Goal(**goal)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tile": 0}, "tile: expected a number of pixels"),
        ({"tile": -3}, "tile: expected a number of pixels"),
        ({"memory": -1}, "memory: expected a number of bytes"),
        ({"max_pixels": 0}, "max_pixels: expected a number of pixels"),
        ({"goal": "20x20"}, r"goal: expected a Goal"),
        ({"model": 3}, "model: expected a name, a file, its weights or a LAMNet, got 3"),
        ({"photo": "tiny:photo"}, "photo: expected weights that are loaded, or a LAMNet, got 'tiny:photo'"),
        ({"model": "tiny", "scale": 2.0}, "scale: expected a whole number, got 2.0"),
        ({"model": "tiny", "scale": "2"}, "scale: expected a whole number, got '2'"),
    ],
)
def test_what_is_no_argument_is_refused_at_once(network: LAMNet, given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadArgumentError, match=words):
        Upscaler(**{"model": network, "device": "cpu", **given})


def test_sizes_beyond_the_network_and_arrays_with_gradients_are_refused(network: LAMNet, pixels: np.ndarray) -> None:
    upscaler = Upscaler(network, "cpu")
    height, width = pixels.shape[:2]
    with pytest.raises(BadArgumentError, match=r"size: expected at most .* with this network, got"):
        upscaler(pixels, (width * network.config.scale + 1, height))
    with pytest.raises(BadArgumentError, match="size: expected a width and a height in pixels, got -1, 0"):
        upscaler.result_size(-1, 0)
    with pytest.raises(BadArgumentError, match="size: expected a width and a height in pixels, got 20"):
        upscaler(pixels, 20)
    with pytest.raises(BadArgumentError, match="array: expected what NumPy can take, got Tensor"):
        upscaler(torch.zeros(8, 8, 3, requires_grad=True))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory_is_one_line(
    network: LAMNet, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    upscaler = Upscaler(network, "cpu")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(upscaler.engine.network, "forward", fail)
    with pytest.raises(BackendError, match=r"memory: expected enough for .* pixels at once, found less free"):
        upscaler(pixels)


def test_a_result_that_is_finite_and_makes_no_sense_is_refused(network: LAMNet) -> None:
    wild = deepcopy(network)
    with torch.no_grad():
        for parameter in wild.parameters():
            parameter.copy_(torch.full_like(parameter, 40.0))
    with pytest.raises(BadImageError, match=r"found numbers beyond 1000|found NaN or infinity"):
        Upscaler(wild, "cpu")(np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8))
