"""Operators by PyTorch's own checks, the choice of the backend, and arguments that a kernel would misread."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lamnet.base.errors import BackendError, BadArgumentError
from lamnet.core.window import PAPER_WINDOW
from lamnet.ops import native
from lamnet.ops.backend import BACKENDS, backend_for, use_backend, why_not
from lamnet.ops.block_weights import BlockWeights
from support.kernels import (
    needs_native,
    random_block,
)


def _samples() -> list[tuple[str, tuple[object, ...]]]:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 5, 8, requires_grad=True)
    gates = torch.randn(2, 6, 5, 26, requires_grad=True)
    taps = [list(PAPER_WINDOW.starts), list(PAPER_WINDOW.lengths)]
    samples = [("fsa", (x, gates, *taps, 1, True)), ("fsa", (x, gates, *taps, 2, False))]
    for keep in (False, True):
        weights = [weight.detach().requires_grad_(keep) for weight in random_block(32, 2, 1, PAPER_WINDOW).weights()]
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
    weights = [weight.detach() for weight in random_block(32, 2, 1, PAPER_WINDOW).weights()]
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
    weights = [weight.detach() for weight in random_block(32, 2, 1, PAPER_WINDOW).weights()]
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
    with monkeypatch.context() as patch:
        patch.setenv("LAMNET_KERNELS", "nonexist.so")
        patch.setattr(native, "why_not", lambda: "its kernels do not load")
        with pytest.raises(BackendError, match=r"^LAMNET_KERNELS: its kernels do not load$"):
            backend_for("cpu", torch.float32)
        assert backend_for("meta", torch.float32) == "reference"
        with use_backend("reference"):
            assert backend_for("cpu", torch.float32) == "reference"
    monkeypatch.setenv("LAMNET_BACKEND", "reference")
    assert backend_for("cpu", torch.float32) == "reference"
    monkeypatch.setenv("LAMNET_BACKEND", "cude")
    with pytest.raises(BackendError, match=r"native.*triton.*reference.*'cude'"):
        backend_for("cpu", torch.float32)
