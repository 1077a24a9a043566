"""The operators: native kernels against plain PyTorch, gradients, PyTorch's own checks of an operator, the choice of backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call

import lamnet
from lamnet.base.errors import BackendError, BadArgumentError
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import PAPER_WINDOW, Window
from lamnet.network.model import Block
from lamnet.ops.backend import BACKENDS, backend_for, use_backend, why_not
from lamnet.ops.block import fits
from lamnet.ops.block_weights import BlockWeights
from lamnet.ops.fsa import fsa_channels_last

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
sizes = st.integers(1, 40)


def _error(got: Tensor, expected: Tensor, scale: float = 1e-20) -> float:
    got, expected = got.detach(), expected.detach()
    assert got.shape == expected.shape
    if not expected.numel():
        return 0.0
    return float((got.double() - expected).abs().max() / max(scale, float(expected.abs().max())))


def _against_reference(
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
    assert _error(out, expected) <= times * FORWARD[dtype]
    with torch.no_grad():
        assert _error(function(*rounded), expected) <= times * FORWARD[dtype]  # what lies between may stay in the cache
    # The gradient of a parameter sums over the pixels terms of either sign, which may nearly cancel.
    terms = inputs[0].numel() // inputs[0].shape[-1]
    for x, got, want in zip(inputs, grads, expected_grads, strict=True):
        assert _error(got, want, 1e-20 if x.shape[:3] == inputs[0].shape[:3] else terms**0.5) <= times * BACKWARD[dtype]


def _seeded(*shape: int) -> Tensor:
    return torch.randn(*shape)


def _strided(*shape: int) -> Tensor:
    """The second half of twice as many channels: pixels that do not follow each other."""
    return torch.randn(*shape[:-1], 2 * shape[-1])[..., shape[-1] :]


def test_fsa_agrees_with_published_values(shared: Path) -> None:
    cases = np.load(shared / "reference" / "fsa_cases.npz")
    keys = ("value", "weight", "grad_out", "out", "grad_value", "grad_weight")
    names = [key.removesuffix("/kernel_map") for key in cases.files if key.endswith("/kernel_map")]
    assert names
    for name in names:
        window = Window.from_kernel_map(cases[f"{name}/kernel_map"].tolist())
        for direction, axis in (("horizontal", -1), ("vertical", -2)):
            case = {key: torch.tensor(cases[f"{name}/{direction}/{key}"]) for key in keys}
            value, weight = (case[key].float().requires_grad_() for key in ("value", "weight"))
            out = lamnet.fsa(value, weight, window, axis)
            grads = torch.autograd.grad(out, (value, weight), case["grad_out"].float())
            for got, key in zip((out, *grads), ("out", "grad_value", "grad_weight"), strict=True):
                assert _error(got, case[key].double()) < 1e-5, f"{name} {direction} {key}"


@needs_native
@pytest.mark.parametrize("dtype", FORWARD)
@settings(max_examples=40, deadline=None)
@given(
    window=st.sampled_from(WINDOWS),
    dim=st.sampled_from([1, 2]),
    size=st.tuples(st.integers(1, 3), sizes, st.integers(1, 150)),
    per_head=st.sampled_from([1, 3, 4, 8, 12, 16]),
    heads=st.integers(1, 4),
    logits=st.booleans(),
    make=st.sampled_from([_seeded, _strided]),
    seed=st.integers(0, 2**31),
)
def test_native_fsa(
    dtype: torch.dtype,
    window: Window,
    dim: int,
    size: tuple[int, int, int],
    per_head: int,
    heads: int,
    logits: bool,
    make: Callable[..., Tensor],
    seed: int,
) -> None:
    torch.manual_seed(seed)
    value, weight = make(*size, heads * per_head), make(*size, heads * window.taps)
    if logits:
        weight = weight / 4  # where tanh is flat, its slope is the difference of two numbers that rounding made alike
    _against_reference(lambda v, w: fsa_channels_last(v, w, window, dim, logits), [value, weight], dtype)


def _block(channels: int, heads: int, expansion: float, window: Window) -> Block:
    """Make a block with random weights, and gains and factors around one; inputs of relu are seldom at its corner."""
    torch.manual_seed(channels)
    block = Block(LAMNetConfig(2, channels=channels, heads=heads, expansion=expansion, window=window))
    with torch.no_grad():
        for parameter in block.parameters():
            inputs = parameter[0].numel() if parameter.dim() > 1 else 16
            parameter.copy_(torch.randn(parameter.shape) / inputs**0.5 + (parameter == 1))
        block.mixer.channel_in.bias.add_(3)
    return block


def _of(block: Block) -> Callable[..., tuple[Tensor, Tensor]]:
    """The block as a function of its parameters, in their own order, of x and of means."""
    names = [name for name, _ in block.named_parameters()]
    return lambda x, means, *weights: functional_call(block, dict(zip(names, weights, strict=True)), (x, means))


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
    block = _block(channels, heads, expansion, WINDOWS[window])
    function, weights = _of(block), list(block.parameters())
    x, means = _strided(*size, channels), torch.randn(size[0], 2, channels // 2)
    assert fits(x)
    if replayed:
        _against_reference(lambda x, m, *w: function(x, m, *w)[0], [x, means, *weights], dtype, CHAIN[dtype])
    else:
        _against_reference(lambda x, *w: function(x, None, *w)[0], [x, *weights], dtype, CHAIN[dtype])


@needs_native
def test_a_block_too_narrow_for_the_kernels() -> None:
    block, x = _block(24, 4, 1, PAPER_WINDOW), _seeded(2, 7, 5, 24)
    assert not fits(x)
    _against_reference(lambda x, *w: _of(block)(x, None, *w)[0], [x, *block.parameters()], torch.float32)


@needs_native
def test_gradients_through_the_means_that_a_block_gives() -> None:
    block = _block(32, 4, 1, PAPER_WINDOW)

    def both(x: Tensor, *weights: Tensor) -> Tensor:
        out, means = _of(block)(x, None, *weights)
        return out + means.flatten(1)[..., :32].to(out.dtype)[:, None, None]

    _against_reference(both, [_seeded(2, 7, 5, 32), *block.parameters()], torch.float32)
    x = _seeded(2, 7, 5, 32).requires_grad_()
    with use_backend("reference"):
        (expected,) = torch.autograd.grad(block(x, None)[1].sum(), x)
    (got,) = torch.autograd.grad(block(x, None)[1].sum(), x)
    assert _error(got, expected.double()) <= BACKWARD[torch.float32]


@needs_native
@pytest.mark.parametrize("dtype", FORWARD)
def test_native_branches(dtype: torch.dtype) -> None:
    block, x = _block(64, 4, 1, PAPER_WINDOW).to(dtype), _strided(2, 37, 29, 64).to(dtype)
    with torch.no_grad():
        own = block.branches(x)
        with use_backend("reference"):
            for got, expected in zip(own, block.double().branches(x.double()), strict=True):
                assert _error(got, expected) <= CHAIN[dtype] * FORWARD[dtype]


def test_weights_are_handed_over_by_name() -> None:
    block = _block(32, 4, 1, PAPER_WINDOW)
    names = {id(parameter): name for name, parameter in block.named_parameters()}
    handed = [names[id(weight)] for weight in block.weights()]
    assert len(set(handed)) == len(names) == len(BlockWeights._fields)
    for name, expected in zip(handed, BlockWeights._fields, strict=True):
        short = name.replace(".project.", ".").replace("project_", "").replace(".", "_")
        assert short in (expected, f"mixer_{expected}")


@needs_native
def test_results_do_not_depend_on_threads() -> None:
    block, x = _block(64, 4, 1, PAPER_WINDOW), _seeded(2, 40, 50, 64)
    results: list[list[Tensor]] = []
    threads = torch.get_num_threads()
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        leaves = [tensor.detach().clone().requires_grad_() for tensor in (x, *block.parameters())]
        out, means = _of(block)(leaves[0], None, *leaves[1:])
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
    block = _block(32, 4, 1, PAPER_WINDOW)
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
        channel, spatial = _block(32, 4, 1, PAPER_WINDOW).branches(x)
    assert not spatial[0, 4, 4].isfinite().all()
    assert not channel[0, 4, 4].isfinite().all()
    assert channel[0, 3, 3].isfinite().all()
    assert torch.isnan(torch.full((3,), float("nan")).to(torch.bfloat16)).all()


@pytest.mark.parametrize("shape", [(0, 4, 4, 32), (1, 0, 4, 32), (1, 4, 0, 32)])
def test_nothing_in_nothing_out(shape: tuple[int, ...]) -> None:
    value, weight = torch.empty(shape), torch.empty(*shape[:3], 26)
    assert fsa_channels_last(value, weight, PAPER_WINDOW, 2).shape == shape
    x = value.clone().requires_grad_()
    out, _ = _block(32, 4, 1, PAPER_WINDOW)(x, torch.ones(shape[0], 2, 16))
    out.backward(torch.empty(shape))
    assert x.grad is not None
    assert out.shape == x.grad.shape == shape


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("logits", [False, True])
def test_gradients_in_float64(dim: int, logits: bool) -> None:
    torch.manual_seed(0)
    value, weight = (torch.randn(1, 6, 5, n, dtype=torch.float64, requires_grad=True) for n in (4, 8))
    window = Window((-3, -1, 0, 1), (2, 1, 1, 3))
    assert torch.autograd.gradcheck(lambda v, w: fsa_channels_last(v, w, window, dim, logits), (value, weight))


def _samples() -> list[tuple[str, tuple[object, ...]]]:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 5, 8, requires_grad=True)
    gates = torch.randn(2, 6, 5, 26, requires_grad=True)
    taps = [list(PAPER_WINDOW.starts), list(PAPER_WINDOW.lengths)]
    samples = [("fsa", (x, gates, *taps, 1, True)), ("fsa", (x, gates, *taps, 2, False))]
    for keep in (False, True):
        weights = [weight.detach().requires_grad_(keep) for weight in _block(32, 2, 1, PAPER_WINDOW).weights()]
        x = torch.randn(2, 6, 5, 32, requires_grad=keep)
        samples += [("block", (x, means, *taps, keep, weights)) for means in (None, torch.randn(2, 2, 16))]
    return samples


@needs_native
@pytest.mark.parametrize(("name", "arguments"), _samples())
@pytest.mark.thorough
def test_opcheck(name: str, arguments: tuple[object, ...]) -> None:
    torch.library.opcheck(getattr(torch.ops.lamnet, name).default, arguments)


@needs_native
@pytest.mark.parametrize(("name", "arguments"), _samples())
def test_operators_refuse_what_a_kernel_would_misread(name: str, arguments: tuple[Any, ...]) -> None:
    def refused(*unfit: object) -> None:
        with pytest.raises(BadArgumentError, match=r"^\w+: expected .* got "):
            getattr(torch.ops.lamnet, name)(*unfit)

    for i, argument in enumerate(arguments):
        if isinstance(argument, Tensor):
            others = [argument.detach()[..., :-1]]
            if i:  # any number of pixels fits the first
                others.append(argument.detach()[:-1])
            for other in others:
                refused(*arguments[:i], other, *arguments[i + 1 :])
    if name == "fsa":
        return
    *before, weights = arguments
    refused(*before, weights[1:])
    for i, weight in enumerate(weights):
        for other in (weight.detach()[..., :-1], weight.detach()[:-1], weight.detach().double()):
            refused(*before, [*weights[:i], other, *weights[i + 1 :]])


@needs_native
def test_backward_refuses_what_a_kernel_would_misread() -> None:
    window = list(PAPER_WINDOW.starts), list(PAPER_WINDOW.lengths)
    weights = [weight.detach() for weight in _block(32, 2, 1, PAPER_WINDOW).weights()]
    x = torch.randn(2, 6, 5, 32)
    out, means, kept = torch.ops.lamnet.block(x, None, *window, True, weights)
    fitting = [out, means, x, means, True, *window, kept, weights]
    assert torch.ops.lamnet.block_backward(*fitting)[0].shape == x.shape
    for i, argument in enumerate(fitting):
        if isinstance(argument, Tensor):
            with pytest.raises(BadArgumentError, match=r"^\w+: expected .* got "):
                torch.ops.lamnet.block_backward(*fitting[:i], argument[:, :-1], *fitting[i + 1 :])
    for i, image in enumerate(kept):
        with pytest.raises(BadArgumentError, match=r"^\w+: expected .* got "):
            torch.ops.lamnet.block_backward(*fitting[:-2], [*kept[:i], image[:, :-1], *kept[i + 1 :]], weights)


def test_odd_halves_and_heads_that_do_not_divide_are_refused() -> None:
    weights = [weight.detach() for weight in _block(32, 2, 1, PAPER_WINDOW).weights()]
    for name, outputs, expected in (
        ("ffn_in_weight", 63, r"an even number of outputs, got 63"),
        ("horizontal_weight", 39, r"heads\*13 outputs with heads dividing 16, got 39"),
        ("horizontal_weight", 25, r"heads\*13 outputs .* got 25"),
    ):
        i = BlockWeights._fields.index(name)
        other = [*weights[:i], torch.zeros(outputs, weights[i].shape[1]), *weights[i + 1 :]]
        with pytest.raises(BadArgumentError, match=rf"^{name}: expected {expected}"):
            torch.ops.lamnet.block(
                torch.ones(1, 4, 4, 32), None, PAPER_WINDOW.starts, PAPER_WINDOW.lengths, False, other
            )


def test_choice_of_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BACKENDS[-1] == "reference"
    assert why_not("reference", "cpu", torch.float64) is None
    assert "float64" in str(why_not("native", "cpu", torch.float64))
    assert "cuda" in str(why_not("native", "cuda", torch.float32))
    assert backend_for("cpu", torch.float64) == "reference"
    with use_backend("reference"):
        assert backend_for("cpu", torch.float32) == "reference"
    with use_backend("native"), pytest.raises(BackendError, match=r"native.*float64"):
        backend_for("cpu", torch.float64)
    monkeypatch.setenv("LAMNET_BACKEND", "reference")
    assert backend_for("cpu", torch.float32) == "reference"
    monkeypatch.setenv("LAMNET_BACKEND", "cude")
    with pytest.raises(BackendError, match=r"native.*triton.*reference.*'cude'"):
        backend_for("cpu", torch.float32)


@pytest.mark.parametrize(
    ("value", "weight", "message"),
    [
        (torch.ones(1, 8, 4, 4), torch.ones(1, 27, 4, 4), r"weight: expected heads\*13 channels .* got 27"),
        (torch.ones(1, 7, 4, 4), torch.ones(1, 26, 4, 4), "heads dividing 7"),
        (torch.ones(1, 8, 4, 4), torch.ones(1, 26, 4, 5), r"weight: .*\(1, 4, 4\), got \(1, 4, 5\)"),
        (torch.ones(8, 4, 4), torch.ones(1, 26, 4, 4), "value: expected 4 dimensions"),
        (torch.ones(1, 8, 4, 4).int(), torch.ones(1, 26, 4, 4), "value: expected a floating-point dtype"),
        (torch.ones(1, 8, 4, 4), torch.ones(1, 26, 4, 4).half(), "weight: expected the value's dtype"),
        (torch.ones(1, 8, 4, 4), torch.ones(1, 26, 4, 4, device="meta"), "weight: expected the value's device"),
    ],
)
def test_arguments_that_do_not_fit(value: Tensor, weight: Tensor, message: str) -> None:
    with pytest.raises(BadArgumentError, match=message):
        lamnet.fsa(value, weight, PAPER_WINDOW, -1)


def test_axis_is_width_or_height() -> None:
    with pytest.raises(BadArgumentError, match=r"axis: expected -1 .* got 1"):
        lamnet.fsa(torch.ones(1, 8, 4, 4), torch.ones(1, 26, 4, 4), PAPER_WINDOW, 1)
