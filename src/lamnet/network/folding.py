"""A network's weights folded for other programs: convolutions only, with norms and factors inside them. NumPy alone.

A norm's gain and offset go into the 1x1 convolution after it, a factor per channel into the convolution before it. The
first 1x1 of the channel branch is merged with its half of the mixer's first, which it follows directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lamnet.core.config import RGB_MEAN, LAMNetConfig

Array = NDArray[np.float32]
State = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Conv:
    """A zero-padded convolution that keeps the size: weight (out, in, kh, kw), (C, 1, kh, kw) for a depthwise one; bias (out)."""

    weight: Array
    bias: Array
    depthwise: bool = False

    @property
    def pads(self) -> tuple[int, int]:
        """Rows and columns of zeros on each side."""
        return self.weight.shape[2] // 2, self.weight.shape[3] // 2


@dataclass(frozen=True)
class Attention:
    """The weights of FSA along one axis before tanh; `project` gives them tap by tap: tap*heads + head."""

    depthwise: Conv
    project: Conv


@dataclass(frozen=True)
class Block:
    """A block, its two norms without gain and offset.

    With n the normalised input: c = channel_out(relu(channel_in(n))), s = vertical(horizontal(value(n))), and the mixer
    adds project_out([o1, o2]); the feed-forward adds ffn_out of its gates.
    """

    channel_in: Conv
    channel_out: Conv
    value: Conv
    horizontal: Attention
    vertical: Attention
    project_out: Conv
    ffn_in: Conv
    ffn_depthwise: Conv
    ffn_out: Conv


@dataclass(frozen=True)
class Group:
    """Blocks, and the factor (C) of their output, to which the group's input is added."""

    blocks: tuple[Block, ...]
    scale: Array


@dataclass(frozen=True)
class Folded:
    """A network: `head` of the input less `mean` (3), groups, `fuse` with its factor, `tail` with the mean in its bias."""

    config: LAMNetConfig
    mean: Array
    head: Conv
    groups: tuple[Group, ...]
    fuse: Conv
    tail: Conv


def fold(config: LAMNetConfig, state: State) -> Folded:
    """Fold the tensors of a network, by their names in its state dict; sums are in float64, results in float32."""
    mean = np.array(RGB_MEAN)
    tail_weight, tail_bias = _layer(state, "tail")
    return Folded(
        config=config,
        mean=mean.astype(np.float32),
        head=_conv(*_layer(state, "head")),
        groups=tuple(
            Group(
                tuple(_block(config, state, f"groups.{group}.blocks.{block}.") for block in range(config.blocks)),
                np.asarray(state[f"groups.{group}.scale"], np.float32),
            )
            for group in range(config.groups)
        ),
        fuse=_conv(*_times(_layer(state, "fuse"), state["fuse_scale"])),
        tail=_conv(tail_weight, tail_bias + mean.repeat(config.scale**2)),
    )


_Layer = tuple[NDArray[np.float64], NDArray[np.float64]]


def _layer(state: State, name: str) -> _Layer:
    """Take weight and bias in float64; the weight of a 1x1 as (out, in, 1, 1)."""
    weight, bias = (np.asarray(state[f"{name}.{part}"], np.float64) for part in ("weight", "bias"))
    return (weight[:, :, None, None] if weight.ndim == 2 else weight), bias


def _conv(weight: NDArray[np.float64], bias: NDArray[np.float64], depthwise: bool = False) -> Conv:
    return Conv(np.ascontiguousarray(weight, np.float32), np.ascontiguousarray(bias, np.float32), depthwise)


def _times(layer: _Layer, factor: NDArray[np.floating]) -> _Layer:
    """Multiply the output of a convolution with a factor per channel."""
    weight, bias = layer
    return weight * np.asarray(factor, np.float64)[:, None, None, None], bias * factor


def _behind_norm(layer: _Layer, norm: _Layer) -> _Layer:
    """Turn a 1x1 convolution of x*gain + offset into one of x."""
    (weight, bias), (gain, offset) = layer, norm
    return weight * gain[:, None, None], bias + weight[:, :, 0, 0] @ offset


def _after(second: _Layer, first: _Layer) -> _Layer:
    """Merge two 1x1 convolutions."""
    (outer, outer_bias), (inner, inner_bias) = second, first
    weight = outer[:, :, 0, 0] @ inner[:, :, 0, 0]
    return weight[:, :, None, None], outer_bias + outer[:, :, 0, 0] @ inner_bias


def _norm(state: State, name: str) -> _Layer:
    gain, offset = (np.asarray(state[f"{name}.{part}"], np.float64) for part in ("weight", "bias"))
    return gain, offset


def _block(config: LAMNetConfig, state: State, prefix: str) -> Block:
    half = config.channels // 2
    weight, bias = _behind_norm(_layer(state, prefix + "mixer.project_in"), _norm(state, prefix + "mixer_norm"))
    ffn_in = _behind_norm(_layer(state, prefix + "ffn.project_in"), _norm(state, prefix + "ffn_norm"))
    channel_in = _after(_layer(state, prefix + "mixer.channel_in"), (weight[:half], bias[:half]))
    channel_out = _layer(state, prefix + "mixer.channel_out")
    if (
        half == 1
    ):  # nothing lies between the two then, which other programs do not take; a channel of zeros does the same
        channel_in = np.zeros((1, config.channels, 1, 1)), np.zeros(1)
        channel_out = np.zeros((1, 1, 1, 1)), channel_out[1]
    return Block(
        channel_in=_conv(*channel_in),
        channel_out=_conv(*channel_out),
        value=_conv(weight[half:], bias[half:]),
        horizontal=_attention(config, state, prefix + "mixer.horizontal."),
        vertical=_attention(config, state, prefix + "mixer.vertical."),
        project_out=_conv(*_times(_layer(state, prefix + "mixer.project_out"), state[prefix + "mixer_scale"])),
        ffn_in=_conv(*ffn_in),
        ffn_depthwise=_conv(*_layer(state, prefix + "ffn.depthwise"), depthwise=True),
        ffn_out=_conv(*_times(_layer(state, prefix + "ffn.project_out"), state[prefix + "ffn_scale"])),
    )


def _attention(config: LAMNetConfig, state: State, prefix: str) -> Attention:
    weight, bias = _layer(state, prefix + "project")
    by_tap = np.arange(len(bias)).reshape(config.heads, config.window.taps).T.ravel()
    depthwise = _conv(*_layer(state, prefix + "depthwise"), depthwise=True)
    return Attention(depthwise, _conv(weight[by_tap], bias[by_tap]))
