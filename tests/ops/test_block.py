"""A block on the kernels against plain PyTorch, its gradients, and its independence of threads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lamnet.core.window import PAPER_WINDOW
from lamnet.ops.backend import BACKENDS, use_backend, why_not
from lamnet.ops.block import fits
from lamnet.ops.block_weights import BlockWeights
from lamnet.ops.fsa import fsa_channels_last
from support.kernels import (
    BACKWARD,
    CHAIN,
    FORWARD,
    WINDOWS,
    against_reference,
    error,
    function_of,
    needs_native,
    random_block,
    seeded,
    strided,
)


@pytest.mark.thorough
@needs_native
@pytest.mark.parametrize("dtype", FORWARD)
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 37, 29), (1, 150, 6), (1, 5, 140)])
@pytest.mark.parametrize(
    ("channels", "heads", "expansion", "window"),
    [(32, 4, 1, 0), (64, 4, 1, 0), (64, 2, 0.5, 1), (96, 3, 1.25, 1), (32, 1, 1, 2)],
)
@pytest.mark.parametrize("replayed", [False, True])
def test_native_block(
    dtype: torch.dtype,
    size: tuple[int, int, int],
    channels: int,
    heads: int,
    expansion: float,
    window: int,
    replayed: bool,
) -> None:
    block = random_block(channels, heads, expansion, WINDOWS[window])
    function, weights = function_of(block), list(block.parameters())
    x, means = strided(*size, channels), torch.randn(size[0], 2, channels // 2)
    assert fits(x)
    if replayed:
        against_reference(lambda x, m, *w: function(x, m, *w)[0], [x, means, *weights], dtype, CHAIN[dtype])
    else:
        against_reference(lambda x, *w: function(x, None, *w)[0], [x, *weights], dtype, CHAIN[dtype])


@needs_native
def test_a_block_too_narrow_for_the_kernels() -> None:
    block, x = random_block(24, 4, 1, PAPER_WINDOW), seeded(2, 7, 5, 24)
    assert not fits(x)
    against_reference(lambda x, *w: function_of(block)(x, None, *w)[0], [x, *block.parameters()], torch.float32)


@needs_native
def test_gradients_through_the_means_that_a_block_gives() -> None:
    block = random_block(32, 4, 1, PAPER_WINDOW)

    def both(x: Tensor, *weights: Tensor) -> Tensor:
        out, means = function_of(block)(x, None, *weights)
        return out + means.flatten(1)[..., :32].to(out.dtype)[:, None, None]

    against_reference(both, [seeded(2, 7, 5, 32), *block.parameters()], torch.float32)
    x = seeded(2, 7, 5, 32).requires_grad_()
    with use_backend("reference"):
        (expected,) = torch.autograd.grad(block(x, None)[1].sum(), x)
    (got,) = torch.autograd.grad(block(x, None)[1].sum(), x)
    assert error(got, expected.double()) <= BACKWARD[torch.float32]


@needs_native
@pytest.mark.parametrize("rounded", [0, 1])
def test_weights_in_a_dtype_of_their_own(rounded: int) -> None:
    block, dtype = random_block(64, 4, 1, PAPER_WINDOW), torch.bfloat16
    weights = [
        weight.to(dtype).to(dtype if i < rounded else torch.float32) for i, weight in enumerate(block.parameters())
    ]
    x = seeded(2, 9, 14, 64).to(dtype)
    got: list[Tensor] = []
    expected: list[Tensor] = []
    for kind, results in ((x.dtype, got), (torch.float64, expected)):
        leaves = [
            leaf.detach().to(kind if results is expected else leaf.dtype).requires_grad_() for leaf in (x, *weights)
        ]
        with use_backend("native" if results is got else "reference"):
            out, _ = function_of(block)(leaves[0], None, *leaves[1:])
        results.extend(torch.autograd.grad(out.sum(), leaves))
    for gradient, exact, weight in zip(got, expected, (x, *weights), strict=True):
        assert gradient.dtype == weight.dtype
        assert error(gradient, exact, x[..., 0].numel() ** 0.5) <= CHAIN[dtype] * BACKWARD[dtype]


@needs_native
@pytest.mark.parametrize("dtype", FORWARD)
def test_native_branches(dtype: torch.dtype) -> None:
    block, x = random_block(64, 4, 1, PAPER_WINDOW).to(dtype), strided(2, 37, 29, 64).to(dtype)
    with torch.no_grad():
        own = block.branches(x)
        with use_backend("reference"):
            for got, expected in zip(own, block.double().branches(x.double()), strict=True):
                assert error(got, expected) <= CHAIN[dtype] * FORWARD[dtype]


def test_weights_are_handed_over_by_name() -> None:
    block = random_block(32, 4, 1, PAPER_WINDOW)
    names = {id(parameter): name for name, parameter in block.named_parameters()}
    handed = [names[id(weight)] for weight in block.weights()]
    assert len(set(handed)) == len(names) == len(BlockWeights._fields)
    for name, expected in zip(handed, BlockWeights._fields, strict=True):
        short = name.replace(".project.", ".").replace("project_", "").replace(".", "_")
        assert short in (expected, f"mixer_{expected}")


@needs_native
def test_results_do_not_depend_on_threads() -> None:
    block, x = random_block(64, 4, 1, PAPER_WINDOW), seeded(2, 40, 50, 64)
    results: list[list[Tensor]] = []
    threads = torch.get_num_threads()
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        leaves = [tensor.detach().clone().requires_grad_() for tensor in (x, *block.parameters())]
        out, means = function_of(block)(leaves[0], None, *leaves[1:])
        results.append([out, means, *torch.autograd.grad(out.sum(), leaves)])
    torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("backend", BACKENDS[::2])
@pytest.mark.thorough
def test_means_of_a_large_image_do_not_overflow(dtype: torch.dtype, backend: str) -> None:
    if reason := why_not(backend, "cpu", dtype):
        pytest.skip(f"{backend}: {reason}")
    block = random_block(32, 4, 1, PAPER_WINDOW)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
        block.mixer.channel_out.bias.fill_(3)
        block.mixer.project_in.bias.fill_(200)
        for attention in (block.mixer.horizontal, block.mixer.vertical):
            attention.project.bias[6::13].fill_(20)  # the tap of the pixel itself, open
        with use_backend(backend):
            _, means = block.to(dtype)(torch.zeros(1, 1080, 1920, 32, dtype=dtype), None)
    assert means.dtype == torch.float32
    torch.testing.assert_close(means, torch.tensor([200.0, 600.0])[None, :, None].expand(1, 2, 16), rtol=1e-5, atol=0)


@needs_native
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_stays_none(value: float) -> None:
    x = torch.zeros(1, 8, 8, 32)
    x[0, 4, 4, 0] = value
    with torch.no_grad():
        channel, spatial = random_block(32, 4, 1, PAPER_WINDOW).branches(x)
    assert not spatial[0, 4, 4].isfinite().all()
    assert not channel[0, 4, 4].isfinite().all()
    assert channel[0, 3, 3].isfinite().all()
    assert torch.isnan(torch.full((3,), float("nan")).to(torch.bfloat16)).all()


@pytest.mark.parametrize("shape", [(0, 4, 4, 32), (1, 0, 4, 32), (1, 4, 0, 32)])
def test_nothing_in_nothing_out(shape: tuple[int, ...]) -> None:
    value, weight = torch.empty(shape), torch.empty(*shape[:3], 26)
    assert fsa_channels_last(value, weight, PAPER_WINDOW, 2).shape == shape
    x = value.clone().requires_grad_()
    out, _ = random_block(32, 4, 1, PAPER_WINDOW)(x, torch.ones(shape[0], 2, 16))
    out.backward(torch.empty(shape))
    assert x.grad is not None
    assert out.shape == x.grad.shape == shape
