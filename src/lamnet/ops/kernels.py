"""Calls of the kernels of a block, a function for each; csrc/arguments.h documents what they compute.

Images are contiguous and of one dtype, weights and their gradients of theirs, means float32. A forward fills tensors of its caller, since images share memory; a
backward returns new tensors and fills `grads`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lamnet.core.window import Window
from lamnet.ops import arguments
from lamnet.ops.block_weights import AttentionWeights, BlockWeights
from lamnet.ops.fsa import attention_sizes, strided
from lamnet.ops.native import DTYPES, call, empty_like


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _layer(weight: Tensor, bias: Tensor) -> arguments.Layer:
    return arguments.Layer(weight=weight.data_ptr(), bias=bias.data_ptr())


def branches(x: Tensor, weights: BlockWeights, c: Tensor, u: Tensor) -> None:
    """Fill the channel branch c, and the input u of the spatial branch's attentions."""
    call(
        arguments.BranchesArguments(
            sizes=_branches_sizes(x, weights),
            weights=_branches_weights(weights),
            x=x.data_ptr(),
            c=c.data_ptr(),
            u=u.data_ptr(),
        )
    )


def branches_backward(
    grad_c: Tensor, grad_u: Tensor, grad_residual: Tensor, x: Tensor, weights: BlockWeights, grads: BlockWeights
) -> Tensor:
    """Compute the gradient of x; that of the residual is added."""
    grad_x = empty_like(x)
    call(
        arguments.BranchesBackwardArguments(
            sizes=_branches_sizes(x, weights),
            weights=_branches_weights(weights),
            grads=_branches_weights(grads),
            grad_c=grad_c.data_ptr(),
            grad_u=grad_u.data_ptr(),
            grad_residual=grad_residual.data_ptr(),
            x=x.data_ptr(),
            grad_x=grad_x.data_ptr(),
        )
    )
    return grad_x


def _branches_sizes(x: Tensor, weights: BlockWeights) -> arguments.BranchesSizes:
    return arguments.BranchesSizes(
        threads=torch.get_num_threads(),
        dtype=DTYPES[x.dtype],
        pixels=x.shape[0] * x.shape[1] * x.shape[2],
        channels=x.shape[3],
        half=x.shape[3] // 2,
        narrow=weights.narrow,
    )


def _branches_weights(weights: BlockWeights) -> arguments.BranchesWeights:
    return arguments.BranchesWeights(
        dtype=DTYPES[weights.mixer_norm_weight.dtype],
        norm=_layer(weights.mixer_norm_weight, weights.mixer_norm_bias),
        project_in=_layer(weights.mixer_in_weight, weights.mixer_in_bias),
        channel_in=_layer(weights.channel_in_weight, weights.channel_in_bias),
        channel_out=_layer(weights.channel_out_weight, weights.channel_out_bias),
    )


def focal(
    value: Tensor, weights: AttentionWeights, window: Window, dim: int, out: Tensor, gates: Tensor | None
) -> None:
    """Fill the result of focal attention along `dim`, and its gates where there is a tensor for them."""
    call(
        arguments.FocalArguments(
            sizes=attention_sizes(value, weights.weight.shape[0], window, dim),
            weights=_focal_weights(weights),
            value=strided(value, dim),
            out=out.data_ptr(),
            gates=_address(gates),
        )
    )


def focal_backward(
    grad: Tensor,
    value: Tensor,
    gates: Tensor,
    window: Window,
    dim: int,
    weights: AttentionWeights,
    grads: AttentionWeights,
) -> Tensor:
    """Compute the gradient of the value."""
    grad_value = empty_like(value)
    call(
        arguments.FocalBackwardArguments(
            sizes=attention_sizes(value, weights.weight.shape[0], window, dim),
            weights=_focal_weights(weights),
            grads=_focal_weights(grads),
            grad=strided(grad, dim),
            value=strided(value, dim),
            gates=gates.data_ptr(),
            grad_value=grad_value.data_ptr(),
        )
    )
    return grad_value


def _focal_weights(weights: AttentionWeights) -> arguments.FocalWeights:
    return arguments.FocalWeights(
        dtype=DTYPES[weights.weight.dtype],
        depthwise=_layer(weights.depthwise_weight, weights.depthwise_bias),
        project=_layer(weights.weight, weights.bias),
    )


def exchange_means(c: Tensor, s: Tensor, means: Tensor) -> None:
    """Fill the image's own means, (B, 2, D)."""
    call(
        arguments.ExchangeMeansArguments(
            sizes=_exchange_sizes(c), c=c.data_ptr(), s=s.data_ptr(), means=means.data_ptr()
        )
    )


def exchange(c: Tensor, s: Tensor, means: Tensor, residual: Tensor, weights: BlockWeights, out: Tensor) -> None:
    """Fill the output of the mixer, its residual included."""
    call(
        arguments.ExchangeArguments(
            sizes=_exchange_sizes(c),
            weights=_exchange_weights(weights),
            c=c.data_ptr(),
            s=s.data_ptr(),
            residual=residual.data_ptr(),
            means=means.data_ptr(),
            out=out.data_ptr(),
        )
    )


def exchange_backward(
    grad: Tensor,
    c: Tensor,
    s: Tensor,
    means: Tensor,
    grad_extra: Tensor | None,
    own_means: bool,
    weights: BlockWeights,
    grads: BlockWeights,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of c, s and the means.

    `grad_extra` is added to that of the means. With `own_means`, those of c and s, their gradient goes on to c and s.
    """
    grad_c, grad_s, grad_means = empty_like(c), empty_like(s), torch.empty_like(means)
    call(
        arguments.ExchangeBackwardArguments(
            sizes=_exchange_sizes(c),
            weights=_exchange_weights(weights),
            grads=_exchange_weights(grads),
            grad=grad.data_ptr(),
            c=c.data_ptr(),
            s=s.data_ptr(),
            means=means.data_ptr(),
            grad_extra=_address(grad_extra),
            own_means=own_means,
            grad_c=grad_c.data_ptr(),
            grad_s=grad_s.data_ptr(),
            grad_means=grad_means.data_ptr(),
        )
    )
    return grad_c, grad_s, grad_means


def _exchange_sizes(c: Tensor) -> arguments.ExchangeSizes:
    return arguments.ExchangeSizes(
        threads=torch.get_num_threads(),
        dtype=DTYPES[c.dtype],
        batch=c.shape[0],
        pixels=c.shape[1] * c.shape[2],
        channels=c.shape[3],
        outputs=2 * c.shape[3],
    )


def _exchange_weights(weights: BlockWeights) -> arguments.ExchangeWeights:
    project_out = _layer(weights.mixer_out_weight, weights.mixer_out_bias)
    return arguments.ExchangeWeights(
        dtype=DTYPES[weights.mixer_scale.dtype], project_out=project_out, scale=weights.mixer_scale.data_ptr()
    )


def feed_forward(x: Tensor, weights: BlockWeights, out: Tensor, hidden: Tensor | None) -> None:
    """Fill the result, its residual included, and the output of the first 1x1 where there is a tensor for it."""
    sizes, learned = _feed_forward_sizes(x, weights), _feed_forward_weights(weights)
    call(
        arguments.FeedForwardArguments(
            sizes=sizes, weights=learned, x=x.data_ptr(), out=out.data_ptr(), hidden=_address(hidden)
        )
    )


def feed_forward_backward(
    grad: Tensor, x: Tensor, hidden: Tensor, weights: BlockWeights, grads: BlockWeights
) -> Tensor:
    """Compute the gradient of x."""
    grad_x = empty_like(x)
    call(
        arguments.FeedForwardBackwardArguments(
            sizes=_feed_forward_sizes(x, weights),
            weights=_feed_forward_weights(weights),
            grads=_feed_forward_weights(grads),
            grad=grad.data_ptr(),
            x=x.data_ptr(),
            hidden=hidden.data_ptr(),
            grad_x=grad_x.data_ptr(),
        )
    )
    return grad_x


def _feed_forward_sizes(x: Tensor, weights: BlockWeights) -> arguments.FeedForwardSizes:
    return arguments.FeedForwardSizes(
        threads=torch.get_num_threads(),
        dtype=DTYPES[x.dtype],
        batch=x.shape[0],
        height=x.shape[1],
        width=x.shape[2],
        channels=x.shape[3],
        hidden=weights.hidden,
    )


def _feed_forward_weights(weights: BlockWeights) -> arguments.FeedForwardWeights:
    return arguments.FeedForwardWeights(
        dtype=DTYPES[weights.ffn_scale.dtype],
        norm=_layer(weights.ffn_norm_weight, weights.ffn_norm_bias),
        project_in=_layer(weights.ffn_in_weight, weights.ffn_in_bias),
        depthwise=_layer(weights.ffn_depthwise_weight, weights.ffn_depthwise_bias),
        project_out=_layer(weights.ffn_out_weight, weights.ffn_out_bias),
        scale=weights.ffn_scale.data_ptr(),
    )
