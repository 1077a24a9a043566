"""Linear Adaptive Mixer Network (LAMNet), "Unifying Dimensions: A Linear Adaptive Mixer for Lightweight Image
Super-Resolution", Hu and Sun, IEEE TIP 2025, arXiv 2409.17597.

One file, PyTorch alone, written from the paper's formulas; Apache-2.0. `tests/integrations/test_spandrel_arch.py` of the
project lamnet-sr holds it equal to the network that the weights were trained with.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RGB_MEAN = (0.4488, 0.4371, 0.4040)
# Taps of the paper's focal window: where each begins, counted from the pixel, and how many pixels it averages.
STARTS = (-11, -7, -5, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8)
LENGTHS = (4, 2, 2, 1, 1, 1, 1, 1, 1, 1, 2, 2, 4)


def pixelwise(layer: nn.Linear, x: Tensor) -> Tensor:
    """A linear layer over the channels of each pixel of (B, C, H, W)."""
    if 0 in layer.weight.shape:  # inside a branch of one channel, which a convolution refuses
        return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return F.conv2d(x, layer.weight[:, :, None, None], layer.bias)


def normalise(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Layer norm over the channels of each pixel of (B, C, H, W)."""
    return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def per_channel(factor: Tensor) -> Tensor:
    return factor[:, None, None]


class FocalAttention(nn.Module):
    """Focal separable attention along one axis: a weighted sum of a window's taps, weights made from the input."""

    def __init__(self, channels: int, heads: int, starts: Sequence[int], lengths: Sequence[int], axis: int) -> None:
        super().__init__()
        self.heads, self.axis = heads, axis
        self.taps = list(zip(starts, lengths, strict=True))
        reach = max(0, -min(starts), *(start + length - 1 for start, length in self.taps))
        self.reach = reach
        kernel, padding = ((2 * reach + 1, 1), (reach, 0)) if axis == 2 else ((1, 2 * reach + 1), (0, reach))
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=padding, groups=channels)
        self.project = nn.Linear(channels, heads * len(self.taps))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        weights = torch.tanh(pixelwise(self.project, self.depthwise(x)))
        weights = weights.view(b, self.heads, len(self.taps), 1, h, w)
        padded = F.pad(x, (0, 0, self.reach, self.reach) if self.axis == 2 else (self.reach, self.reach))
        out = x.new_zeros(b, self.heads, c // self.heads, h, w)
        for tap, (start, length) in enumerate(self.taps):
            pixels = [padded.narrow(self.axis, self.reach + start + j, x.shape[self.axis]) for j in range(length)]
            mean = torch.stack(pixels).sum(0) / length
            out = out + weights[:, :, tap] * mean.view(b, self.heads, c // self.heads, h, w)
        return out.view(b, c, h, w)


class LAM(nn.Module):
    """Linear adaptive mixer: a channel and a spatial branch that exchange information."""

    def __init__(self, channels: int, heads: int, starts: Sequence[int], lengths: Sequence[int]) -> None:
        super().__init__()
        inner = channels // 2
        self.project_in = nn.Linear(channels, channels)
        self.channel_in = nn.Linear(inner, inner // 2)
        self.channel_out = nn.Linear(inner // 2, inner)
        self.horizontal = FocalAttention(inner, heads, starts, lengths, axis=3)
        self.vertical = FocalAttention(inner, heads, starts, lengths, axis=2)
        self.project_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        u1, u2 = pixelwise(self.project_in, x).chunk(2, dim=1)
        c = pixelwise(self.channel_out, F.relu(pixelwise(self.channel_in, u1)))
        s = self.vertical(self.horizontal(u2))
        # the means over all pixels in float32: in float16 their sums overflow
        c32, s32 = c.float(), s.float()
        m = s32.mean((2, 3), keepdim=True).to(c.dtype)
        r = (s32 * c32.mean(1, keepdim=True)).mean((2, 3), keepdim=True).to(c.dtype)
        o1 = c * torch.sigmoid((c * m).sum(1, keepdim=True) / c.shape[1])
        o2 = s * torch.sigmoid(r)
        return pixelwise(self.project_out, torch.cat([o1, o2], 1))


class DGFN(nn.Module):
    """Dual-gated feed-forward network."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.project_in = nn.Linear(channels, 2 * hidden)
        self.depthwise = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden)
        self.project_out = nn.Linear(2 * hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        z1, z2 = self.depthwise(pixelwise(self.project_in, x)).chunk(2, dim=1)
        gate = F.gelu(z1)
        return pixelwise(self.project_out, torch.cat([gate * z1, gate * z2], 1))


class Block(nn.Module):
    """A mixer and a feed-forward, each on normalised input and added with a learned factor per channel."""

    def __init__(self, channels: int, heads: int, hidden: int, starts: Sequence[int], lengths: Sequence[int]) -> None:
        super().__init__()
        self.mixer_norm = nn.LayerNorm(channels)
        self.mixer = LAM(channels, heads, starts, lengths)
        self.mixer_scale = nn.Parameter(torch.ones(channels))
        self.ffn_norm = nn.LayerNorm(channels)
        self.ffn = DGFN(channels, hidden)
        self.ffn_scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = x + per_channel(self.mixer_scale) * self.mixer(normalise(self.mixer_norm, x))
        return x + per_channel(self.ffn_scale) * self.ffn(normalise(self.ffn_norm, x))


class Group(nn.Module):
    """Blocks inside a residual with a learned factor per channel."""

    def __init__(
        self, blocks: int, channels: int, heads: int, hidden: int, starts: Sequence[int], lengths: Sequence[int]
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels, heads, hidden, starts, lengths) for _ in range(blocks))
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for block in self.blocks:
            y = block(y)
        return x + per_channel(self.scale) * y


class LAMNet(nn.Module):
    """(B, 3, H, W) RGB in [0, 1] -> (B, 3, scale*H, scale*W), not clamped."""

    def __init__(
        self,
        *,
        scale: int = 4,
        channels: int = 64,
        groups: int = 4,
        blocks: int = 6,
        heads: int = 4,
        hidden: int = 64,
        starts: Sequence[int] = STARTS,
        lengths: Sequence[int] = LENGTHS,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.groups = nn.ModuleList(Group(blocks, channels, heads, hidden, starts, lengths) for _ in range(groups))
        self.fuse = nn.Conv2d(channels, channels, 3, padding=1)
        self.fuse_scale = nn.Parameter(torch.ones(channels))
        self.tail = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.new_tensor(RGB_MEAN)[:, None, None]
        shallow = deep = self.head(x - mean)
        for group in self.groups:
            deep = group(deep)
        deep = self.fuse(deep) * per_channel(self.fuse_scale) + shallow
        return F.pixel_shuffle(self.tail(deep), self.scale) + mean
