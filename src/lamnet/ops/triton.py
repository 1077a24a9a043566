"""Focal separable attention for GPUs: Triton kernels for the forward and both gradients.

A program computes a tile of pixels with all their channels, adjacent lanes along the channels. The taps are constants,
so every loop unrolls, and a window's values come from the first-level cache after their first load: what reaches memory
is near the floor of 2D + heads*K numbers a pixel. Each result is gathered by one program in a fixed order: no atomics,
the same bits every time. Sums are float32.

Importing this module needs triton; `ops.fsa` does so when a kernel is first wanted.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from lamnet.ops.window import Window

FORWARD_TILE, BACKWARD_TILE = 4096, 2048  # numbers; the backward keeps four such tiles in registers
COLUMNS = 8  # of a tile that runs along the height, so that it covers whole cache lines


def fsa_forward(value: Tensor, weight: Tensor, window: Window, dim: int) -> Tensor:
    """`reference.fsa_reference` for value (B, H, W, D), weight (B, H, W, heads*K) of any strides on a GPU."""
    out = torch.empty(value.shape, dtype=value.dtype, device=value.device)
    _launch(_forward_kernel, [value, weight, out], window, dim, FORWARD_TILE)
    return out


def fsa_backward(
    grad_out: Tensor, value: Tensor, weight: Tensor, window: Window, dim: int
) -> tuple[Tensor, Tensor]:
    """`reference.fsa_reference_backward` for tensors of any strides on a GPU."""
    grad_value = torch.empty(value.shape, dtype=value.dtype, device=value.device)
    grad_weight = torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)
    _launch(_backward_kernel, [value, weight, grad_out, grad_value, grad_weight], window, dim, BACKWARD_TILE)
    return grad_value, grad_weight


def _launch(kernel: Any, tensors: list[Tensor], window: Window, dim: int, tile: int) -> None:
    value, weight = tensors[:2]
    size, across = value.shape[dim], value.shape[3 - dim]
    if value.numel() == 0:
        return
    heads = weight.shape[3] // window.taps
    head_block, channel_block = (triton.next_power_of_2(n) for n in (heads, value.shape[3] // heads))
    columns = 1 if dim == 2 else COLUMNS
    rows = max(1, tile // (head_block * channel_block * columns))
    blocks = triton.cdiv(size, rows), triton.cdiv(across, columns)
    strides = [tuple(t.stride(d) for d in (0, dim, 3 - dim, 3)) for t in tensors]
    with torch.cuda.device_of(value):
        kernel[(blocks[0] * blocks[1] * value.shape[0],)](
            *tensors,
            *strides,
            size,
            across,
            *blocks,
            STARTS=window.starts,
            LENGTHS=window.lengths,
            HEADS=heads,
            HEAD_CHANNELS=value.shape[3] // heads,
            ROWS=rows,
            COLUMNS=columns,
            HEAD_BLOCK=head_block,
            CHANNEL_BLOCK=channel_block,
            TAP_BLOCK=triton.next_power_of_2(window.taps),
        )


@triton.jit
def _corner(size, across, blocks_along, blocks_across, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The program's tile: batch, first pixel along and across the axis, in 64 bits for the addresses of large images."""
    program = tl.program_id(0).to(tl.int64)
    along = program % blocks_along * ROWS
    rest = program // blocks_along
    return rest // blocks_across, along, rest % blocks_across * COLUMNS


@triton.jit
def _forward_kernel(
    value, weight, out, value_strides, weight_strides, out_strides,
    size, across, blocks_along, blocks_across,
    STARTS: tl.constexpr, LENGTHS: tl.constexpr, TAPS: tl.constexpr,
    HEADS: tl.constexpr, HEAD_CHANNELS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, HEAD_BLOCK: tl.constexpr, CHANNEL_BLOCK: tl.constexpr,
    TAP_BLOCK: tl.constexpr,
):  # fmt: skip
    batch, first, column = _corner(size, across, blocks_along, blocks_across, ROWS, COLUMNS)
