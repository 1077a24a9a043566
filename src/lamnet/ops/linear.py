"""The network's convolutions on channels-last images, 1x1 and depthwise, forward and backward.

Plain PyTorch is the definition; where the C kernels run, each is one operator that computes what stands before or after
it while a tile of pixels is in the cache.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lamnet.errors import BadArgumentError
from lamnet.ops import native
from lamnet.ops.backend import autocast, is_native
from lamnet.ops.native import check, check_image, dense_last, empty_like, rows_of

Before = Literal["nothing", "normalise", "relu", "gate"]
BEFORE: tuple[Before, ...] = ("nothing", "normalise", "relu", "gate")
NOTHING, NORMALISE, RELU, GATE = range(4)


def linear(
    x: Tensor, weight: Tensor, bias: Tensor, before: Before = "nothing", residual: Tensor | None = None
) -> Tensor:
    """residual + before(x) @ weight^T + bias over the last dimension.

    `before` is nothing; "normalise", layer norm without its affine part; "relu"; or "gate", which turns the halves
    z1, z2 of the channels into [gelu(z1)*z1, gelu(z1)*z2].
    """
    if not is_native(x):
        y = F.linear(_before(x, before), weight, bias)
        return y if residual is None else residual + y
    tensors = autocast(x, weight, bias) if residual is None else autocast(x, weight, bias, residual)
    return torch.ops.lamnet.linear(*tensors[:3], BEFORE.index(before), tensors[3] if residual is not None else None)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise convolution of (B, H, W, C) with weight (C, 1, kh, kw), kh and kw odd, zero padding that keeps the size."""
    if is_native(x):
        return torch.ops.lamnet.depthwise(*autocast(x, weight, bias))
    padding = weight.shape[2] // 2, weight.shape[3] // 2
    return F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=padding, groups=x.shape[3]).permute(0, 2, 3, 1)


def _before(x: Tensor, before: Before) -> Tensor:
    if before == "normalise":
        return F.layer_norm(x, x.shape[-1:])
    if before == "relu":
        return F.relu(x)
    if before == "gate":
        z1, z2 = x.chunk(2, dim=-1)
        gelu = F.gelu(z1)
        return torch.cat([gelu * z1, gelu * z2], -1)
    return x


def check_linear(x: Tensor, weight: Tensor, before: int) -> None:
    check("x", x, x.shape, x.dtype)
    if x.dim() < 1 or weight.dim() != 2:
        raise BadArgumentError(
            f"weight: expected (outputs, inputs) for x (..., inputs), got {tuple(weight.shape)} for {tuple(x.shape)}"
        )
    check("weight", weight, (weight.shape[0], x.shape[-1]), x.dtype)
    if not 0 <= before < len(BEFORE) or (before == GATE and x.shape[-1] % 2):
        raise BadArgumentError(
            f"before: expected 0 to {len(BEFORE) - 1}, 3 only for an even number of channels, got {before}"
        )


def _check_depthwise(x: Tensor, weight: Tensor) -> None:
    check_image("x", x)
    if weight.dim() != 4 or not weight.shape[2] % 2 or not weight.shape[3] % 2:
        raise BadArgumentError(f"weight: expected (C, 1, kh, kw) with kh and kw odd, got {tuple(weight.shape)}")
    check("weight", weight, (x.shape[3], 1, *weight.shape[2:]), x.dtype)


def run_linear(
    x: Tensor, weight: Tensor, bias: Tensor, before: int = NOTHING, residual: Tensor | None = None
) -> Tensor:
    """`linear` by the C kernel; `before` is an index of BEFORE."""
    check_linear(x, weight, before)
    check("bias", bias, weight.shape[:1], x.dtype)
    if residual is not None:
        check("residual", residual, (*x.shape[:-1], weight.shape[0]), x.dtype)
    rows, out = rows_of(x), x.new_empty((*x.shape[:-1], weight.shape[0]))
    start = None if residual is None else rows_of(residual)
    numbers = [*rows.shape, weight.shape[0], before, rows.stride(0), 0, 0 if start is None else start.stride(0)]
    native.call("linear", [rows, weight.contiguous(), bias.contiguous(), start, out], numbers)
    return out


def run_linear_backward(
    grad: Tensor, x: Tensor, weight: Tensor, before: int = NOTHING, start: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x (plus `start`), weight and bias."""
    check_linear(x, weight, before)
    check("grad", grad, (*x.shape[:-1], weight.shape[0]), x.dtype)
    native.keep_memory()
    rows, grad_rows, start = rows_of(x), rows_of(grad), None if start is None else rows_of(start)
    grads = empty_like(x), empty_like(weight), weight.new_empty(weight.shape[0])
    pitches = rows.stride(0), grad_rows.stride(0), 0 if start is None else start.stride(0)
    numbers = [*rows.shape, weight.shape[0], before, *pitches]
    native.call("linear_backward", [grad_rows, rows, weight.contiguous(), start, *grads], numbers)
    return grads


def run_depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`depthwise` by the C kernel."""
    _check_depthwise(x, weight)
    check("bias", bias, weight.shape[:1], x.dtype)
    x, out = dense_last(x), empty_like(x)
    native.call("depthwise", [x, weight.contiguous(), bias.contiguous(), out], [*_sizes(x, weight), 0, 0, 0])
    return out


def run_depthwise_backward(
    grad: Tensor, x: Tensor, weight: Tensor, into: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias; with `into`, contiguous, that of x is added to what is there."""
    _check_depthwise(x, weight)
    check("grad", grad, x.shape, x.dtype)
    x, grad = dense_last(x), dense_last(grad)
    grads = empty_like(x) if into is None else into, empty_like(weight), weight.new_empty(weight.shape[0])
    numbers = [*_sizes(x, weight), *grad.stride()[:3]]
    native.call("depthwise_backward", [grad, x, weight.contiguous(), into, *grads], numbers)
    return grads


def _sizes(x: Tensor, weight: Tensor) -> list[int]:
    return [*x.shape, *weight.shape[2:], *x.stride()[:3]]


@torch.library.custom_op("lamnet::linear", mutates_args=())
def _linear(x: Tensor, weight: Tensor, bias: Tensor, before: int, residual: Tensor | None) -> Tensor:
    return run_linear(x, weight, bias, before, residual)


@torch.library.custom_op("lamnet::linear_backward", mutates_args=())
def _linear_backward(grad: Tensor, x: Tensor, weight: Tensor, before: int) -> tuple[Tensor, Tensor, Tensor]:
    return run_linear_backward(grad, x, weight, before)


@_linear.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, before: int, residual: Tensor | None) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


@_linear_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, before: int) -> tuple[Tensor, Tensor, Tensor]:
    return empty_like(x), empty_like(weight), weight.new_empty(weight.shape[0])


def _linear_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _, ctx.before, residual = inputs
    ctx.residual = residual is not None
    ctx.save_for_backward(x, weight)


def _linear_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    grad = grad.contiguous()  # once for all: the residual hands it on, and a convolution's lies channel by channel
    grads = torch.ops.lamnet.linear_backward(grad, *ctx.saved_tensors, ctx.before)
    return *grads, None, grad if ctx.residual else None


_linear.register_autograd(_linear_autograd, setup_context=_linear_context)


@torch.library.custom_op("lamnet::depthwise", mutates_args=())
def _depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return run_depthwise(x, weight, bias)


@torch.library.custom_op("lamnet::depthwise_backward", mutates_args=())
def _depthwise_backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return run_depthwise_backward(grad, x, weight)


@_depthwise.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return empty_like(x)


@_depthwise_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return empty_like(x), empty_like(weight), weight.new_empty(weight.shape[0])


def _depthwise_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _depthwise_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    return torch.ops.lamnet.depthwise_backward(grad, *ctx.saved_tensors)


_depthwise.register_autograd(_depthwise_autograd, setup_context=_depthwise_context)
