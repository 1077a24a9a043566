"""The Linear Adaptive Mixer Network (arXiv 2409.17597).

Inside the network an image is (B, H, W, C): pixels are rows, so layer norm and every 1x1 convolution are one native call
without a copy. One forward serves training and inference.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lamnet.base.errors import BadArgumentError
from lamnet.core.config import RGB_MEAN, LAMNetConfig
from lamnet.network import layers, parts
from lamnet.network.layers import DGFN, LAM, FocalAttention
from lamnet.ops.block import fits, fused_block, fused_branches
from lamnet.ops.residual import add_scaled


def _conv(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Apply a convolution to (B, H, W, C); the permutations are views, which PyTorch knows as channels-last memory."""
    return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()


def _pixel_shuffle(x: Tensor, scale: int) -> Tensor:
    """Turn (B, H, W, C*scale*scale) into (B, C, scale*H, scale*W), with a gradient that is channels-last as x is."""
    split = x.reshape(*x.shape[:3], x.shape[3] // scale**2, scale, scale)
    return split.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def _scaled(dim: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(dim))


class Block(nn.Module):
    """A mixer and a feed-forward, each on normalised input and added with a learned factor per channel.

    On the C kernels the whole block is one operator; the rest of `forward` is its definition.
    """

    def __init__(self, config: LAMNetConfig) -> None:
        super().__init__()
        self.window = config.window
        self.mixer_norm = nn.LayerNorm(config.channels)
        self.mixer = LAM(config)
        self.mixer_scale = _scaled(config.channels)
        self.ffn_norm = nn.LayerNorm(config.channels)
        self.ffn = DGFN(config)
        self.ffn_scale = _scaled(config.channels)

    def forward(self, x: Tensor, means: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run the block on x (B, H, W, C); return the exchange means used too: those given, else x's own."""
        if fits(x) and not _is_changed(self):
            return fused_block(x, self.weights(), self.window, means)
        mixed, used = self.mixer(self.mixer_norm(x), means)
        x = torch.addcmul(x, mixed, self.mixer_scale)
        return torch.addcmul(x, self.ffn(self.ffn_norm(x)), self.ffn_scale), used

    def branches(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the mixer's branches c and s for the block's input x, (B, H, W, C/2) each."""
        if fits(x) and not _is_changed(self):
            return fused_branches(x, self.weights(), self.window)
        return self.mixer.branches(self.mixer_norm(x))

    def weights(self) -> list[Tensor]:
        """List the block's learned tensors, in the order of ops.block_weights.BlockWeights."""
        return parts.weights_of(self)


class Group(nn.Module):
    """N blocks inside a residual with a learned factor per channel."""

    def __init__(self, config: LAMNetConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.scale = _scaled(config.channels)

    def forward(self, x: Tensor, means: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run the group on x (B, H, W, C); return the exchange means used too, (B, N, 2, D): the first N given, else x's."""
        y = x
        used: list[Tensor] = []
        for block in self.blocks:
            y, own = block(y, None if means is None else means[:, len(used)])
            used.append(own)
        return add_scaled(x, y, self.scale), torch.stack(used, 1)


class LAMNet(nn.Module):
    """Super-resolution of RGB images: (B, 3, H, W) in [0, 1] -> (B, 3, scale*H, scale*W), not clamped."""

    def __init__(self, config: LAMNetConfig) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Conv2d(3, config.channels, 3, padding=1)
        self.groups = nn.ModuleList(Group(config) for _ in range(config.groups))
        self.fuse = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self.fuse_scale = _scaled(config.channels)
        self.tail = nn.Conv2d(config.channels, 3 * config.scale**2, 3, padding=1)
        self.apply(_initialise)

    @property
    def mean(self) -> Tensor:
        """The colour that the network takes for zero, (3,); a constant and not a buffer, so that loading cannot lose it."""
        like = self.fuse_scale
        return torch.cat([torch.full((1,), value, dtype=like.dtype, device=like.device) for value in RGB_MEAN])

    def forward(self, x: Tensor) -> Tensor:
        """Upscale (B, 3, H, W) in [0, 1], float32 or in autocast's dtype, to (B, 3, scale*H, scale*W), not clamped.

        Raises BadArgumentError for another shape or whole numbers.
        """
        return self.forward_with_means(x)[0]

    def forward_with_means(self, x: Tensor, means: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the output and the exchange means used, (B, G*N, 2, D) float32: `means` where given, else x's own."""
        if x.dim() != 4 or x.shape[1] != 3 or 0 in x.shape[2:]:
            raise BadArgumentError(f"x: expected (B, 3, H, W), got {tuple(x.shape)}")
        if not x.dtype.is_floating_point:
            raise BadArgumentError(f"x: expected numbers in [0, 1], got {x.dtype}")
        shallow = deep = self.shallow(x)
        used: list[Tensor] = []
        for group in self.groups:
            deep, own = group(deep, means)
            used.append(own)
            means = None if means is None else means[:, own.shape[1] :]
        return self.reconstruct(shallow, deep), torch.cat(used, 1)

    def shallow(self, x: Tensor) -> Tensor:
        """Compute the features that the groups start from, (B, 3, H, W) -> (B, H, W, C); reach 1 pixel."""
        return _conv((x.permute(0, 2, 3, 1) - self.mean).contiguous(), self.head)

    def reconstruct(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """Compute the output, (B, 3, scale*H, scale*W), from the features before and after the groups; reach 2 pixels."""
        deep = add_scaled(shallow, _conv(deep, self.fuse), self.fuse_scale)
        out = _conv(deep, self.tail)
        out = out + self.mean.to(out.dtype).repeat_interleave(self.config.scale**2)
        return _pixel_shuffle(out, self.config.scale)


def _initialise(module: nn.Module) -> None:
    """Draw weights from a normal of deviation 0.02 and set biases to zero; norms and factors stay one."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _definition() -> tuple[Any, ...]:
    """List the functions that define a block, as they are now."""
    return (
        *(
            layers.exchange_means,
            layers.fsa_channels_last,
            layers.depthwise,
            F.relu,
            F.gelu,
            F.linear,
            F.conv2d,
            F.layer_norm,
        ),
        *(torch.sigmoid, torch.tanh, torch.addcmul, nn.Module.__call__, Block.forward, LAM.forward, LAM.branches),
        *(FocalAttention.forward, DGFN.forward, nn.Linear.forward, nn.LayerNorm.forward, nn.Conv2d.forward),
        *(FocalAttention.__call__, DGFN.__call__, nn.Linear.__call__, nn.LayerNorm.__call__, nn.Conv2d.__call__),
        *(LAM.__call__, getattr(nn.Module, "_call_impl"), getattr(nn.Conv2d, "_conv_forward")),  # noqa: B009
        *(torch.cat, torch.einsum, torch.stack, torch.relu, torch.layer_norm, Tensor.chunk, Tensor.mean, Tensor.unbind),
    )


_DEFINITION = _definition()


@cache
def _untouched() -> tuple[Block, tuple[Any, ...]]:
    """Make an unchanged block, and its facts."""
    with torch.device("meta"):
        block = Block(LAMNetConfig.tiny(2))
    return block, parts.facts(parts.parts_of(block))


def _is_changed(block: Block) -> bool:
    """Tell whether a block was changed, so that the kernels would not compute what it defines; warn if so."""
    replaced = [was.__qualname__ for one, was in zip(_definition(), _DEFINITION, strict=True) if one is not was]
    what = f"another {replaced[0]}" if replaced else parts.change(block, *_untouched())
    if what is not None:
        parts.warn_once(what)
    return what is not None


_is_changed._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as in backend_for
