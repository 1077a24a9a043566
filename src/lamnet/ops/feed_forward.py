"""The dual-gated feed-forward on channels-last images: one operator, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lamnet.ops import native
from lamnet.ops.backend import autocast, differentiates, is_native
from lamnet.ops.native import check, check_halves, check_image, empty_like
from lamnet.ops.plain import depthwise, normalise


def feed_forward(
    x: Tensor, first: tuple[Tensor, Tensor], between: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
) -> Tensor:
    """x + linear(gate(depthwise(linear(normalise(x))))); weight and bias of each of the three convolutions.

    `gate` turns the halves z1, z2 of the channels into [gelu(z1)*z1, gelu(z1)*z2].
    """
    tensors = x, *first, *between, *second
    if is_native(x):
        return torch.ops.lamnet.feed_forward(*autocast(*tensors), differentiates(*tensors))[0]
    z1, z2 = depthwise(F.linear(normalise(x), *first), *between).chunk(2, dim=-1)
    gelu = F.gelu(z1)
    return x + F.linear(torch.cat([gelu * z1, gelu * z2], -1), *second)


@torch.library.custom_op("lamnet::feed_forward", mutates_args=())
def _feed_forward(
    x: Tensor, w1: Tensor, b1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor, b3: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    """The result; with `keep` what lies before the depthwise convolution, else nothing."""
    _check(x, w1, taps, b2, w3)
    check("b1", b1, w1.shape[:1], x.dtype)
    check("b3", b3, w3.shape[:1], x.dtype)
    tensors = [tensor.contiguous() for tensor in (x, w1, b1, taps, b2, w3, b3)]
    out, hidden = empty_like(x), x.new_empty((*x.shape[:3], w1.shape[0]) if keep else (0,))
    native.call("feed_forward", [*tensors, out, hidden if keep else None], [*x.shape, w1.shape[0]])
    return out, hidden


@torch.library.custom_op("lamnet::feed_forward_backward", mutates_args=())
def _feed_forward_backward(
    grad: Tensor, x: Tensor, hidden: Tensor, w1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    _check(x, w1, taps, b2, w3)
    check("grad", grad, x.shape, x.dtype)
    check("hidden", hidden, (*x.shape[:3], w1.shape[0]), x.dtype)
    native.keep_memory()
    tensors = [tensor.contiguous() for tensor in (grad, x, hidden, w1, taps, b2, w3)]
    grads = _gradients(x, w1, taps, b2, w3)
    native.call("feed_forward_backward", [*tensors, *grads], [*x.shape, w1.shape[0]])
    return grads


def _gradients(
    x: Tensor, w1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Room for the gradients of x and of the three weights and biases."""
    like = empty_like(x), empty_like(w1), empty_like(b2), empty_like(taps), empty_like(b2)
    return *like, empty_like(w3), w3.new_empty(w3.shape[0])


def _check(x: Tensor, w1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor) -> None:
    check_image("x", x)
    check_halves("w1", w1)
    channels, hidden = x.shape[3], w1.shape[0]
    check("w1", w1, (hidden, channels), x.dtype)
    check("taps", taps, (hidden, 1, 3, 3), x.dtype)
    check("b2", b2, (hidden,), x.dtype)
    check("w3", w3, (channels, hidden), x.dtype)


@_feed_forward.register_fake
def _(
    x: Tensor, w1: Tensor, b1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor, b3: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    return empty_like(x), x.new_empty((*x.shape[:3], w1.shape[0]) if keep else (0,))


@_feed_forward_backward.register_fake
def _(
    grad: Tensor, x: Tensor, hidden: Tensor, w1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    return _gradients(x, w1, taps, b2, w3)


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, w1, _, taps, b2, w3, _, _ = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, output[1], w1, taps, b2, w3)


def _autograd(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor | None, ...]:
    return *torch.ops.lamnet.feed_forward_backward(grad, *ctx.saved_tensors), None


_feed_forward.register_autograd(_autograd, setup_context=_context)
