"""What enters the mixer's two branches, and the channel branch itself: one operator, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lamnet.errors import BadArgumentError
from lamnet.ops import native
from lamnet.ops.backend import autocast, is_native
from lamnet.ops.native import check, check_halves, check_image, empty_like
from lamnet.ops.plain import normalise


def branches(
    x: Tensor, enter: tuple[Tensor, Tensor], squeeze: tuple[Tensor, Tensor], widen: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """linear(relu(linear(u1))) and u2, where u1, u2 are the halves of linear(normalise(x)).

    x (B, H, W, C); weight and bias of each of the three 1x1 convolutions; results (B, H, W, D) each.
    """
    if is_native(x):
        return torch.ops.lamnet.branches(*autocast(x, *enter, *squeeze, *widen))
    u1, u2 = F.linear(normalise(x), *enter).chunk(2, dim=-1)
    return F.linear(F.relu(F.linear(u1, *squeeze)), *widen), u2


@torch.library.custom_op("lamnet::branches", mutates_args=())
def _branches(
    x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, w3: Tensor, b3: Tensor
) -> tuple[Tensor, Tensor]:
    numbers = _geometry(x, w1, b1, w2, b2, w3, b3)
    c, u2 = _halves(x, w1)
    native.call("branches", [*(tensor.contiguous() for tensor in (x, w1, b1, w2, b2, w3, b3)), c, u2], numbers)
    return c, u2


@torch.library.custom_op("lamnet::branches_backward", mutates_args=())
def _branches_backward(
    grad_c: Tensor,
    grad_u2: Tensor,
    x: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    w3: Tensor,
    b3: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    inputs = x, w1, b1, w2, b2, w3, b3
    numbers, grads = _geometry(*inputs), _like(*inputs)
    for name, grad in (("grad_c", grad_c), ("grad_u2", grad_u2)):
        check(name, grad, (*x.shape[:3], w3.shape[0]), x.dtype)
    native.keep_memory()
    native.call("branches_backward", [*(tensor.contiguous() for tensor in (grad_c, grad_u2, *inputs)), *grads], numbers)
    return grads


def _halves(x: Tensor, w1: Tensor) -> tuple[Tensor, Tensor]:
    """Room for the two results."""
    shape = *x.shape[:3], w1.shape[0] // 2
    return x.new_empty(shape), x.new_empty(shape)


def _like(
    x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, w3: Tensor, b3: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Room for the gradients."""
    return (
        empty_like(x),
        *(empty_like(w1), empty_like(b1)),
        *(empty_like(w2), empty_like(b2)),
        *(empty_like(w3), empty_like(b3)),
    )


def _geometry(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, w3: Tensor, b3: Tensor) -> list[int]:
    """`geometry` of csrc/branches.c, everything checked."""
    check_image("x", x)
    check_halves("w1", w1)
    if w2.dim() != 2:
        raise BadArgumentError(f"w2: expected (narrow, D), got {tuple(w2.shape)}")
    channels, half, narrow = x.shape[3], w1.shape[0] // 2, w2.shape[0]
    check("w1", w1, (2 * half, channels), x.dtype)
    check("b1", b1, (2 * half,), x.dtype)
    check("w2", w2, (narrow, half), x.dtype)
    check("b2", b2, (narrow,), x.dtype)
    check("w3", w3, (half, narrow), x.dtype)
    check("b3", b3, (half,), x.dtype)
    return [x.shape[0] * x.shape[1] * x.shape[2], channels, half, narrow]


@_branches.register_fake
def _(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, w3: Tensor, b3: Tensor) -> tuple[Tensor, Tensor]:
    return _halves(x, w1)


@_branches_backward.register_fake
def _(
    grad_c: Tensor,
    grad_u2: Tensor,
    x: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    w3: Tensor,
    b3: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    return _like(x, w1, b1, w2, b2, w3, b3)


def _context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs)


def _autograd(ctx: Any, grad_c: Tensor, grad_u2: Tensor) -> tuple[Tensor, ...]:
    return torch.ops.lamnet.branches_backward(grad_c, grad_u2, *ctx.saved_tensors)


_branches.register_autograd(_autograd, setup_context=_context)
