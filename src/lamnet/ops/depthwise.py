"""Depthwise convolution of channels-last images on a GPU as one PyTorch operator: shapes for tracing, autograd, the kernels."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from lamnet.base.errors import BadArgumentError
from lamnet.ops.backend import backend_for
from lamnet.ops.flops import register_when_counting
from lamnet.ops.operator import is_transformed, operator, refuse_second_derivative


def has_kernel(x: Tensor) -> bool:
    """Tell whether `depthwise` runs on x: where Triton does, and nobody asks for more than a first derivative."""
    return backend_for(x.device.type, x.dtype) == "triton" and not is_transformed()


def depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve x (B, H, W, C) with weight (C, 1, kh, kw) and bias (C,), in zero padding that keeps the size.

    The weight may have another format than x, as within autocast; sums are float32, the result has x's format.

    Raises:
        BadArgumentError: the shapes do not fit, or a side of the kernel is even.
    """
    register_when_counting()
    return cast("Tensor", torch.ops.lamnet.depthwise(x, weight, bias))


@operator("lamnet::depthwise")
def _depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    from lamnet.ops import triton_depthwise

    check_depthwise(x, weight, bias)
    return triton_depthwise.convolve(x, weight, bias)


@operator("lamnet::depthwise_backward")
def _depthwise_backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    from lamnet.ops import triton_depthwise

    grad_weight, grad_bias = triton_depthwise.weight_grad(grad, x, weight.shape)
    grad_x = triton_depthwise.convolve(grad, weight, None, transposed=True)
    return grad_x, grad_weight.to(weight.dtype), grad_bias.to(weight.dtype)


def check_depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> None:
    """Check the arguments of `depthwise`. Raises BadArgumentError, which names the argument."""
    if x.dim() != 4:
        raise BadArgumentError(f"x: expected (B, H, W, C), got shape {tuple(x.shape)}")
    channels = x.shape[3]
    if weight.dim() != 4 or weight.shape[:2] != (channels, 1) or weight.shape[2] % 2 == 0 or weight.shape[3] % 2 == 0:
        raise BadArgumentError(f"weight: expected ({channels}, 1, odd, odd), got shape {tuple(weight.shape)}")
    if bias.shape != (channels,):
        raise BadArgumentError(f"bias: expected ({channels},), got shape {tuple(bias.shape)}")


def _plain_backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients in plain PyTorch, which can be differentiated again."""
    dtype = torch.promote_types(x.dtype, weight.dtype)
    planes, grads = (one.permute(0, 3, 1, 2).to(dtype) for one in (x, grad))
    kernel, channels = weight.to(dtype), x.shape[3]
    padding = [weight.shape[2] // 2, weight.shape[3] // 2]
    rest: Any = ([1, 1], padding, [1, 1], False, [0, 0], channels, [True, True, True])
    grad_x, grad_weight, grad_bias = torch.ops.aten.convolution_backward(grads, planes, kernel, [channels], *rest)
    return grad_x.permute(0, 2, 3, 1).to(x.dtype), grad_weight.to(weight.dtype), grad_bias.to(weight.dtype)


def _shapes(x: Tensor, *_: object) -> Tensor:
    return x.new_empty(x.shape)


def _backward_shapes(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape), weight.new_empty(weight.shape[:1])


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _ = inputs
    ctx.save_for_backward(x, weight)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, weight = ctx.saved_tensors
    if torch.is_grad_enabled() or is_transformed():  # the gradient may be differentiated again
        return _plain_backward(grad, x, weight)
    return cast("tuple[Tensor, Tensor, Tensor]", torch.ops.lamnet.depthwise_backward(grad, x, weight))


torch.library.register_fake("lamnet::depthwise", _shapes)
torch.library.register_fake("lamnet::depthwise_backward", _backward_shapes)
torch.library.register_autograd("lamnet::depthwise", _backward, setup_context=_setup_context)
refuse_second_derivative("lamnet::depthwise_backward")
