"""The information exchange between the channel and the spatial branch (IEM), and the 1x1 convolution behind it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lamnet.ops import native
from lamnet.ops.backend import autocast, is_native
from lamnet.ops.linear import linear, run_linear_backward
from lamnet.ops.native import check, check_image, empty_like, rows_of


def exchange_means(c: Tensor, s: Tensor) -> Tensor:
    """The two means of the IEM over all pixels, (B, 2, D) float32: of s, and of s times the mean of c over channels.

    They are all that ties a pixel to the whole image; whoever works in parts gathers and replays them.
    """
    if is_native(c):
        return torch.ops.lamnet.exchange_means(*autocast(c, s))
    flat = s.flatten(1, 2).float()  # (B, HW, D)
    r = c.flatten(1, 2).float().mean(-1, keepdim=True)  # (B, HW, 1)
    return torch.stack([flat.mean(1), (flat * r).mean(1)], 1)


def exchange_linear(c: Tensor, s: Tensor, means: Tensor, project: tuple[Tensor, Tensor], residual: Tensor) -> Tensor:
    """residual + linear([c * one gate per pixel, s * one gate per channel]), by the means of `exchange_means`.

    c, s (B, H, W, D); means (B, 2, D); `project` weight and bias of the 1x1 convolution; residual (B, H, W, outputs).
    """
    if is_native(c):
        c, s, weight, bias, residual = autocast(c, s, *project, residual)
        return torch.ops.lamnet.exchange_linear(c, s, means, weight, bias, residual)
    m, sr = means.to(c.dtype).unbind(1)  # (B, D) each
    pixel_gate = torch.sigmoid(torch.einsum("bhwd,bd->bhw", c, m) / c.shape[-1])
    exchanged = torch.cat([c * pixel_gate[..., None], s * torch.sigmoid(sr)[:, None, None]], -1)
    return linear(exchanged, *project, residual=residual)


@torch.library.custom_op("lamnet::exchange_means", mutates_args=())
def _exchange_means(c: Tensor, s: Tensor) -> Tensor:
    numbers, c, s = _pair(c, s)
    means = c.new_empty((numbers[0], 2, numbers[2]), dtype=torch.float32)
    native.call("exchange_means", [c, s, means], numbers)
    return means


@torch.library.custom_op("lamnet::exchange_means_backward", mutates_args=())
def _exchange_means_backward(grad: Tensor, c: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    grads, grad = (empty_like(c), empty_like(s)), grad.contiguous()
    check("grad", grad, (c.shape[0], 2, c.shape[-1]), torch.float32)
    numbers, c, s = _pair(c, s)
    native.call("exchange_means_backward", [c, s, grad, *grads], numbers)
    return grads


@torch.library.custom_op("lamnet::exchange_linear", mutates_args=())
def _exchange_linear(c: Tensor, s: Tensor, means: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    shape, residual, means = c.shape, residual.contiguous(), means.float().contiguous()
    numbers, c, s = _pair(c, s, means)
    outputs = residual.shape[-1]
    check("residual", residual, (*shape[:3], outputs), c.dtype)
    check("weight", weight, (outputs, 2 * numbers[2]), c.dtype)
    check("bias", bias, (outputs,), c.dtype)
    out = empty_like(residual)
    tensors = [c, s, means, weight.contiguous(), bias.contiguous(), residual, out]
    native.call("exchange_linear", tensors, [*numbers[:-1], outputs])
    return out


@torch.library.custom_op("lamnet::exchange_linear_backward", mutates_args=())
def _exchange_linear_backward(
    grad: Tensor, c: Tensor, s: Tensor, means: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of c, s, means, weight and bias; what the 1x1 took is computed again."""
    exchanged, means = c.new_empty((*c.shape[:-1], 2 * c.shape[-1])), means.float().contiguous()
    grads = empty_like(c), empty_like(s), empty_like(means)
    numbers, c, s = _pair(c, s, means)
    native.call("exchange", [c, s, means, exchanged], numbers)
    grad_exchanged, grad_weight, grad_bias = run_linear_backward(grad, exchanged, weight)
    native.call("exchange_backward", [c, s, grad_exchanged, means, *grads], numbers)
    return *grads, grad_weight, grad_bias


def _pair(c: Tensor, s: Tensor, means: Tensor | None = None) -> tuple[list[int], Tensor, Tensor]:
    """`geometry` of csrc/exchange.c and both images as rows, all of them checked."""
    check_image("c", c)
    check("s", s, c.shape, c.dtype)
    batch, height, width, channels = c.shape
    if means is not None:
        check("means", means, (batch, 2, channels), torch.float32)
    c, s = rows_of(c), rows_of(s)
    return [batch, height * width, channels, c.stride(0), s.stride(0), 0], c, s


@_exchange_means.register_fake
def _(c: Tensor, s: Tensor) -> Tensor:
    return c.new_empty((c.shape[0], 2, c.shape[3]), dtype=torch.float32)


@_exchange_means_backward.register_fake
def _(grad: Tensor, c: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    return empty_like(c), empty_like(s)


@_exchange_linear.register_fake
def _(c: Tensor, s: Tensor, means: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    return empty_like(residual)


@_exchange_linear_backward.register_fake
def _(
    grad: Tensor, c: Tensor, s: Tensor, means: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    grad_means = means.new_empty(means.shape, dtype=torch.float32)
    return empty_like(c), empty_like(s), grad_means, empty_like(weight), weight.new_empty(weight.shape[0])


def _means_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _means_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    return torch.ops.lamnet.exchange_means_backward(grad, *ctx.saved_tensors)


def _linear_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])


def _linear_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    grad = grad.contiguous()
    return *torch.ops.lamnet.exchange_linear_backward(grad, *ctx.saved_tensors), grad


_exchange_means.register_autograd(_means_autograd, setup_context=_means_context)
_exchange_linear.register_autograd(_linear_autograd, setup_context=_linear_context)
