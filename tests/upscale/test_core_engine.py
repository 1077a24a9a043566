"""The engine on the C core against that in PyTorch, and without PyTorch."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig, Upscaler
from lamnet.base.errors import BackendError, BadArgumentError, BadImageError, BadWeightsError
from lamnet.core.weights import WeightsFile
from lamnet.network import weights
from lamnet.upscale.core_engine import CoreEngine
from lamnet.upscale.engine import Engine

CONFIG = LAMNetConfig(scale=2, channels=8, groups=1, blocks=2, heads=2)
PLANE = np.random.default_rng(0).random((3, 20, 31), np.float32)


@pytest.fixture(scope="module")
def engines() -> tuple[CoreEngine, Engine]:
    torch.manual_seed(0)
    network = LAMNet(CONFIG).eval()
    return CoreEngine(contents_of(network)), Engine(network, "cpu")


def contents_of(network: LAMNet) -> WeightsFile:
    return WeightsFile(network.config, {name: tensor.numpy() for name, tensor in network.state_dict().items()}, {})


def test_planes_come_out_as_from_pytorch(engines: tuple[CoreEngine, Engine]) -> None:
    core, other = engines
    for plane in (PLANE, PLANE[:1], PLANE[:, 3:, ::2]):
        np.testing.assert_allclose(core.run(plane), other.run(plane), atol=3e-6)
        np.testing.assert_allclose(core.interpolate(plane), other.interpolate(plane), atol=1e-6)


def test_the_mean_of_eight(engines: tuple[CoreEngine, Engine]) -> None:
    torch.manual_seed(0)
    network = LAMNet(CONFIG).eval()
    expected = Engine(network, "cpu", ensemble=True).run(PLANE)
    np.testing.assert_allclose(CoreEngine(contents_of(network), ensemble=True).run(PLANE), expected, atol=3e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("exact", [False, True])
def test_tiles_are_the_whole(exact: bool) -> None:
    torch.manual_seed(0)
    contents = contents_of(LAMNet(CONFIG).eval())
    pixels = np.random.default_rng(1).random((150, 170, 3), np.float32)
    whole = Upscaler(contents, tile=None)(pixels)
    assert np.abs(Upscaler(contents, tile=64, exact=exact)(pixels) - whole).max() < (1e-5 if exact else 1e-2)


@pytest.mark.parametrize("exact", [False, True])
def test_results_that_are_no_numbers_are_refused(exact: bool) -> None:
    network = LAMNet(CONFIG).eval()
    network.tail.weight.data[:] = 3e38  # finite itself
    with pytest.raises(BadImageError, match="expected a finite result"):
        Upscaler(contents_of(network), "cpu", tile=64, exact=exact)(np.zeros((150, 170, 3), np.uint8))


def test_what_the_core_has_not_runs_in_pytorch() -> None:
    torch.manual_seed(0)
    contents = contents_of(LAMNet(CONFIG).eval())
    half = Upscaler(contents, precision="float16").engine
    assert isinstance(half, Engine)
    assert half.dtype == torch.float16
    with pytest.raises(BackendError, match="device: expected one that works here, got nonsense"):
        Upscaler(contents, device="nonsense")
    for precision in ("auto", "float32", "bfloat16"):
        assert isinstance(Upscaler(contents, "cpu", precision).engine, CoreEngine)


def test_a_name_or_a_file_stands_for_its_weights(tmp_path: Path) -> None:
    weights.save(LAMNet(CONFIG), tmp_path / "own.safetensors")
    assert Upscaler(tmp_path / "own.safetensors").engine.config == CONFIG
    assert Upscaler("tiny", scale=3).engine.config == LAMNetConfig.tiny(3)
    with pytest.raises(BadWeightsError, match="tiny: expected a scale with it"):
        Upscaler("tiny")
    with pytest.raises(BadWeightsError, match="expected a network for x4, found one for x2"):
        Upscaler(tmp_path / "own.safetensors", scale=4)
    with pytest.raises(BadArgumentError, match="scale: expected it with a name or a file, got it with a network"):
        Upscaler(LAMNet(CONFIG), scale=2)
    with pytest.raises(BadArgumentError, match="model: expected a name, a file, its weights or a LAMNet, got 3"):
        Upscaler(3)  # type: ignore[arg-type]


@pytest.mark.thorough
def test_a_picture_without_pytorch(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None
import pyvips
from lamnet import Upscaler
from lamnet.core import weights
pyvips.Image.gaussnoise(24, 18, mean=128, sigma=40).cast("uchar").jpegsave({str(tmp_path / "a.jpg")!r})
Upscaler(weights.load("tiny", 2)).file({str(tmp_path / "a.jpg")!r}, {str(tmp_path / "b.png")!r})
found = pyvips.Image.new_from_file({str(tmp_path / "b.png")!r})
print(found.width, found.height)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("48 36\n", "")


def test_an_upscaler_goes_to_other_processes() -> None:
    upscaler = Upscaler("tiny", scale=2)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert np.array_equal(pickle.loads(pickle.dumps(upscaler))(pixels), upscaler(pixels))
