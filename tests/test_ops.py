"""The operators: native kernels against plain PyTorch, gradients, PyTorch's own checks of an operator, the choice of backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import lamnet
from lamnet.errors import BackendError, BadArgumentError
from lamnet.ops.backend import BACKENDS, backend_for, use_backend, why_not
from lamnet.ops.branches import branches
from lamnet.ops.exchange import exchange, exchange_means
from lamnet.ops.feed_forward import feed_forward
from lamnet.ops.focal import focal_attention
from lamnet.ops.fsa import fsa_channels_last
from lamnet.ops.window import PAPER_WINDOW, Window

NO_NATIVE = why_not("native", "cpu", torch.float32)
needs_native = pytest.mark.skipif(NO_NATIVE is not None, reason=f"native: {NO_NATIVE}")

# The largest error allowed, as a part of the largest value: sums are float32, results rounded to the storage type.
FORWARD = {torch.float32: 2e-6, torch.bfloat16: 1e-2, torch.float16: 1e-3}
BACKWARD = {torch.float32: 5e-6, torch.bfloat16: 1.6e-2, torch.float16: 3e-3}

WINDOWS = [PAPER_WINDOW, Window((-3, 2, 0, 5), (1, 3, 5, 2)), Window((0,), (1,))]
sizes = st.integers(1, 40)


def _error(got: Tensor, expected: Tensor, scale: float = 1e-20) -> float:
    assert got.shape == expected.shape
    if not expected.numel():
        return 0.0
    return float((got.detach().double() - expected.detach()).abs().max() / max(scale, float(expected.abs().max())))


def _against_reference(
    function: Callable[..., Tensor], inputs: list[Tensor], dtype: torch.dtype, size: float = 1e-20
) -> None:
    """Output and every gradient of the native kernels in `dtype` against plain PyTorch in float64.

    `size` is how large an output is at least taken to be.
    """
    rounded = [x.to(dtype) if x.dtype != torch.float32 or dtype != torch.float32 else x for x in inputs]
    leaves = [x.detach().requires_grad_() for x in rounded]
    out = function(*leaves)
    seed = torch.randn(out.shape).to(out.dtype)
    grads = torch.autograd.grad(out, leaves, seed)
    with use_backend("reference"):
        exact = [x.detach().double().requires_grad_() for x in rounded]
        expected = function(*exact)
        expected_grads = torch.autograd.grad(expected, exact, seed.double())
    assert _error(out, expected, size) <= FORWARD[dtype]
    with torch.no_grad():
        assert _error(function(*rounded), expected, size) <= FORWARD[dtype]  # what lies between may stay in the cache
    # The gradient of a parameter sums over the pixels terms of either sign, which may nearly cancel.
    terms = inputs[0].numel() // inputs[0].shape[-1]
    for x, got, want in zip(inputs, grads, expected_grads, strict=True):
        assert _error(got, want, 1e-20 if x.shape[:3] == inputs[0].shape[:3] else terms**0.5) <= BACKWARD[dtype]


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


@needs_native
@pytest.mark.parametrize("dtype", FORWARD)
@settings(max_examples=30, deadline=None)
@given(
    size=st.tuples(st.integers(1, 2), sizes, sizes),
    channels=st.sampled_from([10, 16, 32, 64, 130]),
    half=st.sampled_from([1, 8, 16, 25, 32]),
    narrow=st.sampled_from([1, 4, 16, 20]),
    make=st.sampled_from([_seeded, _strided]),
    seed=st.integers(0, 2**31),
)
def test_native_branches(
    dtype: torch.dtype,
    size: tuple[int, int, int],
    channels: int,
    half: int,
    narrow: int,
    make: Callable[..., Tensor],
    seed: int,
) -> None:
    torch.manual_seed(seed)
    enter = _seeded(2 * half, channels) / channels**0.5, _seeded(2 * half)
    squeeze, widen = (
        (_seeded(outputs, inputs) / inputs**0.5, _seeded(outputs) + 2)  # a relu at its corner is decided by rounding
        for outputs, inputs in ((narrow, half), (half, narrow))
    )
    _against_reference(
        lambda x, *w: torch.cat(branches(x, w[:2], w[2:4], w[4:]), -1),
        [make(*size, channels), *enter, *squeeze, *widen],
        dtype,
    )


@needs_native
@pytest.mark.parametrize("dtype", FORWARD)
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 7, 5), (2, 60, 33)])
@pytest.mark.parametrize("channels", [4, 16, 21])
def test_native_exchange(dtype: torch.dtype, size: tuple[int, int, int], channels: int) -> None:
    torch.manual_seed(channels)
    c, s, means = _strided(*size, channels) + 1, _seeded(*size, channels) + 1, _seeded(size[0], 2, channels)
    own = exchange_means(c.to(dtype), s.to(dtype))
    with use_backend("reference"):
        assert _error(own, exchange_means(c.to(dtype), s.to(dtype)).double()) <= FORWARD[torch.float32]
    images = [c, s, _seeded(13, 2 * channels), _seeded(13), _seeded(*size, 13)]
    _against_reference(lambda c, s, w, b, r: exchange(c, s, (w, b), r)[0], images, dtype)
    _against_reference(lambda c, s, w, b, r, m: exchange(c, s, (w, b), r, m)[0], [*images, means], dtype)


@needs_native
def test_gradients_through_the_means_that_an_exchange_gives() -> None:
    torch.manual_seed(0)
    images = [_seeded(2, 7, 5, 4), _seeded(2, 7, 5, 4), _seeded(8, 8), _seeded(8), _seeded(2, 7, 5, 8)]

    def both(*tensors: Tensor) -> Tensor:
        c, s, weight, bias, residual = tensors
        out, means = exchange(c, s, (weight, bias), residual)
        return out + means.flatten(1).to(out.dtype)[:, None, None]

    _against_reference(both, images, torch.float32)


@needs_native
@pytest.mark.parametrize("dtype", FORWARD)
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 37, 29), (1, 150, 6), (1, 5, 140)])
@pytest.mark.parametrize(
    ("channels", "heads", "window"), [(16, 4, 0), (32, 4, 0), (32, 2, 0), (48, 3, 1), (16, 1, 1), (8, 2, 0)]
)
@pytest.mark.parametrize("dim", [1, 2])
def test_native_focal_attention(
    dtype: torch.dtype, size: tuple[int, int, int], channels: int, heads: int, window: int, dim: int
) -> None:
    torch.manual_seed(channels)
    span, outputs = WINDOWS[window].span, heads * WINDOWS[window].taps
    along = _seeded(channels, 1, *((span, 1) if dim == 1 else (1, span))) / span**0.5, _seeded(channels) / 8
    project = _seeded(outputs, channels) / (8 * channels**0.5), _seeded(outputs) / 8
    _against_reference(
        lambda v, w1, b1, w2, b2: focal_attention(v, (w1, b1), (w2, b2), WINDOWS[window], dim),
        [_strided(*size, channels), *along, *project],
        dtype,
    )


@needs_native
@pytest.mark.parametrize("dtype", FORWARD)
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 37, 29), (1, 70, 70), (1, 3, 129)])
@pytest.mark.parametrize(("channels", "hidden"), [(16, 32), (64, 128), (10, 14)])
def test_native_feed_forward(dtype: torch.dtype, size: tuple[int, int, int], channels: int, hidden: int) -> None:
    torch.manual_seed(channels)
    first = _seeded(hidden, channels) / channels**0.5, _seeded(hidden)
    between = _seeded(hidden, 1, 3, 3) / 3, _seeded(hidden)
    second = _seeded(channels, hidden) / hidden**0.5, _seeded(channels)
    _against_reference(
        lambda x, *w: feed_forward(x, w[:2], w[2:4], w[4:]),
        [_seeded(*size, channels), *first, *between, *second],
        dtype,
    )


@needs_native
def test_results_do_not_depend_on_threads() -> None:
    torch.manual_seed(0)
    tensors = (
        _seeded(2, 40, 50, 64),
        *(_seeded(*shape) for shape in ((64, 64), (64,), (16, 32), (16,), (32, 16), (32,))),
    )
    results: list[list[Tensor]] = []
    threads = torch.get_num_threads()
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        x, *w = leaves = [t.detach().clone().requires_grad_() for t in tensors]
        c, s = branches(x, (w[0], w[1]), (w[2], w[3]), (w[4], w[5]))
        out, means = exchange(c, s, (w[0], w[1]), x)
        results.append([out, means, *torch.autograd.grad(out.sum(), leaves)])
    torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@needs_native
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_means_of_a_large_image_do_not_overflow(dtype: torch.dtype) -> None:
    s = torch.full((1, 1080, 1920, 4), 200.0, dtype=dtype)
    means = exchange_means(torch.full_like(s, 3.0), s)
    assert means.dtype == torch.float32
    torch.testing.assert_close(means, torch.tensor([200.0, 600.0])[None, :, None].expand(1, 2, 4), rtol=1e-5, atol=0)


@needs_native
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_stays_none(value: float) -> None:
    x = torch.zeros(1, 8, 8, 16)
    x[0, 4, 4, 0] = value
    weights = [(torch.ones(n, m), torch.zeros(n)) for n, m in ((16, 16), (4, 8), (8, 4))]
    for out in branches(x, weights[0], weights[1], weights[2]):
        assert not out[0, 4, 4].isfinite().all()
        assert out[0, 3, 3].isfinite().all()
    assert torch.isnan(torch.full((3,), float("nan")).to(torch.bfloat16)).all()


@pytest.mark.parametrize("shape", [(0, 4, 4, 8), (1, 0, 4, 8), (1, 4, 0, 8)])
def test_nothing_in_nothing_out(shape: tuple[int, ...]) -> None:
    value, weight = torch.empty(shape), torch.empty(*shape[:3], 26)
    assert fsa_channels_last(value, weight, PAPER_WINDOW, 2).shape == shape
    eight, twelve = (torch.ones(8, 8), torch.ones(8)), (torch.ones(12, 8), torch.ones(12))
    four = torch.ones(4, 4), torch.ones(4)
    x = value.clone().requires_grad_()
    out, _ = exchange(*branches(x, eight, four, four), eight, x, torch.ones(shape[0], 2, 4))
    out = feed_forward(out, twelve, (torch.ones(12, 1, 3, 3), torch.ones(12)), (torch.ones(8, 12), torch.ones(8)))
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
    s = torch.randn(2, 6, 5, 8, requires_grad=True)
    gates = torch.randn(2, 6, 5, 26, requires_grad=True)
    taps = [list(PAPER_WINDOW.starts), list(PAPER_WINDOW.lengths)]
    return [
        ("fsa", (x, gates, *taps, 1, True)),
        ("fsa", (x, gates, *taps, 2, False)),
        ("exchange_means", (x.detach(), s.detach())),
        *_joined_samples(),
    ]


def _joined_samples() -> list[tuple[str, tuple[object, ...]]]:
    """Of the operators that are several in one, as they are with and without gradients."""
    samples: list[tuple[str, tuple[object, ...]]] = []
    for keep in (False, True):

        def normal(*shape: int, asks: bool = keep) -> Tensor:
            return torch.randn(*shape, requires_grad=asks)

        x, c, s, means = normal(2, 6, 5, 16), normal(2, 6, 5, 8), normal(2, 6, 5, 8), normal(2, 2, 8)
        shapes = (
            (8, (16,)),
            (8, (1, 3, 3)),
            (16, (8,)),
            (16, (1, 23, 1)),
            (26, (16,)),
            (16, (16,)),
            (4, (8,)),
            (8, (4,)),
        )
        first, between, second, along, project, enter, squeeze, widen = (
            (normal(n, *rest), normal(n)) for n, rest in shapes
        )
        taps = [list(PAPER_WINDOW.starts), list(PAPER_WINDOW.lengths)]
        samples += [
            ("feed_forward", (x, *first, *between, *second, keep)),
            ("branches", (x, *enter, *squeeze, *widen)),
            ("exchange", (c, s, *enter, x, means)),
            ("exchange", (c, s, *enter, x, None)),
            ("focal_attention", (x, *along, *project, *taps, 1, keep)),
        ]
    return samples


@needs_native
@pytest.mark.parametrize(("name", "arguments"), _samples())
def test_opcheck(name: str, arguments: tuple[object, ...]) -> None:
    torch.library.opcheck(getattr(torch.ops.lamnet, name).default, arguments)


@needs_native
@pytest.mark.parametrize(("name", "arguments"), _samples())
def test_operators_refuse_what_a_kernel_would_misread(name: str, arguments: tuple[object, ...]) -> None:
    operator = getattr(torch.ops.lamnet, name)
    for i, argument in enumerate(arguments):
        if not isinstance(argument, Tensor):
            continue
        argument = argument.detach()
        unfit = [argument[..., :-1]]
        if i or name in ("fsa", "exchange_means", "exchange"):  # else any number of pixels fits
            unfit.append(argument[:-1])
        if argument.shape != (2, 2, 8):  # the means, which may have any dtype
            unfit.append(argument.double())
        for other in unfit:
            with pytest.raises(BadArgumentError, match=r"^\w+: expected .* got "):
                operator(*arguments[:i], other, *arguments[i + 1 :])


def test_an_odd_number_of_gates_or_halves_is_refused() -> None:
    x, bias, square = torch.ones(1, 4, 4, 3), torch.ones(3), torch.ones(3, 3)
    with pytest.raises(BadArgumentError, match=r"w1: expected .*even number of outputs.*, got \(3, 3\)"):
        torch.ops.lamnet.feed_forward(x, square, bias, torch.ones(3, 1, 3, 3), bias, square, bias, False)
    with pytest.raises(BadArgumentError, match=r"w1: expected .*even number of outputs.*, got \(3, 3\)"):
        torch.ops.lamnet.branches(x, square, bias, square, bias, square, bias)


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
