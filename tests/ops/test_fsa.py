"""Focal separable attention: published values, the kernels against plain PyTorch, arguments that do not fit."""

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
from lamnet.base.errors import BadArgumentError
from lamnet.core.window import PAPER_WINDOW, Window
from lamnet.ops.fsa import fsa_channels_last
from support.kernels import (
    FORWARD,
    WINDOWS,
    against_reference,
    error,
    needs_native,
    seeded,
    strided,
)

sizes = st.integers(1, 40)


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
                assert error(got, case[key].double()) < 1e-5, f"{name} {direction} {key}"


@pytest.mark.thorough
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
    make=st.sampled_from([seeded, strided]),
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
    against_reference(lambda v, w: fsa_channels_last(v, w, window, dim, logits), [value, weight], dtype)


@pytest.mark.thorough
@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("logits", [False, True])
def test_gradients_in_float64(dim: int, logits: bool) -> None:
    torch.manual_seed(0)
    value, weight = (torch.randn(1, 6, 5, n, dtype=torch.float64, requires_grad=True) for n in (4, 8))
    window = Window((-3, -1, 0, 1), (2, 1, 1, 3))
    assert torch.autograd.gradcheck(lambda v, w: fsa_channels_last(v, w, window, dim, logits), (value, weight))


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
