"""Focal separable attention as one PyTorch operator: schema, shapes for tracing, autograd, choice of the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from lamnet.base.errors import BadArgumentError
from lamnet.core.window import Window
from lamnet.ops import native
from lamnet.ops.arguments import AttentionSizes, FsaArguments, FsaBackwardArguments, Strided, TapWindow
from lamnet.ops.backend import backend_for
from lamnet.ops.c_struct import int64s
from lamnet.ops.flops import register_when_counting
from lamnet.ops.native import dense_last, empty_like
from lamnet.ops.operator import is_transformed, operator, refuse_second_derivative
from lamnet.ops.reference import fsa_reference, fsa_reference_backward

HEIGHT, WIDTH = 1, 2  # dimensions of (B, H, W, C)


def fsa(value: Tensor, weight: Tensor, window: Window, axis: int) -> Tensor:
    """Apply focal separable attention along one axis of an image.

    Args:
        value: (B, D, H, W), floating point, any strides; channels-last memory is fastest.
        weight: (B, heads*K, H, W), the same dtype and device; channel order head*K + tap, D a multiple of heads.
        window: the K taps; see Window.
        axis: -1 along the width, -2 along the height.

    Returns:
        (B, D, H, W), channel i of head g being sum_k weight[g, k, p] * mean of value[i] over tap k's pixels around p,
        zero outside the image, the divisor staying the tap's length.

    Raises:
        BadArgumentError: shapes, dtypes, devices or the axis do not fit; names the argument, expected and got.

    Source: LAMNet (arXiv 2409.17597), focal separable attention.
    """
    if axis not in (-1, -2):
        raise BadArgumentError(f"axis: expected -1 (width) or -2 (height), got {axis}")
    for name, tensor in (("value", value), ("weight", weight)):
        if tensor.dim() != 4:
            raise BadArgumentError(
                f"{name}: expected 4 dimensions (B, channels, H, W), got shape {tuple(tensor.shape)}"
            )
    dim = WIDTH if axis == -1 else HEIGHT
    value, weight = value.permute(0, 2, 3, 1), weight.permute(0, 2, 3, 1)
    check_fsa(value, weight, window, dim)  # here too: tensors of several devices would not reach the operator's own
    return fsa_channels_last(value, weight, window, dim).permute(0, 3, 1, 2)


def fsa_channels_last(value: Tensor, weight: Tensor, window: Window, dim: int, logits: bool = False) -> Tensor:
    """Apply `fsa` to value (B, H, W, D) and weight (B, H, W, heads*K), as the network holds them; dim 2 is the width.

    With `logits` the weights are tanh(weight), computed where they are used. Second derivatives, forward mode and torch.func
    go through plain PyTorch.
    """
    register_when_counting()
    if is_transformed():
        check_fsa(value, weight, window, dim)
        return _plain(value, weight, window, dim, logits)
    return torch.ops.lamnet.fsa(value, weight, window.starts, window.lengths, dim, logits)


def check_fsa(value: Tensor, weight: Tensor, window: Window, dim: int) -> None:
    """Check the arguments of `fsa_channels_last`. Raises BadArgumentError, which names the argument."""
    for name, tensor in (("value", value), ("weight", weight)):
        if tensor.dim() != 4:
            raise BadArgumentError(f"{name}: expected 4 dimensions, got shape {tuple(tensor.shape)}")
    if not value.is_floating_point():
        raise BadArgumentError(f"value: expected a floating-point dtype, got {value.dtype}")
    if weight.dtype != value.dtype:
        raise BadArgumentError(f"weight: expected the value's dtype {value.dtype}, got {weight.dtype}")
    if weight.device != value.device:
        raise BadArgumentError(f"weight: expected the value's device {value.device}, got {weight.device}")
    if weight.shape[:3] != value.shape[:3]:
        raise BadArgumentError(
            f"weight: expected the value's batch and image size {tuple(value.shape[:3])}, got {tuple(weight.shape[:3])}"
        )
    heads = weight.shape[3] // window.taps
    if heads == 0 or weight.shape[3] % window.taps or value.shape[3] % heads:
        raise BadArgumentError(
            f"weight: expected heads*{window.taps} channels with heads dividing {value.shape[3]}, got {weight.shape[3]}"
        )
    if dim not in (HEIGHT, WIDTH):
        raise BadArgumentError(f"dim: expected 1 (height) or 2 (width), got {dim}")


@operator("lamnet::fsa")
def _fsa(
    value: Tensor, weight: Tensor, starts: Sequence[int], lengths: Sequence[int], dim: int, logits: bool
) -> Tensor:
    window = Window(tuple(starts), tuple(lengths))
    check_fsa(value, weight, window, dim)
    backend = backend_for(value.device.type, value.dtype)
    if backend == "triton":
        from lamnet.ops import triton

        return triton.fsa_forward(value, weight, window, dim, logits)
    if backend == "native":
        value, weight, out = dense_last(value), dense_last(weight), empty_like(value)
        native.call(
            FsaArguments(
                sizes=attention_sizes(value, weight.shape[3], window, dim),
                value=strided(value, dim),
                weight=strided(weight, dim),
                logits=logits,
                out=out.data_ptr(),
            )
        )
        return out
    return _plain(value, weight, window, dim, logits).contiguous()


@operator("lamnet::fsa_backward")
def _fsa_backward(
    grad_out: Tensor,
    value: Tensor,
    weight: Tensor,
    starts: Sequence[int],
    lengths: Sequence[int],
    dim: int,
    logits: bool,
) -> tuple[Tensor, Tensor]:
    window = Window(tuple(starts), tuple(lengths))
    check_fsa(value, weight, window, dim)
    if grad_out.shape != value.shape or grad_out.dtype != value.dtype or grad_out.device != value.device:
        raise BadArgumentError(
            f"grad_out: expected {tuple(value.shape)} {value.dtype} on {value.device}, "
            f"got {tuple(grad_out.shape)} {grad_out.dtype} on {grad_out.device}"
        )
    backend = backend_for(value.device.type, value.dtype)
    if backend == "triton":
        from lamnet.ops import triton

        return triton.fsa_backward(grad_out, value, weight, window, dim, logits)
    if backend == "native":
        grad_out, value, weight = dense_last(grad_out), dense_last(value), dense_last(weight)
        grads = empty_like(value), empty_like(weight)
        native.call(
            FsaBackwardArguments(
                sizes=attention_sizes(value, weight.shape[3], window, dim),
                grad=strided(grad_out, dim),
                value=strided(value, dim),
                weight=strided(weight, dim),
                logits=logits,
                grad_value=grads[0].data_ptr(),
                grad_weight=grads[1].data_ptr(),
            )
        )
        return grads
    grads = _plain_backward(grad_out, value, weight, window, dim, logits)
    return grads[0].contiguous(), grads[1].contiguous()


def _plain(value: Tensor, weight: Tensor, window: Window, dim: int, logits: bool) -> Tensor:
    gates = torch.tanh(_wide(weight)) if logits else _wide(weight)
    return fsa_reference(_wide(value), gates, window, dim).to(value.dtype)


def _plain_backward(
    grad_out: Tensor, value: Tensor, weight: Tensor, window: Window, dim: int, logits: bool
) -> tuple[Tensor, Tensor]:
    gates = torch.tanh(_wide(weight)) if logits else _wide(weight)
    grad_value, grad_weight = fsa_reference_backward(_wide(grad_out), _wide(value), gates, window, dim)
    if logits:
        grad_weight = grad_weight * (1 - gates.square())
    return grad_value.to(value.dtype), grad_weight.to(weight.dtype)


def _wide(x: Tensor) -> Tensor:
    """Cast reduced precisions to float32, in which they are summed."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def attention_sizes(value: Tensor, gates: int, window: Window, dim: int) -> AttentionSizes:
    """Make the sizes for attention along `dim` of value (B, H, W, D) with `gates` weights a pixel."""
    return AttentionSizes(
        threads=torch.get_num_threads(),
        dtype=native.DTYPES[value.dtype],
        batch=value.shape[0],
        axis=value.shape[dim],
        across=value.shape[3 - dim],
        channels=value.shape[3],
        heads=gates // window.taps,
        step=value.shape[2] if dim == HEIGHT else 1,
        window=_tap_window(window),
    )


def strided(image: Tensor, dim: int) -> Strided:
    """Describe an image (B, H, W, C) along `dim` by its strides; its last dimension is contiguous."""
    strides = image.stride()
    return Strided(data=image.data_ptr(), batch=strides[0], along=strides[dim], across=strides[3 - dim])


@cache
def _tap_window(window: Window) -> TapWindow:
    lengths = sorted(set(window.lengths))
    return TapWindow(
        taps=window.taps,
        tables=len(lengths),
        reach=window.reach,
        starts=int64s(window.starts),
        table=int64s([lengths.index(length) for length in window.lengths]),
        lengths=int64s(lengths),
    )


def _fsa_shapes(value: Tensor, *_: object) -> Tensor:
    return empty_like(value)


def _fsa_backward_shapes(grad_out: Tensor, value: Tensor, weight: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return empty_like(value), empty_like(weight)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    value, weight, ctx.starts, ctx.lengths, ctx.dim, ctx.logits = inputs
    ctx.save_for_backward(value, weight)


def _backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
    value, weight = ctx.saved_tensors
    if torch.is_grad_enabled() or is_transformed():  # the gradient may be differentiated again
        window = Window(tuple(ctx.starts), tuple(ctx.lengths))
        return *_plain_backward(grad_out, value, weight, window, ctx.dim, ctx.logits), None, None, None, None
    grads = torch.ops.lamnet.fsa_backward(grad_out, value, weight, ctx.starts, ctx.lengths, ctx.dim, ctx.logits)
    return *grads, None, None, None, None


torch.library.register_fake("lamnet::fsa", _fsa_shapes)
torch.library.register_fake("lamnet::fsa_backward", _fsa_backward_shapes)
torch.library.register_autograd("lamnet::fsa", _backward, setup_context=_setup_context)
refuse_second_derivative("lamnet::fsa_backward")
