"""The network with native kernels: the same numbers as in plain PyTorch, whatever runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lamnet.base.errors import BadArgumentError
from lamnet.core.config import LAMNetConfig
from lamnet.network import weights
from lamnet.network.model import LAMNet
from lamnet.ops.backend import use_backend, why_not

NO_NATIVE = why_not("native", "cpu", torch.float32)
needs_native = pytest.mark.skipif(NO_NATIVE is not None, reason=f"native: {NO_NATIVE}")

SMALL = LAMNetConfig(2, channels=32, groups=1, blocks=1)
ODD = LAMNetConfig(3, channels=24, groups=2, blocks=1, heads=3, expansion=0.5)  # no multiple of a vector's width


def _network(config: LAMNetConfig) -> LAMNet:
    """Weights of which every one matters, norms and factors included."""
    torch.manual_seed(0)
    network = LAMNet(config).eval()
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return network


def _relative(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("scale", [2, 3])
def test_reference_values(shared: Path, scale: int) -> None:
    stem = shared / "reference" / f"lamnet_small_x{scale}"
    truth = np.load(stem.with_suffix(".npz"))
    x, expected = (torch.tensor(truth[key]).float() for key in ("input", "output"))
    network = weights.load(stem.with_suffix(".pth"))
    with torch.inference_mode():
        assert (network(x) - expected).abs().max() < 1e-4  # where nothing is kept for a backward
    assert (network(x) - expected).abs().max() < 1e-4  # as for training


@pytest.mark.parametrize("config", [SMALL, ODD])
def test_a_batch_of_nothing(config: LAMNetConfig) -> None:
    assert LAMNet(config)(torch.rand(0, 3, 4, 5)).shape == (0, 3, 4 * config.scale, 5 * config.scale)


@pytest.mark.thorough
@needs_native
@pytest.mark.parametrize("config", [SMALL, ODD])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (47, 70)])
def test_native_moves_no_result(config: LAMNetConfig, size: tuple[int, int]) -> None:
    network, x = _network(config), torch.rand(2, 3, *size)
    parameters = list(network.parameters())
    with use_backend("reference"):
        expected = network(x)
        expected_grads = torch.autograd.grad(expected.square().mean(), parameters)
    got = network(x)
    assert _relative(got, expected) < 1e-5
    for grad, want in zip(torch.autograd.grad(got.square().mean(), parameters), expected_grads, strict=True):
        assert _relative(grad, want) < 1e-4
    with torch.inference_mode():
        assert _relative(network(x), expected) < 1e-5
    with torch.no_grad():
        replayed, _ = network.forward_with_means(x, network.forward_with_means(x)[1])
        assert _relative(replayed, expected) < 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype: torch.dtype) -> None:
    network, x = LAMNet(SMALL), torch.rand(1, 3, 20, 30)
    expected = network(x)
    with torch.autocast("cpu", dtype):
        trained = network(x)
        with torch.inference_mode():
            inferred = network(x)
    trained.float().mean().backward()
    assert trained.dtype == inferred.dtype == dtype
    for got in (trained, inferred):
        assert _relative(got.float(), expected) < 0.02


@needs_native
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reduced_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network, x = LAMNet(SMALL), torch.rand(1, 3, 40, 50)
    with torch.inference_mode():
        expected, got = network(x), network.to(dtype)(x.to(dtype))
    assert got.dtype == dtype
    assert _relative(got.float(), expected) < 0.02


@pytest.mark.thorough
def test_compile_in_one_graph() -> None:
    network, x = _network(SMALL), torch.rand(1, 3, 12, 9)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    got = compiled(x)
    got.sum().backward()
    assert _relative(got, network(x)) < 1e-6
    with torch.inference_mode():
        assert _relative(compiled(x), network(x)) < 1e-6


@pytest.mark.thorough
@pytest.mark.parametrize("strict", [False, True])
def test_export_of_free_size(strict: bool) -> None:
    network = _network(SMALL)
    height, width = (torch.export.Dim(name, min=2, max=4096) for name in ("height", "width"))
    x = torch.rand(1, 3, 12, 9)
    program = torch.export.export(network, (x,), dynamic_shapes=({2: height, 3: width},), strict=strict)
    other = torch.rand(1, 3, 7, 31)
    assert _relative(program.module()(other), network(other)) < 1e-5


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 4, 8, 8)])
def test_input_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadArgumentError, match=r"x: expected \(B, 3, H, W\)"):
        LAMNet(SMALL)(torch.rand(shape))


@pytest.mark.parametrize("assign", [False, True])
def test_a_network_made_without_memory_and_filled_later(assign: bool) -> None:
    network, x = _network(SMALL), torch.rand(1, 3, 6, 5)
    with torch.device("meta"):
        empty = LAMNet(SMALL).eval()
    if not assign:
        empty = empty.to_empty(device="cpu")
    empty.load_state_dict(network.state_dict(), assign=assign)
    assert torch.equal(empty(x), network(x))
    assert "mean" not in network.state_dict()
