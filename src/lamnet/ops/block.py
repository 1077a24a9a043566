"""A block of the network on the C kernels: one operator, forward and backward, for all that a block does.

What a block computes stands in plain PyTorch in model.py, which runs wherever this does not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lamnet.base.errors import BadArgumentError
from lamnet.ops import memory, native
from lamnet.ops.backend import autocast, differentiates, is_native
from lamnet.ops.fsa import geometry
from lamnet.ops.native import check, check_image, empty_like
from lamnet.ops.operator import operator, refuse_forward_mode, refuse_second_derivative
from lamnet.ops.window import Window

HEIGHT, WIDTH = 1, 2  # dimensions of (B, H, W, C)
LANES = 16  # csrc/gemm.h's: the kernels of focal attention take multiples of it

WEIGHTS = (
    *("mixer_norm_weight", "mixer_norm_bias", "mixer_in_weight", "mixer_in_bias"),
    *("channel_in_weight", "channel_in_bias", "channel_out_weight", "channel_out_bias"),
    *("horizontal_depthwise_weight", "horizontal_depthwise_bias", "horizontal_weight", "horizontal_bias"),
    *("vertical_depthwise_weight", "vertical_depthwise_bias", "vertical_weight", "vertical_bias"),
    *("mixer_out_weight", "mixer_out_bias", "mixer_scale"),
    *("ffn_norm_weight", "ffn_norm_bias", "ffn_in_weight", "ffn_in_bias"),
    *("ffn_depthwise_weight", "ffn_depthwise_bias", "ffn_out_weight", "ffn_out_bias", "ffn_scale"),
)
"""What a block has learned, in the order in which it is handed over."""

# The part of it that each kernel takes.
_ENTER, _HORIZONTAL, _VERTICAL, _LEAVE, _FFN = slice(0, 8), slice(8, 12), slice(12, 16), slice(16, 19), slice(19, 28)


def fits(x: Tensor) -> bool:
    """Whether `fused_block` and `fused_branches` take x (B, H, W, C)."""
    return is_native(x) and x.shape[3] % (2 * LANES) == 0


def fused_block(
    x: Tensor, weights: Sequence[Tensor], window: Window, means: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """x (B, H, W, C) behind a block, and the exchange means used, (B, 2, C/2) float32.

    `weights` in the order of WEIGHTS, float32 or as x; `means` are x's own when left out.
    """
    refuse_forward_mode(x, *weights)
    (x,) = autocast(x)
    keep = differentiates(x, *weights)
    out, own, _ = torch.ops.lamnet.block(x, means, window.starts, window.lengths, keep, weights)
    return out, own if means is None else means


def fused_branches(x: Tensor, weights: Sequence[Tensor], window: Window) -> tuple[Tensor, Tensor]:
    """The channel and the spatial branch in front of their exchange, (B, H, W, C/2) each; no gradients."""
    x = x.contiguous()
    weights = _as_kernels_take(x, weights, window)
    c, u, across, s, _, _ = _room(x, keep=False)
    _branches(x, weights, window, (c, u, across, s), (None, None))
    return c, s


def _branches(
    x: Tensor,
    weights: Sequence[Tensor],
    window: Window,
    images: tuple[Tensor, Tensor, Tensor, Tensor],
    gates: tuple[Tensor | None, Tensor | None],
) -> None:
    """Fill the channel branch and the spatial one before, between and behind its two attentions; their gates if asked."""
    c, u, across, s = images
    native.call("branches", [x, *weights[_ENTER], c, u], _sizes(x, weights))
    native.call("focal", [u, *weights[_HORIZONTAL], across, gates[0]], _focal_sizes(u, weights, window, WIDTH))
    native.call("focal", [across, *weights[_VERTICAL], s, gates[1]], _focal_sizes(across, weights, window, HEIGHT))


_KEPT = ("c", "u", "across", "s", "y", "gates_across", "gates_down", "hidden")  # for the backward: images


def _room(x: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """For the first five of _KEPT and the result; where nothing is kept they take turns in two tensors of x's size."""
    half = *x.shape[:3], x.shape[3] // 2
    if keep:
        c, u, across, s = (x.new_empty(half) for _ in range(4))
        return c, u, across, s, empty_like(x), empty_like(x)
    y, out = memory.reusable_like(x), memory.reusable_like(x)
    c, s = out.view(2, *half)
    return c, s, y.view(2, *half)[0], s, y, out


@operator("lamnet::block")
def _block(
    x: Tensor,
    means: Tensor | None,
    starts: Sequence[int],
    lengths: Sequence[int],
    keep: bool,
    weights: Sequence[Tensor],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The result; the image's own means, or nothing where means are given; with `keep` what _KEPT names, else nothing."""
    x, window = x.contiguous(), Window(tuple(starts), tuple(lengths))
    weights = _as_kernels_take(x, weights, window)
    gates_across, gates_down, hidden = _unseen(x, weights) if keep else (None, None, None)
    own = _own_means(x, means)
    c, u, across, s, y, out = _room(x, keep)
    _branches(x, weights, window, (c, u, across, s), (gates_across, gates_down))
    if means is None:
        native.call("exchange_means", [c, s, own], _means_sizes(x))
    else:
        check("means", means.float(), _own_means(x, None).shape, torch.float32)
    used = own if means is None else means.float().contiguous()
    native.call("exchange", [c, s, used, *weights[_LEAVE], x, y], _means_sizes(x))
    native.call("feed_forward", [y, *weights[_FFN], out, hidden], _ffn_sizes(x, weights))
    if gates_across is None or gates_down is None or hidden is None:
        return out, own, []
    return out, own, [c, u, across, s, y, gates_across, gates_down, hidden]


@operator("lamnet::block_backward")
def _block_backward(
    grad: Tensor,
    grad_means: Tensor | None,
    x: Tensor,
    means: Tensor,
    own: bool,
    starts: Sequence[int],
    lengths: Sequence[int],
    kept: Sequence[Tensor],
    weights: Sequence[Tensor],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The gradients of x, of the means and of the weights; `own`: the means are x's, theirs goes on to x."""
    x, window = x.contiguous(), Window(tuple(starts), tuple(lengths))
    given, weights = weights, _as_kernels_take(x, weights, window)
    check("grad", grad, x.shape, x.dtype)
    for name, image, width in zip(_KEPT, kept, _widths(x, weights), strict=True):
        check(name, image, (*x.shape[:3], width), x.dtype)
    check("means", means.float(), _own_means(x, None).shape, torch.float32)
    if grad_means is not None:
        check("grad_means", grad_means, means.shape, torch.float32)
        grad_means = grad_means.contiguous()
    memory.keep()
    c, u, across, s, y, gates_across, gates_down, hidden = (image.contiguous() for image in kept)
    grad, means = grad.contiguous(), means.float().contiguous()
    grads = [empty_like(weight) for weight in weights]
    grad_y, grad_sums = empty_like(x), torch.empty_like(means)
    native.call(
        "feed_forward_backward", [grad, y, hidden, *weights[_FFN], grad_y, *grads[_FFN]], _ffn_sizes(x, weights)
    )
    grad_c, grad_s = empty_like(c), empty_like(s)
    tensors = [grad_y, c, s, means, *weights[_LEAVE], grad_means, grad_c, grad_s, grad_sums, *grads[_LEAVE]]
    native.call("exchange_backward", tensors, [*_means_sizes(x), own])
    grad_across, grad_u = empty_like(across), empty_like(u)
    for value, gates, part, dim, behind, before in (
        (across, gates_down, _VERTICAL, HEIGHT, grad_s, grad_across),
        (u, gates_across, _HORIZONTAL, WIDTH, grad_across, grad_u),
    ):
        tensors = [behind, value, gates, *weights[part][:3], before, *grads[part]]
        native.call("focal_backward", tensors, _focal_sizes(value, weights, window, dim))
    grad_x = empty_like(x)
    tensors = [grad_c, grad_u, grad_y, x, *weights[_ENTER], grad_x, *grads[_ENTER]]
    native.call("branches_backward", tensors, _sizes(x, weights))
    return grad_x, grad_sums, [_as_type(grad, weight.dtype) for grad, weight in zip(grads, given, strict=True)]


def _as_kernels_take(x: Tensor, weights: Sequence[Tensor], window: Window) -> list[Tensor]:
    """The weights, contiguous and in x's dtype, everything checked."""
    check_image("x", x)
    channels = x.shape[3]
    if channels % (2 * LANES):
        raise BadArgumentError(f"x: expected a multiple of {2 * LANES} channels, got {channels}")
    if len(weights) != len(WEIGHTS):
        raise BadArgumentError(f"weights: expected {len(WEIGHTS)} tensors, got {len(weights)}")
    for name, weight, shape in zip(WEIGHTS, weights, _shapes(channels, weights, window), strict=True):
        check(name, weight, shape, torch.float32 if weight.dtype == torch.float32 else x.dtype)
    return [_as_type(weight, x.dtype).contiguous() for weight in weights]


def _as_type(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Without a call where nothing is to be done: there are many, and small."""
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def _shapes(channels: int, weights: Sequence[Tensor], window: Window) -> list[tuple[int, ...]]:
    """What the weights' shapes have to be; the numbers that the channels do not say are taken from the weights."""
    half, narrow, gates, both = channels // 2, *_freedom(weights)
    if both % 2:
        raise BadArgumentError(f"ffn_in_weight: expected an even number of outputs, got {both}")
    if gates == 0 or gates % window.taps or half % (gates // window.taps):
        raise BadArgumentError(
            f"horizontal_weight: expected heads*{window.taps} outputs with heads dividing {half}, got {gates}"
        )
    attend = (gates, half), (gates,)
    return [
        *((channels,), (channels,), (channels, channels), (channels,)),
        *((narrow, half), (narrow,), (half, narrow), (half,)),
        *((half, 1, 1, window.span), (half,), *attend),
        *((half, 1, window.span, 1), (half,), *attend),
        *((channels, channels), (channels,), (channels,)),
        *((channels,), (channels,), (both, channels), (both,)),
        *((both, 1, 3, 3), (both,), (channels, both), (channels,), (channels,)),
    ]


def _freedom(weights: Sequence[Tensor]) -> tuple[int, int, int]:
    """The channel branch's inner channels, heads*K, the feed-forward's hidden channels, both halves."""
    return weights[4].shape[0], weights[10].shape[0], weights[21].shape[0]


def _widths(x: Tensor, weights: Sequence[Tensor]) -> tuple[int, ...]:
    """The channels of the images that _KEPT names."""
    (_, gates, both), half = _freedom(weights), x.shape[3] // 2
    return half, half, half, half, x.shape[3], gates, gates, both


def _unseen(x: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Room for the last three of _KEPT, which never leave the cache where no gradient will be asked."""
    return [x.new_empty(*x.shape[:3], width) for width in _widths(x, weights)[-3:]]


def _own_means(x: Tensor, means: Tensor | None) -> Tensor:
    """Room for the image's means; for nothing where means are given."""
    return x.new_empty((x.shape[0], 2, x.shape[3] // 2) if means is None else (0,), dtype=torch.float32)


def _sizes(x: Tensor, weights: Sequence[Tensor]) -> list[int]:
    """`geometry` of csrc/branches.c."""
    return [x.shape[0] * x.shape[1] * x.shape[2], x.shape[3], x.shape[3] // 2, _freedom(weights)[0]]


def _focal_sizes(value: Tensor, weights: Sequence[Tensor], window: Window, dim: int) -> list[int]:
    """`geometry` of csrc/fsa.h; of the gates only the shape counts."""
    gates = value.new_empty(1).expand(*value.shape[:3], _freedom(weights)[1])
    return geometry(value, gates, value, window, dim, False)


def _means_sizes(x: Tensor) -> list[int]:
    """`geometry` of csrc/exchange.c."""
    return [x.shape[0], x.shape[1] * x.shape[2], x.shape[3] // 2, x.shape[3]]


def _ffn_sizes(x: Tensor, weights: Sequence[Tensor]) -> list[int]:
    """`geometry` of csrc/feed_forward.c."""
    return [*x.shape, _freedom(weights)[2]]


def _block_shapes(
    x: Tensor,
    means: Tensor | None,
    starts: Sequence[int],
    lengths: Sequence[int],
    keep: bool,
    weights: Sequence[Tensor],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    kept = [x.new_empty((*x.shape[:3], width)) for width in _widths(x, weights)] if keep else []
    return empty_like(x), _own_means(x, means), kept


def _block_backward_shapes(
    grad: Tensor, grad_means: Tensor | None, x: Tensor, means: Tensor, *rest: Any
) -> tuple[Any, ...]:
    return empty_like(x), means.new_empty(means.shape, dtype=torch.float32), [empty_like(weight) for weight in rest[-1]]


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, list[Tensor]]) -> None:
    x, means, ctx.starts, ctx.lengths, _, weights = inputs
    _, own, kept = output
    ctx.own = means is None
    ctx.mark_non_differentiable(*kept, *([] if ctx.own else [own]))
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, own if ctx.own else means, *kept, *weights)


def _autograd(ctx: Any, grad: Tensor | None, grad_own: Tensor | None, _: object) -> tuple[object, ...]:
    x, means, *rest = ctx.saved_tensors
    kept, weights = rest[: len(_KEPT)], rest[len(_KEPT) :]
    if grad is None:  # of the means alone
        grad = torch.zeros_like(x)
    grad_x, grad_means, grad_weights = torch.ops.lamnet.block_backward(
        grad, grad_own, x, means, ctx.own, ctx.starts, ctx.lengths, kept, weights
    )
    return grad_x, None if ctx.own else grad_means.to(means.dtype), None, None, None, grad_weights


torch.library.register_fake("lamnet::block", _block_shapes)
torch.library.register_fake("lamnet::block_backward", _block_backward_shapes)
torch.library.register_autograd("lamnet::block", _autograd, setup_context=_context)
refuse_second_derivative("lamnet::block_backward")
