"""The dual-gated feed-forward on channels-last images: one operator, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lamnet.errors import BadArgumentError
from lamnet.ops import native
from lamnet.ops.backend import autocast, differentiates, is_native
from lamnet.ops.linear import (
    GATE,
    NORMALISE,
    check_linear,
    depthwise,
    linear,
    run_depthwise,
    run_depthwise_backward,
    run_linear,
    run_linear_backward,
)
from lamnet.ops.native import check, check_image, empty_like


def feed_forward(
    x: Tensor, first: tuple[Tensor, Tensor], between: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
) -> Tensor:
    """x + linear(gate(depthwise(linear(normalise(x))))); weight and bias of each of the three convolutions."""
    tensors = x, *first, *between, *second
    if is_native(x):
        return torch.ops.lamnet.feed_forward(*autocast(*tensors), differentiates(*tensors))[0]
    return linear(depthwise(linear(x, *first, "normalise"), *between), *second, "gate", residual=x)


@torch.library.custom_op("lamnet::feed_forward", mutates_args=())
def _feed_forward(
    x: Tensor, w1: Tensor, b1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor, b3: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The result; with `keep` what lies before and behind the depthwise convolution, else two times nothing.

    Where nothing is kept, it is one pass and what lies between never reaches memory.
    """
    _check(x, w1, b1, taps, b2, w3, b3)
    if keep:
        wide = run_linear(x, w1, b1, NORMALISE)
        mixed = run_depthwise(wide, taps, b2)
        return run_linear(mixed, w3, b3, GATE, x), wide, mixed
    tensors = [tensor.contiguous() for tensor in (x, w1, b1, taps, b2, w3, b3)]
    out = empty_like(x)
    native.call("feed_forward", [*tensors, out], [*x.shape, w1.shape[0]])
    return out, x.new_empty(0), x.new_empty(0)


def _check(x: Tensor, w1: Tensor, b1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor, b3: Tensor) -> None:
    check_linear(x, w1, NORMALISE)
    check_image("x", x)
    channels, hidden = x.shape[3], w1.shape[0]
    if hidden % 2:
        raise BadArgumentError(f"w1: expected an even number of outputs, got {hidden}")
    check("b1", b1, (hidden,), x.dtype)
    check("taps", taps, (hidden, 1, 3, 3), x.dtype)
    check("b2", b2, (hidden,), x.dtype)
    check("w3", w3, (channels, hidden), x.dtype)
    check("b3", b3, (channels,), x.dtype)


@torch.library.custom_op("lamnet::feed_forward_backward", mutates_args=())
def _feed_forward_backward(
    grad: Tensor, x: Tensor, w1: Tensor, taps: Tensor, w3: Tensor, wide: Tensor, mixed: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    grad_mixed, grad_w3, grad_b3 = run_linear_backward(grad, mixed, w3, GATE)
    grad_wide, grad_taps, grad_b2 = run_depthwise_backward(grad_mixed, wide, taps)
    grad_x, grad_w1, grad_b1 = run_linear_backward(grad_wide, x, w1, NORMALISE, start=grad)
    return grad_x, grad_w1, grad_b1, grad_taps, grad_b2, grad_w3, grad_b3


@_feed_forward.register_fake
def _(
    x: Tensor, w1: Tensor, b1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor, b3: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    between = (*x.shape[:3], w1.shape[0]) if keep else (0,)
    return empty_like(x), x.new_empty(between), x.new_empty(between)


@_feed_forward_backward.register_fake
def _(
    grad: Tensor, x: Tensor, w1: Tensor, taps: Tensor, w3: Tensor, wide: Tensor, mixed: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    like = empty_like(x), empty_like(w1), w1.new_empty(w1.shape[0]), empty_like(taps), taps.new_empty(taps.shape[0])
    return *like, empty_like(w3), w3.new_empty(w3.shape[0])


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, w1, _, taps, _, w3, _, _ = inputs
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, w1, taps, w3, *output[1:])


def _autograd(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
    return *torch.ops.lamnet.feed_forward_backward(grad.contiguous(), *ctx.saved_tensors), None


_feed_forward.register_autograd(_autograd, setup_context=_context)
