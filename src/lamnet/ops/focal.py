"""Focal attention: FSA by weights made of the values themselves. One operator, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lamnet.errors import BadArgumentError
from lamnet.ops import native
from lamnet.ops.backend import autocast, differentiates, is_native
from lamnet.ops.fsa import check_fsa, fsa_channels_last, geometry
from lamnet.ops.native import check, dense_last, empty_like
from lamnet.ops.plain import depthwise
from lamnet.ops.window import Window

LANES = 16  # csrc/gemm.h's: the kernel takes multiples of it


def focal_attention(
    value: Tensor, along: tuple[Tensor, Tensor], project: tuple[Tensor, Tensor], window: Window, dim: int
) -> Tensor:
    """`fsa` by weights made of the value itself: tanh(conv1x1(depthwise along dim)).

    `along` is weight and bias of the depthwise convolution of window.span taps, `project` of the 1x1 to heads*K.
    """
    tensors = value, *along, *project
    if is_native(value) and value.shape[3] % LANES == 0:
        keep = differentiates(*tensors)
        return torch.ops.lamnet.focal_attention(*autocast(*tensors), window.starts, window.lengths, dim, keep)[0]
    return fsa_channels_last(value, F.linear(depthwise(value, *along), *project), window, dim, logits=True)


@torch.library.custom_op("lamnet::focal_attention", mutates_args=())
def _focal_attention(
    value: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    starts: Sequence[int],
    lengths: Sequence[int],
    dim: int,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """The result; with `keep` the weights, tap by tap, else nothing."""
    window = Window(tuple(starts), tuple(lengths))
    _check(value, w1, w2, window, dim)
    check("b1", b1, w1.shape[:1], value.dtype)
    check("b2", b2, w2.shape[:1], value.dtype)
    value, out = dense_last(value), empty_like(value)
    gates = value.new_empty((*value.shape[:3], w2.shape[0]) if keep else (0,))
    tensors = [tensor.contiguous() for tensor in (w1, b1, w2, b2)]
    numbers = geometry(value, _like_gates(value, w2), value, window, dim, False)
    native.call("focal", [value, *tensors, out, gates if keep else None], numbers)
    return out, gates


@torch.library.custom_op("lamnet::focal_attention_backward", mutates_args=())
def _focal_attention_backward(
    grad: Tensor,
    value: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    gates: Tensor,
    starts: Sequence[int],
    lengths: Sequence[int],
    dim: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    window = Window(tuple(starts), tuple(lengths))
    _check(value, w1, w2, window, dim)
    check("grad", grad, value.shape, value.dtype)
    check("gates", gates, (*value.shape[:3], w2.shape[0]), value.dtype)
    native.keep_memory()
    grad, value, gates = dense_last(grad), dense_last(value), gates.contiguous()
    weights = [tensor.contiguous() for tensor in (w1, b1, w2)]
    grads = empty_like(value), empty_like(w1), empty_like(b1), empty_like(w2), w2.new_empty(w2.shape[0])
    numbers = geometry(value, gates, grad, window, dim, False)
    native.call("focal_backward", [grad, value, gates, *weights, *grads], numbers)
    return grads


def _like_gates(value: Tensor, w2: Tensor) -> Tensor:
    """A tensor of which only the shape is read: (B, H, W, heads*K)."""
    return value.new_empty(1).expand(*value.shape[:3], w2.shape[0])


def _check(value: Tensor, w1: Tensor, w2: Tensor, window: Window, dim: int) -> None:
    check("value", value, value.shape, value.dtype)
    check_fsa(value, _like_gates(value, w2), window, dim)
    channels, outputs = value.shape[3], w2.shape[0]
    if channels % LANES:
        raise BadArgumentError(f"value: expected a multiple of {LANES} channels, got {channels}")
    check("w1", w1, (channels, 1, window.span, 1) if dim == 1 else (channels, 1, 1, window.span), value.dtype)
    check("w2", w2, (outputs, channels), value.dtype)


@_focal_attention.register_fake
def _(
    value: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    starts: Sequence[int],
    lengths: Sequence[int],
    dim: int,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    return empty_like(value), value.new_empty((*value.shape[:3], w2.shape[0]) if keep else (0,))


@_focal_attention_backward.register_fake
def _(
    grad: Tensor,
    value: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    gates: Tensor,
    starts: Sequence[int],
    lengths: Sequence[int],
    dim: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return empty_like(value), empty_like(w1), empty_like(b1), empty_like(w2), w2.new_empty(w2.shape[0])


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    value, w1, b1, w2, _, ctx.starts, ctx.lengths, ctx.dim, _ = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(value, w1, b1, w2, output[1])


def _autograd(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor | None, ...]:
    window = ctx.starts, ctx.lengths, ctx.dim
    return *torch.ops.lamnet.focal_attention_backward(grad, *ctx.saved_tensors, *window), None, None, None, None


_focal_attention.register_autograd(_autograd, setup_context=_context)
