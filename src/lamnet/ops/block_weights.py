"""The learned tensors of a block by name: the order in which operators take them, and their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lamnet.base.errors import BadArgumentError
from lamnet.core.window import Window
from lamnet.ops.native import check, check_image

LANES = 16  # as in csrc/common.h: the kernels of focal attention take multiples of it


class AttentionWeights(NamedTuple):
    """The weights of a focal attention, or their gradients: a depthwise convolution and the 1x1 after it."""

    depthwise_weight: Tensor
    depthwise_bias: Tensor
    weight: Tensor
    bias: Tensor


class BlockWeights(NamedTuple):
    """The weights of a block, or their gradients, in the order in which an operator takes them."""

    mixer_norm_weight: Tensor
    mixer_norm_bias: Tensor
    mixer_in_weight: Tensor
    mixer_in_bias: Tensor
    channel_in_weight: Tensor
    channel_in_bias: Tensor
    channel_out_weight: Tensor
    channel_out_bias: Tensor
    horizontal_depthwise_weight: Tensor
    horizontal_depthwise_bias: Tensor
    horizontal_weight: Tensor
    horizontal_bias: Tensor
    vertical_depthwise_weight: Tensor
    vertical_depthwise_bias: Tensor
    vertical_weight: Tensor
    vertical_bias: Tensor
    mixer_out_weight: Tensor
    mixer_out_bias: Tensor
    mixer_scale: Tensor
    ffn_norm_weight: Tensor
    ffn_norm_bias: Tensor
    ffn_in_weight: Tensor
    ffn_in_bias: Tensor
    ffn_depthwise_weight: Tensor
    ffn_depthwise_bias: Tensor
    ffn_out_weight: Tensor
    ffn_out_bias: Tensor
    ffn_scale: Tensor

    @property
    def narrow(self) -> int:
        """Number of channels at the channel branch's relu."""
        return self.channel_in_weight.shape[0]

    @property
    def gates(self) -> int:
        """heads*K, the number of weights of a pixel's focal attention."""
        return self.horizontal_weight.shape[0]

    @property
    def hidden(self) -> int:
        """Number of hidden channels of the feed-forward, both halves."""
        return self.ffn_in_weight.shape[0]

    @property
    def horizontal(self) -> AttentionWeights:
        """The weights of the focal attention along the width."""
        return AttentionWeights(
            self.horizontal_depthwise_weight,
            self.horizontal_depthwise_bias,
            self.horizontal_weight,
            self.horizontal_bias,
        )

    @property
    def vertical(self) -> AttentionWeights:
        """The weights of the focal attention along the height."""
        return AttentionWeights(
            self.vertical_depthwise_weight, self.vertical_depthwise_bias, self.vertical_weight, self.vertical_bias
        )


def weights_for(x: Tensor, weights: Sequence[Tensor], window: Window) -> BlockWeights:
    """Check weights for an image x (B, H, W, C); make them contiguous and of one dtype, float32 or x's.

    Raises:
        BadArgumentError: x or one of the weights does not fit; names the tensor, expected and got.
    """
    check_image("x", x)
    channels = x.shape[3]
    if channels % (2 * LANES):
        raise BadArgumentError(f"x: expected a multiple of {2 * LANES} channels, got {channels}")
    if len(weights) != len(BlockWeights._fields):
        raise BadArgumentError(f"weights: expected {len(BlockWeights._fields)} tensors, got {len(weights)}")
    given = BlockWeights(*weights)
    for name, weight, shape in zip(given._fields, given, _shapes(channels, given, window), strict=True):
        check(name, weight, shape, torch.float32 if weight.dtype == torch.float32 else x.dtype)
    dtype = torch.float32 if all(weight.dtype == torch.float32 for weight in given) else x.dtype
    return BlockWeights(*(in_dtype(weight, dtype).contiguous() for weight in given))


def in_dtype(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast a tensor to a dtype, without a call where it has it: there are many tensors, and small ones."""
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def _shapes(channels: int, weights: BlockWeights, window: Window) -> list[tuple[int, ...]]:
    """List the shapes that the weights must have; sizes that do not follow from the channels are read off the weights."""
    half, narrow, gates, hidden = channels // 2, weights.narrow, weights.gates, weights.hidden
    if hidden % 2:
        raise BadArgumentError(f"ffn_in_weight: expected an even number of outputs, got {hidden}")
    if gates == 0 or gates % window.taps or half % (gates // window.taps):
        raise BadArgumentError(
            f"horizontal_weight: expected heads*{window.taps} outputs with heads dividing {half}, got {gates}"
        )
    project = (gates, half), (gates,)
    return [
        *((channels,), (channels,), (channels, channels), (channels,)),
        *((narrow, half), (narrow,), (half, narrow), (half,)),
        *((half, 1, 1, window.span), (half,), *project),
        *((half, 1, window.span, 1), (half,), *project),
        *((channels, channels), (channels,), (channels,)),
        *((channels,), (channels,), (hidden, channels), (hidden,)),
        *((hidden, 1, 3, 3), (hidden,), (channels, hidden), (channels,), (channels,)),
    ]
