"""Blocks with random weights, and comparison of the kernels with plain PyTorch in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from lamnet.core.config import LAMNetConfig
from lamnet.core.window import PAPER_WINDOW, Window
from lamnet.network.model import Block
from lamnet.ops.backend import use_backend, why_not

NO_NATIVE = why_not("native", "cpu", torch.float32)
needs_native = pytest.mark.skipif(NO_NATIVE is not None, reason=f"native: {NO_NATIVE}")

# The largest error allowed, as a part of the largest value: sums are float32, results rounded to the storage type.
FORWARD = {torch.float32: 2e-6, torch.bfloat16: 1e-2, torch.float16: 1e-3}
BACKWARD = {torch.float32: 5e-6, torch.bfloat16: 1.6e-2, torch.float16: 3e-3}
CHAIN = {
    torch.float32: 1.0,
    torch.bfloat16: 2.5,
    torch.float16: 2.5,
}  # times that through a block: five roundings in turn

WINDOWS = [PAPER_WINDOW, Window((-3, 2, 0, 5), (1, 3, 5, 2)), Window((0,), (1,))]


def error(got: Tensor, expected: Tensor, scale: float = 1e-20) -> float:
    got, expected = got.detach(), expected.detach()
    assert got.shape == expected.shape
    if not expected.numel():
        return 0.0
    return float((got.double() - expected).abs().max() / max(scale, float(expected.abs().max())))


def against_reference(
    function: Callable[..., Tensor], inputs: list[Tensor], dtype: torch.dtype, times: float = 1
) -> None:
    """Output and every gradient of the native kernels in `dtype` against plain PyTorch in float64."""
    rounded = [x.to(dtype) if x.dtype != torch.float32 or dtype != torch.float32 else x for x in inputs]
    leaves = [x.detach().requires_grad_() for x in rounded]
    out = function(*leaves)
    seed = torch.randn(out.shape).to(out.dtype)
    grads = torch.autograd.grad(out, leaves, seed)
    with use_backend("reference"):
        exact = [x.detach().double().requires_grad_() for x in rounded]
        expected = function(*exact)
        expected_grads = torch.autograd.grad(expected, exact, seed.double())
    assert error(out, expected) <= times * FORWARD[dtype]
    with torch.no_grad():
        assert error(function(*rounded), expected) <= times * FORWARD[dtype]  # what lies between may stay in the cache
    # The gradient of a parameter sums over the pixels terms of either sign, which may nearly cancel.
    terms = inputs[0].numel() // inputs[0].shape[-1]
    for x, got, want in zip(inputs, grads, expected_grads, strict=True):
        assert error(got, want, 1e-20 if x.shape[:3] == inputs[0].shape[:3] else terms**0.5) <= times * BACKWARD[dtype]


def seeded(*shape: int) -> Tensor:
    return torch.randn(*shape)


def strided(*shape: int) -> Tensor:
    """The second half of twice as many channels: pixels that do not follow each other."""
    return torch.randn(*shape[:-1], 2 * shape[-1])[..., shape[-1] :]


def random_block(channels: int, heads: int, expansion: float, window: Window) -> Block:
    """Make a block with random weights, and gains and factors around one; inputs of relu are seldom at its corner."""
    torch.manual_seed(channels)
    block = Block(LAMNetConfig(2, channels=channels, heads=heads, expansion=expansion, window=window))
    with torch.no_grad():
        for parameter in block.parameters():
            inputs = parameter[0].numel() if parameter.dim() > 1 else 16
            parameter.copy_(torch.randn(parameter.shape) / inputs**0.5 + (parameter == 1))
        block.mixer.channel_in.bias.add_(3)
    return block


def function_of(block: Block) -> Callable[..., tuple[Tensor, Tensor]]:
    """The block as a function of its parameters, in their own order, of x and of means."""
    names = [name for name, _ in block.named_parameters()]
    return lambda x, means, *weights: functional_call(block, dict(zip(names, weights, strict=True)), (x, means))
