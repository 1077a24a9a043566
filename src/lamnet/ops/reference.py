"""Focal separable attention in plain PyTorch: the definition that every kernel is tested against.

Tensors are channels-last: value (B, H, W, D), weight (B, H, W, heads*K) with the channel order head*K + tap, and `dim`
is 1 (along the height) or 2 (along the width).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lamnet.core.window import Window


def fsa_reference(value: Tensor, weight: Tensor, window: Window, dim: int) -> Tensor:
    """out[i, p] = sum_k weight[g, k, p] / len_k * sum_{j < len_k} value[i, p + start_k + j], zero outside the image."""
    gates = _by_head(weight, weight.shape[3] // window.taps)  # (B, H, W, heads, K)
    padded = _pad(value, window.reach, dim)
    out = _by_head(torch.zeros_like(value), gates.shape[3])  # (B, H, W, heads, D/heads)
    for k, (start, length) in enumerate(zip(window.starts, window.lengths, strict=True)):
        mean = _mean_at(padded, window.reach, start, length, value.shape[dim], dim)
        out = out + gates[..., k, None] * _by_head(mean, gates.shape[3])
    return out.flatten(-2)


def fsa_reference_backward(
    grad_out: Tensor, value: Tensor, weight: Tensor, window: Window, dim: int
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of value and weight: the averages run backwards, from each pixel to the taps that saw it."""
    gates = _by_head(weight, weight.shape[3] // window.taps)
    heads, size = gates.shape[3], value.shape[dim]
    padded = _pad(value, window.reach, dim)
    grad_heads = _by_head(grad_out, heads)
    grad_value = torch.zeros_like(value)
    grad_gates: list[Tensor] = []
    for k, (start, length) in enumerate(zip(window.starts, window.lengths, strict=True)):
        mean = _mean_at(padded, window.reach, start, length, size, dim)
        grad_gates.append((grad_heads * _by_head(mean, heads)).sum(-1))
        seen = _pad((grad_heads * gates[..., k, None]).flatten(-2), window.reach, dim)
        grad_value = grad_value + _mean_at(seen, window.reach, 1 - start - length, length, size, dim)
    return grad_value, torch.stack(grad_gates, -1).flatten(-2)


def _by_head(x: Tensor, heads: int) -> Tensor:
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


def _pad(x: Tensor, reach: int, dim: int) -> Tensor:
    return F.pad(x, (0, 0, reach, reach) if dim == 2 else (0, 0, 0, 0, reach, reach))


def _mean_at(padded: Tensor, reach: int, start: int, length: int, size: int, dim: int) -> Tensor:
    total = padded.narrow(dim, reach + start, size)
    for j in range(1, length):
        total = total + padded.narrow(dim, reach + start + j, size)
    return total / length
