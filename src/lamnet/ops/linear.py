"""The network's 1x1 convolutions on channels-last images, forward and backward; its depthwise ones in plain PyTorch.

Plain PyTorch is the definition; where the C kernels run, a 1x1 is one operator that computes what stands before or after
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
from lamnet.ops.native import check, empty_like, rows_of

Before = Literal["nothing", "normalise", "relu"]
BEFORE: tuple[Before, ...] = ("nothing", "normalise", "relu")
NOTHING, NORMALISE, RELU = range(3)


def linear(
    x: Tensor, weight: Tensor, bias: Tensor, before: Before = "nothing", residual: Tensor | None = None
) -> Tensor:
    """residual + before(x) @ weight^T + bias over the last dimension.

    `before` is nothing; "normalise", layer norm without its affine part; or "relu".
    """
    if not is_native(x):
        y = F.linear(_before(x, before), weight, bias)
        return y if residual is None else residual + y
    tensors = autocast(x, weight, bias) if residual is None else autocast(x, weight, bias, residual)
    return torch.ops.lamnet.linear(*tensors[:3], BEFORE.index(before), tensors[3] if residual is not None else None)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise convolution of (B, H, W, C) with weight (C, 1, kh, kw), kh and kw odd, zero padding that keeps the size.

    In plain PyTorch: where it counts, the kernels of larger operators have it. On a CPU in float32 at least, for oneDNN's
    bfloat16 takes minutes for long kernels.
    """
    if x.is_cpu and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return depthwise(x, weight, bias)
    dtype = torch.promote_types(x.dtype, torch.float32) if x.is_cpu else x.dtype
    planes, padding = x.permute(0, 3, 1, 2).to(dtype), (weight.shape[2] // 2, weight.shape[3] // 2)
    out = F.conv2d(planes, weight.to(dtype), bias.to(dtype), padding=padding, groups=x.shape[3])
    return out.permute(0, 2, 3, 1).to(x.dtype)


def _before(x: Tensor, before: Before) -> Tensor:
    if before == "normalise":
        return F.layer_norm(x, x.shape[-1:])
    if before == "relu":
        return F.relu(x)
    return x


def check_linear(x: Tensor, weight: Tensor, before: int) -> None:
    check("x", x, x.shape, x.dtype)
    if x.dim() < 1 or weight.dim() != 2:
        raise BadArgumentError(
            f"weight: expected (outputs, inputs) for x (..., inputs), got {tuple(weight.shape)} for {tuple(x.shape)}"
        )
    check("weight", weight, (weight.shape[0], x.shape[-1]), x.dtype)
    if not 0 <= before < len(BEFORE):
        raise BadArgumentError(f"before: expected 0 to {len(BEFORE) - 1}, got {before}")


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
    grad: Tensor, x: Tensor, weight: Tensor, before: int = NOTHING
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias."""
    check_linear(x, weight, before)
    check("grad", grad, (*x.shape[:-1], weight.shape[0]), x.dtype)
    native.keep_memory()
    rows, grad_rows = rows_of(x), rows_of(grad)
    grads = empty_like(x), empty_like(weight), weight.new_empty(weight.shape[0])
    numbers = [*rows.shape, weight.shape[0], before, rows.stride(0), grad_rows.stride(0), 0]
    native.call("linear_backward", [grad_rows, rows, weight.contiguous(), *grads], numbers)
    return grads


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
