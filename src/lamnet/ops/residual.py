"""A residual with a factor for each channel, x + y * scale, and its gradients in one pass each on the C kernels.

Plain PyTorch takes five passes for the gradients, and within autocast casts all images to float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lamnet.ops import arguments
from lamnet.ops.backend import autocast, differentiates
from lamnet.ops.block import fits
from lamnet.ops.native import DTYPES, call, check, check_image, empty_like
from lamnet.ops.operator import asks_for_more, operator, refuse_second_derivative


def add_scaled(x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """Compute x + y * scale of images (B, H, W, C) and factors (C,); by the kernels where gradients will be asked."""
    if differentiates(x, y, scale) and fits(x) and fits(y) and scale.dtype == torch.float32:
        return torch.ops.lamnet.residual(*autocast(x, y), scale)
    return torch.addcmul(x, y, scale)


@operator("lamnet::residual")
def _residual(x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    x, y, scale = _checked(x, y, scale)
    out = empty_like(x)
    call(
        arguments.ResidualArguments(
            sizes=_sizes(x), x=x.data_ptr(), y=y.data_ptr(), scale=scale.data_ptr(), out=out.data_ptr()
        )
    )
    return out


@operator("lamnet::residual_backward")
def _residual_backward(grad: Tensor, y: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of y and of the factors."""
    grad, y, scale = _checked(grad, y, scale)
    grad_y, grad_scale = empty_like(y), empty_like(scale)
    call(
        arguments.ResidualBackwardArguments(
            sizes=_sizes(y),
            grad=grad.data_ptr(),
            y=y.data_ptr(),
            scale=scale.data_ptr(),
            grad_y=grad_y.data_ptr(),
            grad_scale=grad_scale.data_ptr(),
        )
    )
    return grad_y, grad_scale


def _checked(x: Tensor, y: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    check_image("x", x)
    check("y", y, x.shape, x.dtype)
    check("scale", scale, x.shape[3:], torch.float32)
    return x.contiguous(), y.contiguous(), scale.contiguous()


def _sizes(x: Tensor) -> arguments.ResidualSizes:
    return arguments.ResidualSizes(
        threads=torch.get_num_threads(),
        dtype=DTYPES[x.dtype],
        pixels=x.shape[0] * x.shape[1] * x.shape[2],
        channels=x.shape[3],
    )


def _shapes(x: Tensor, *_: object) -> Tensor:
    return empty_like(x)


def _backward_shapes(grad: Tensor, y: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    return empty_like(y), empty_like(scale)


def _context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    _, *kept = inputs
    ctx.save_for_backward(*kept)


def _autograd(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    y, scale = ctx.saved_tensors
    if asks_for_more(grad):
        return grad, (grad * scale).to(y.dtype), (grad.float() * y).sum((0, 1, 2))
    return grad, *torch.ops.lamnet.residual_backward(grad, y, scale)


torch.library.register_fake("lamnet::residual", _shapes)
torch.library.register_fake("lamnet::residual_backward", _backward_shapes)
torch.library.register_autograd("lamnet::residual", _autograd, setup_context=_context)
refuse_second_derivative("lamnet::residual_backward")
