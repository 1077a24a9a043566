"""The layers of a block: focal attention, the mixer (LAM) with its exchange (IEM), the feed-forward (DGFN).

They are the definition of what the kernels compute. Images are (B, H, W, C), see `model`.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lamnet.core.config import LAMNetConfig
from lamnet.network import parts
from lamnet.ops.depthwise import depthwise as depthwise_kernel
from lamnet.ops.depthwise import has_kernel
from lamnet.ops.fsa import HEIGHT, WIDTH, fsa_channels_last


def depthwise(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """Apply a depthwise convolution to (B, H, W, C).

    On a CPU it runs in float32 or more, since oneDNN's bfloat16 takes minutes for long kernels. On a GPU it has a kernel of its
    own where Triton runs. A layer that has been changed is called as it is.
    """
    if not _is_plain(conv):
        return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    if has_kernel(x):
        return depthwise_kernel(x, conv.weight, cast("Tensor", conv.bias))
    if x.is_cpu and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return depthwise(x, conv)
    dtype = torch.promote_types(x.dtype, torch.float32) if x.is_cpu else x.dtype
    weight, bias = conv.weight, cast("Tensor", conv.bias)
    planes, padding = x.permute(0, 3, 1, 2).to(dtype), (weight.shape[2] // 2, weight.shape[3] // 2)
    out = F.conv2d(planes, weight.to(dtype), bias.to(dtype), padding=padding, groups=x.shape[3])
    return out.permute(0, 2, 3, 1).to(x.dtype)


def _is_plain(conv: nn.Conv2d) -> bool:
    """Tell whether a depthwise convolution is only its weight and bias."""
    return (nn.Conv2d.forward, F.conv2d) == _CONVOLUTION and parts.is_plain(conv)


_CONVOLUTION = nn.Conv2d.forward, F.conv2d
_is_plain._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as in backend_for


def exchange_means(c: Tensor, s: Tensor) -> Tensor:
    """Compute the two means of the IEM over all pixels of c and s (B, H, W, D), as (B, 2, D) float32.

    They are the mean of s, and the mean of s times the channels' mean of c. They alone tie a pixel to the whole image, so
    code that works part by part first gathers them and then uses them.
    """
    flat = s.flatten(1, 2).float()  # (B, HW, D)
    r = c.flatten(1, 2).float().mean(-1, keepdim=True)  # (B, HW, 1)
    return torch.stack([flat.mean(1), (flat * r).mean(1)], 1)


class FocalAttention(nn.Module):
    """FSA along one axis, its weights tanh(conv1x1(depthwise 1xS or Sx1)), (B, H, W, D) -> (B, H, W, D)."""

    def __init__(self, config: LAMNetConfig, dim: int) -> None:
        super().__init__()
        inner, reach = config.channels // 2, config.window.reach
        self.window, self.dim = config.window, dim
        self.depthwise = nn.Conv2d(
            inner,
            inner,
            (config.window.span, 1) if dim == HEIGHT else (1, config.window.span),
            padding=(reach, 0) if dim == HEIGHT else (0, reach),
            groups=inner,
        )
        self.project = nn.Linear(inner, config.heads * config.window.taps)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.project(depthwise(x, self.depthwise))
        return fsa_channels_last(x, logits, self.window, self.dim, logits=True)


class LAM(nn.Module):
    """Linear adaptive mixer: a channel and a spatial branch that exchange information (IEM)."""

    def __init__(self, config: LAMNetConfig) -> None:
        super().__init__()
        channels, inner = config.channels, config.channels // 2
        self.project_in = nn.Linear(channels, channels)
        self.channel_in = nn.Linear(inner, inner // 2)
        self.channel_out = nn.Linear(inner // 2, inner)
        self.horizontal = FocalAttention(config, WIDTH)
        self.vertical = FocalAttention(config, HEIGHT)
        self.project_out = nn.Linear(channels, channels)

    def branches(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the channel branch c and the spatial branch s, (B, H, W, D) each; reach window.reach pixels."""
        u1, u2 = self.project_in(x).chunk(2, dim=-1)
        return self.channel_out(F.relu(self.channel_in(u1))), self.vertical(self.horizontal(u2))

    def forward(self, x: Tensor, means: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the mixed image, and the exchange means used: those given, else x's own."""
        c, s = self.branches(x)
        used = exchange_means(c, s) if means is None else means
        m, sr = used.to(c.dtype).unbind(1)  # (B, D) each
        pixel_gate = torch.sigmoid(torch.einsum("bhwd,bd->bhw", c, m) / c.shape[-1])
        channel_gate = torch.sigmoid(sr)
        return self.project_out(torch.cat([c * pixel_gate[..., None], s * channel_gate[:, None, None]], -1)), used


class DGFN(nn.Module):
    """Dual-gated feed-forward network."""

    def __init__(self, config: LAMNetConfig) -> None:
        super().__init__()
        both = 2 * config.hidden
        self.project_in = nn.Linear(config.channels, both)
        self.depthwise = nn.Conv2d(both, both, 3, padding=1, groups=both)
        self.project_out = nn.Linear(both, config.channels)

    def forward(self, x: Tensor) -> Tensor:
        z1, z2 = depthwise(self.project_in(x), self.depthwise).chunk(2, dim=-1)
        gelu = F.gelu(z1)
        return self.project_out(torch.cat([gelu * z1, gelu * z2], -1))
