"""Plain PyTorch of what several operators have in common, on channels-last images: the definition beside the kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def normalise(x: Tensor) -> Tensor:
    """Layer norm over the last dimension without its affine part."""
    return F.layer_norm(x, x.shape[-1:])


def depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise convolution of (B, H, W, C) with weight (C, 1, kh, kw), kh and kw odd, zero padding that keeps the size.

    On a CPU in float32 at least, for oneDNN's bfloat16 takes minutes for long kernels.
    """
    if x.is_cpu and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return depthwise(x, weight, bias)
    dtype = torch.promote_types(x.dtype, torch.float32) if x.is_cpu else x.dtype
    planes, padding = x.permute(0, 3, 1, 2).to(dtype), (weight.shape[2] // 2, weight.shape[3] // 2)
    out = F.conv2d(planes, weight.to(dtype), bias.to(dtype), padding=padding, groups=x.shape[3])
    return out.permute(0, 2, 3, 1).to(x.dtype)
