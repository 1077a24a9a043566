"""The information exchange between the channel and the spatial branch (IEM), and the 1x1 convolution behind it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lamnet.ops import native
from lamnet.ops.backend import autocast, is_native
from lamnet.ops.native import check, check_image, empty_like


def exchange_means(c: Tensor, s: Tensor) -> Tensor:
    """The two means of the IEM over all pixels, (B, 2, D) float32: of s, and of s times the mean of c over channels.

    They are all that ties a pixel to the whole image; whoever works in parts gathers and replays them. No gradient with
    the C kernels: `exchange` has it.
    """
    if is_native(c):
        return torch.ops.lamnet.exchange_means(*autocast(c, s))
    flat = s.flatten(1, 2).float()  # (B, HW, D)
    r = c.flatten(1, 2).float().mean(-1, keepdim=True)  # (B, HW, 1)
    return torch.stack([flat.mean(1), (flat * r).mean(1)], 1)


def exchange(
    c: Tensor, s: Tensor, project: tuple[Tensor, Tensor], residual: Tensor, means: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """residual + linear([c * one gate per pixel, s * one gate per channel]), and the means that made the gates.

    c, s (B, H, W, D); `project` weight and bias of the 1x1 convolution; residual (B, H, W, outputs); means (B, 2, D), when
    left out `exchange_means(c, s)`.
    """
    if is_native(c):
        c, s, weight, bias, residual = autocast(c, s, *project, residual)
        out, own = torch.ops.lamnet.exchange(c, s, weight, bias, residual, means)
        return out, own if means is None else means
    used = exchange_means(c, s) if means is None else means
    m, sr = used.to(c.dtype).unbind(1)  # (B, D) each
    pixel_gate = torch.sigmoid(torch.einsum("bhwd,bd->bhw", c, m) / c.shape[-1])
    exchanged = torch.cat([c * pixel_gate[..., None], s * torch.sigmoid(sr)[:, None, None]], -1)
    return residual + F.linear(exchanged, *project), used


@torch.library.custom_op("lamnet::exchange_means", mutates_args=())
def _exchange_means(c: Tensor, s: Tensor) -> Tensor:
    _check(c, s, None)
    return _means(c.contiguous(), s.contiguous())


@torch.library.custom_op("lamnet::exchange", mutates_args=())
def _exchange(
    c: Tensor, s: Tensor, weight: Tensor, bias: Tensor, residual: Tensor, means: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The result; the image's own means, or nothing where means are given."""
    _check(c, s, means)
    outputs = residual.shape[-1]
    check("residual", residual, (*c.shape[:3], outputs), c.dtype)
    check("weight", weight, (outputs, 2 * c.shape[3]), c.dtype)
    check("bias", bias, (outputs,), c.dtype)
    c, s, weight, bias, residual = (tensor.contiguous() for tensor in (c, s, weight, bias, residual))
    own = _means(c, s) if means is None else c.new_empty(0, dtype=torch.float32)
    used, out = own if means is None else means.float().contiguous(), empty_like(residual)
    native.call("exchange", [c, s, used, weight, bias, residual, out], _geometry(c, outputs))
    return out, own


@torch.library.custom_op("lamnet::exchange_backward", mutates_args=())
def _exchange_backward(
    grad: Tensor, grad_means: Tensor | None, c: Tensor, s: Tensor, weight: Tensor, means: Tensor, own: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of c, s, weight, bias and means; what the 1x1 took is computed again."""
    _check(c, s, means)
    check("weight", weight, (weight.shape[0], 2 * c.shape[3]), c.dtype)
    check("grad", grad, (*c.shape[:3], weight.shape[0]), c.dtype)
    if grad_means is not None:
        check("grad_means", grad_means, means.shape, torch.float32)
        grad_means = grad_means.contiguous()
    native.keep_memory()
    grad, c, s, weight, means = (tensor.contiguous() for tensor in (grad, c, s, weight, means.float()))
    grads = _like(c, s, weight, means)
    grad_c, grad_s, grad_weight, grad_bias, sums = grads
    tensors = [grad, c, s, means, weight, grad_means, grad_c, grad_s, sums, grad_weight, grad_bias]
    native.call("exchange_backward", tensors, [*_geometry(c, weight.shape[0]), own])
    return grads


def _means(c: Tensor, s: Tensor) -> Tensor:
    means = c.new_empty((c.shape[0], 2, c.shape[3]), dtype=torch.float32)
    native.call("exchange_means", [c, s, means], _geometry(c, 0))
    return means


def _like(c: Tensor, s: Tensor, weight: Tensor, means: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Room for the gradients."""
    sums = means.new_empty(means.shape, dtype=torch.float32)
    return empty_like(c), empty_like(s), empty_like(weight), weight.new_empty(weight.shape[0]), sums


def _geometry(c: Tensor, outputs: int) -> list[int]:
    """`geometry` of csrc/exchange.c."""
    batch, height, width, channels = c.shape
    return [batch, height * width, channels, outputs]


def _check(c: Tensor, s: Tensor, means: Tensor | None) -> None:
    check_image("c", c)
    check("s", s, c.shape, c.dtype)
    if means is not None:
        check("means", means.float(), (c.shape[0], 2, c.shape[3]), torch.float32)


@_exchange_means.register_fake
def _(c: Tensor, s: Tensor) -> Tensor:
    return c.new_empty((c.shape[0], 2, c.shape[3]), dtype=torch.float32)


@_exchange.register_fake
def _(
    c: Tensor, s: Tensor, weight: Tensor, bias: Tensor, residual: Tensor, means: Tensor | None
) -> tuple[Tensor, Tensor]:
    shape = (c.shape[0], 2, c.shape[3]) if means is None else (0,)
    return empty_like(residual), c.new_empty(shape, dtype=torch.float32)


@_exchange_backward.register_fake
def _(
    grad: Tensor, grad_means: Tensor | None, c: Tensor, s: Tensor, weight: Tensor, means: Tensor, own: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return _like(c, s, weight, means)


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    c, s, weight, _, _, means = inputs
    ctx.own = means is None
    if not ctx.own:
        ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(c, s, weight, output[1] if ctx.own else means)


def _autograd(ctx: Any, grad: Tensor | None, grad_own: Tensor | None) -> tuple[Tensor | None, ...]:
    c, s, weight, means = ctx.saved_tensors
    if grad is None:  # of the means alone
        grad = c.new_zeros((*c.shape[:3], weight.shape[0]))
    grads = torch.ops.lamnet.exchange_backward(grad, grad_own, c, s, weight, means, ctx.own)
    return *grads[:4], grad, None if ctx.own else grads[4]


_exchange.register_autograd(_autograd, setup_context=_context)
