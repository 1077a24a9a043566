"""A block of the network on the C kernels: one operator for the whole block, forward and backward.

The definition of a block, in plain PyTorch, is in network/model.py and layers.py; it runs wherever this operator cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from lamnet.core.window import Window
from lamnet.ops import kernels, memory
from lamnet.ops.backend import autocast, differentiates, is_native
from lamnet.ops.block_weights import LANES, BlockWeights, in_dtype, weights_for
from lamnet.ops.flops import register_when_counting
from lamnet.ops.fsa import HEIGHT, WIDTH
from lamnet.ops.native import check, empty_like
from lamnet.ops.operator import (
    check_first_derivative,
    is_eager,
    is_transformed,
    is_watched,
    operator,
    refuse_second_derivative,
)


def fits(x: Tensor) -> bool:
    """Tell whether `fused_block` and `fused_branches` take x (B, H, W, C)."""
    return is_native(x) and x.shape[3] % (2 * LANES) == 0 and not (is_transformed() or is_watched(x))


def fused_block(
    x: Tensor, weights: Sequence[Tensor], window: Window, means: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run a block on x (B, H, W, C); return its output and the exchange means used, (B, 2, C/2) float32.

    `weights` are in the order of BlockWeights, in float32 or x's dtype; `means` are x's own when left out.
    """
    register_when_counting()
    (x,) = autocast(x)
    keep = differentiates(x, *weights)
    if keep and is_eager():
        out, own = cast("Any", _Block).apply(x, means, window.starts, window.lengths, *weights)
        return out, own if means is None else means
    out, own, _ = torch.ops.lamnet.block(x, means, window.starts, window.lengths, keep, weights)
    return out, own if means is None else means


def fused_branches(x: Tensor, weights: Sequence[Tensor], window: Window) -> tuple[Tensor, Tensor]:
    """Compute the channel and the spatial branch before their exchange, (B, H, W, C/2) each, without gradients."""
    x = x.contiguous()
    images, _ = _allocated(x, None)
    _branches(x, weights_for(x, weights, window), window, images)
    return images.c, images.s


class _Images(NamedTuple):
    """The intermediate images of a block, (B, H, W, ...); the last three are written to memory only for a backward."""

    c: Tensor  # the channel branch
    u: Tensor  # the spatial branch before, between and after its two attentions
    across: Tensor
    s: Tensor
    y: Tensor  # after the mixer
    gates_across: Tensor | None = None
    gates_down: Tensor | None = None
    hidden: Tensor | None = None


def _kept_widths(x: Tensor, weights: BlockWeights) -> tuple[int, ...]:
    """Return the numbers of channels of the images that are kept for a backward, all of _Images."""
    half = x.shape[3] // 2
    return half, half, half, half, x.shape[3], weights.gates, weights.gates, weights.hidden


def _allocated(x: Tensor, kept: BlockWeights | None) -> tuple[_Images, Tensor]:
    """Allocate the images and the result; where no image is kept they share two tensors of x's size."""
    if kept is not None:
        return _Images(*(x.new_empty(*x.shape[:3], width) for width in _kept_widths(x, kept))), empty_like(x)
    y, out = memory.reusable_like(x), memory.reusable_like(x)
    half = 2, *x.shape[:3], x.shape[3] // 2
    c, s = out.view(half)
    return _Images(c, s, y.view(half)[0], s, y), out


def _branches(x: Tensor, weights: BlockWeights, window: Window, images: _Images) -> None:
    """Fill the images of both branches, and the gates where they are allocated."""
    kernels.branches(x, weights, images.c, images.u)
    kernels.focal(images.u, weights.horizontal, window, WIDTH, images.across, images.gates_across)
    kernels.focal(images.across, weights.vertical, window, HEIGHT, images.s, images.gates_down)


@operator("lamnet::block")
def _block(
    x: Tensor,
    means: Tensor | None,
    starts: Sequence[int],
    lengths: Sequence[int],
    keep: bool,
    weights: Sequence[Tensor],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return the result; the image's own means, empty where means are given; all of _Images with `keep`, else none."""
    x, window = x.contiguous(), Window(tuple(starts), tuple(lengths))
    learned = weights_for(x, weights, window)
    own = _own_means(x, means)
    images, out = _allocated(x, learned if keep else None)
    _branches(x, learned, window, images)
    if means is None:
        kernels.exchange_means(images.c, images.s, own)
    else:
        check("means", means.float(), _own_means(x, None).shape, torch.float32)
    used = own if means is None else means.float().contiguous()
    kernels.exchange(images.c, images.s, used, x, learned, images.y)
    kernels.feed_forward(images.y, learned, out, images.hidden)
    return out, own, [image for image in images if image is not None] if keep else []


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
    """Return the gradients of x, the means and the weights; with `own` the means are x's, and so is their gradient."""
    x, window = x.contiguous(), Window(tuple(starts), tuple(lengths))
    learned = weights_for(x, weights, window)
    check("grad", grad, x.shape, x.dtype)
    for name, image, width in zip(_Images._fields, kept, _kept_widths(x, learned), strict=True):
        check(name, image, (*x.shape[:3], width), x.dtype)
    check("means", means.float(), _own_means(x, None).shape, torch.float32)
    if grad_means is not None:
        check("grad_means", grad_means, means.shape, torch.float32)
        grad_means = grad_means.contiguous()
    memory.keep()
    c, u, across, s, y, gates_across, gates_down, hidden = (image.contiguous() for image in kept)
    grad, means = grad.contiguous(), means.float().contiguous()
    grads = BlockWeights(*(empty_like(weight) for weight in learned))
    grad_y = kernels.feed_forward_backward(grad, y, hidden, learned, grads)
    grad_c, grad_s, grad_sums = kernels.exchange_backward(grad_y, c, s, means, grad_means, own, learned, grads)
    grad_across = kernels.focal_backward(grad_s, across, gates_down, window, HEIGHT, learned.vertical, grads.vertical)
    grad_u = kernels.focal_backward(grad_across, u, gates_across, window, WIDTH, learned.horizontal, grads.horizontal)
    grad_x = kernels.branches_backward(grad_c, grad_u, grad_y, x, learned, grads)
    return grad_x, grad_sums, [in_dtype(grad, weight.dtype) for grad, weight in zip(grads, weights, strict=True)]


def _own_means(x: Tensor, means: Tensor | None) -> Tensor:
    """Allocate the image's own means; empty where means are given."""
    return x.new_empty((x.shape[0], 2, x.shape[3] // 2) if means is None else (0,), dtype=torch.float32)


def _block_shapes(
    x: Tensor,
    means: Tensor | None,
    starts: Sequence[int],
    lengths: Sequence[int],
    keep: bool,
    weights: Sequence[Tensor],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    widths = _kept_widths(x, BlockWeights(*weights)) if keep else ()
    kept = [x.new_empty((*x.shape[:3], width)) for width in widths]
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


def _autograd(
    ctx: Any,
    grad: Tensor | None,
    grad_own: Tensor | None,
    _: object,
    backward: Callable[..., tuple[Tensor, Tensor, list[Tensor]]] | None = None,
) -> tuple[Any, ...]:
    check_first_derivative("lamnet::block", grad, grad_own)
    x, means, *rest = ctx.saved_tensors
    kept, weights = rest[: len(_Images._fields)], rest[len(_Images._fields) :]
    if grad is None:  # of the means alone
        grad = torch.zeros_like(x)
    grad_x, grad_means, grad_weights = (backward or torch.ops.lamnet.block_backward)(
        grad, grad_own, x, means, ctx.own, ctx.starts, ctx.lengths, kept, weights
    )
    return grad_x, None if ctx.own else grad_means.to(means.dtype), None, None, None, grad_weights


class _Block(torch.autograd.Function):
    """The operator in a training, where PyTorch's way from an operator to its functions takes twice as long as our own calls."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, means: Tensor | None, starts: tuple[int, ...], lengths: tuple[int, ...], *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        output = _block(x, means, starts, lengths, True, weights)
        _context(ctx, (x, means, starts, lengths, True, weights), output)
        return output[:2]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[object, ...]:
        grad, grad_own = grads
        *of_inputs, _, of_weights = _autograd(ctx, grad, grad_own, None, _block_backward)
        return *of_inputs, *of_weights


torch.library.register_fake("lamnet::block", _block_shapes)
torch.library.register_fake("lamnet::block_backward", _block_backward_shapes)
torch.library.register_autograd("lamnet::block", _autograd, setup_context=_context)
refuse_second_derivative("lamnet::block_backward")
