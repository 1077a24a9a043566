"""Depthwise convolution of channels-last images for GPUs: Triton kernels for the forward and all gradients.

A program of the convolution computes some pixels of a block of channels, adjacent lanes along the channels; what neighbours
share comes from the first-level cache. A program of the weights' gradient sums over a stretch of pixels for all taps at once, and
its sums are added in a fixed order, without atomics, so that every run gives the same bits. Sums are float32.

At the kernels of 23 x 1 that the network has, cuDNN takes 3 to 10 times as long (docs/log/kernels.md).

Importing this module needs triton; `ops.depthwise` imports it when it first needs a kernel.
"""

# Kernels are written in Triton's language: constants in capitals, no Python types for their arguments.
# ruff: noqa: N803
# pyright: basic, reportGeneralTypeIssues=false

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

# Of a program: 4 pixels of 8 channels a thread, one 128-bit load each in 16-bit formats.
PIXELS, CHANNELS, WARPS = 128, 32, 4
SUMS = 8192  # numbers that a program of the weights' gradient adds up at once: 64 a thread
PROGRAMS = 1024  # that share the pixels of the weights' gradient


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, transposed: bool = False) -> Tensor:
    """Convolve x (B, H, W, C), of any strides, with weight (C, 1, kh, kw), kh and kw odd, in zero padding that keeps the size.

    `transposed`: with the kernel turned by half a circle, as the gradient goes back to the image.
    """
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if x.numel() == 0:
        return out
    pixels, block = out[..., 0].numel(), min(CHANNELS, _power_of_2(x.shape[3]))
    count = max(1, PIXELS * CHANNELS // block)
    taps = weight.flatten(1).t().contiguous()
    with torch.cuda.device_of(x):
        kernel: Any = _convolve_kernel
        kernel[(triton.cdiv(pixels, count), triton.cdiv(x.shape[3], block))](
            x,
            taps,
            bias if bias is not None else taps,
            out,
            x.stride(),
            out.stride(),
            *x.shape[1:3],
            pixels,
            CHANNELS=x.shape[3],
            HIGH=weight.shape[2],
            WIDE=weight.shape[3],
            SIGN=-1 if transposed else 1,
            HAS_BIAS=bias is not None,
            PIXEL_BLOCK=count,
            CHANNEL_BLOCK=block,
            num_warps=WARPS,
        )
    return out


def weight_grad(grad: Tensor, x: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Compute the float32 gradients of the weight, of its shape (C, 1, kh, kw), and of the bias (C,)."""
    channels, taps = shape[0], shape[2] * shape[3]
    if x.numel() == 0:
        return torch.zeros(shape, device=x.device), torch.zeros(channels, device=x.device)
    pixels, block = x[..., 0].numel(), min(CHANNELS, _power_of_2(channels))
    tap_block = _power_of_2(taps + 1)
    count = max(1, SUMS // (tap_block * block))
    blocks = -(-channels // block)
    share = max(1, PROGRAMS // blocks)
    each = -(-pixels // (share * count)) * count
    programs = -(-pixels // each)
    sums = torch.empty(programs, taps + 1, channels, dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        kernel: Any = _weight_grad_kernel
        kernel[(programs, blocks)](
            grad,
            x,
            sums,
            grad.stride(),
            x.stride(),
            *x.shape[1:3],
            pixels,
            each,
            CHANNELS=channels,
            HIGH=shape[2],
            WIDE=shape[3],
            PIXEL_BLOCK=count,
            CHANNEL_BLOCK=block,
            TAP_BLOCK=tap_block,
            num_warps=WARPS,
        )
    total = sums.sum(0)
    return total[:-1].t().contiguous().view(shape), total[-1].clone()


def _power_of_2(n: int) -> int:
    """The first power of two that is no less."""
    return 1 << (n - 1).bit_length()


@triton.jit
def _places(pixel, strides, height, width) -> Any:
    """Find row and column of pixels, counted through the batch in rows, and their offsets, of 64 bits for large images."""
    line, column = pixel // width, pixel % width
    row = line % height
    return row, column, (line // height).to(tl.int64) * strides[0] + row.to(tl.int64) * strides[1] + column * strides[2]


@triton.jit
def _is_inside(place, size):
    """Tell whether 0 <= place < size: as a number without sign, what is negative is large too."""
    return place.to(tl.uint32, bitcast=True) < size


@triton.jit
def _convolve_kernel(
    x, weight, bias, out, x_strides, out_strides, height, width, pixels,
    CHANNELS: tl.constexpr, HIGH: tl.constexpr, WIDE: tl.constexpr, SIGN: tl.constexpr, HAS_BIAS: tl.constexpr,
    PIXEL_BLOCK: tl.constexpr, CHANNEL_BLOCK: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * PIXEL_BLOCK + tl.arange(0, PIXEL_BLOCK)
    channel = tl.program_id(1) * CHANNEL_BLOCK + tl.arange(0, CHANNEL_BLOCK)[None, :]
    inside, lane_ok = pixel < pixels, channel < CHANNELS
    row, column, place = _places(pixel, x_strides, height, width)
    values = x + place[:, None] + channel * x_strides[3]
    total = tl.zeros([PIXEL_BLOCK, CHANNEL_BLOCK], tl.float32)
    if HAS_BIAS:
        total += tl.load(bias + channel, mask=lane_ok, other=0.0).to(tl.float32)
    for k in tl.static_range(HIGH * WIDE):
        down, right = SIGN * (k // WIDE - HIGH // 2), SIGN * (k % WIDE - WIDE // 2)
        ok = inside
        if down != 0:
            ok = ok & _is_inside(row + down, height)
        if right != 0:
            ok = ok & _is_inside(column + right, width)
        seen = tl.load(values + (down * x_strides[1] + right * x_strides[2]), mask=ok[:, None] & lane_ok, other=0.0)
        total += seen.to(tl.float32) * tl.load(weight + k * CHANNELS + channel, mask=lane_ok, other=0.0).to(tl.float32)
    outs = out + _places(pixel, out_strides, height, width)[2][:, None] + channel * out_strides[3]
    tl.store(outs, total.to(out.dtype.element_ty), mask=inside[:, None] & lane_ok)


@triton.jit
def _weight_grad_kernel(
    grad, x, sums, grad_strides, x_strides, height, width, pixels, each,
    CHANNELS: tl.constexpr, HIGH: tl.constexpr, WIDE: tl.constexpr,
    PIXEL_BLOCK: tl.constexpr, CHANNEL_BLOCK: tl.constexpr, TAP_BLOCK: tl.constexpr,
):  # fmt: skip
    channel = tl.program_id(1) * CHANNEL_BLOCK + tl.arange(0, CHANNEL_BLOCK)
    lane_ok, tap = channel < CHANNELS, tl.arange(0, TAP_BLOCK)
    down, right = tap // WIDE - HIGH // 2, tap % WIDE - WIDE // 2
    shift = (down * x_strides[1] + right * x_strides[2])[:, None, None]
    is_tap, is_bias = (tap < HIGH * WIDE)[:, None], (tap == HIGH * WIDE)[:, None, None]
    total = tl.zeros([TAP_BLOCK, PIXEL_BLOCK, CHANNEL_BLOCK], tl.float32)
    for step in range(0, each, PIXEL_BLOCK):
        pixel = tl.program_id(0) * each + step + tl.arange(0, PIXEL_BLOCK)
        inside = pixel < pixels
        place = _places(pixel, grad_strides, height, width)[2]
        grads = grad + place[:, None] + (channel * grad_strides[3])[None, :]
        own = tl.load(grads, mask=inside[:, None] & lane_ok[None, :], other=0.0).to(tl.float32)
        row, column, place = _places(pixel, x_strides, height, width)
        ok = inside[None, :] & is_tap
        if HIGH > 1:
            ok = ok & _is_inside(row[None, :] + down[:, None], height)
        if WIDE > 1:
            ok = ok & _is_inside(column[None, :] + right[:, None], width)
        places = place[None, :, None] + (channel * x_strides[3])[None, None, :]
        seen = tl.load(x + places + shift, mask=ok[:, :, None] & lane_ok[None, None, :], other=0.0).to(tl.float32)
        total += own[None, :, :] * tl.where(is_bias, 1.0, seen)
    lanes = (tl.program_id(0) * (HIGH * WIDE + 1) + tap)[:, None] * CHANNELS + channel[None, :]
    tl.store(sums + lanes, tl.sum(total, 1), mask=(tap <= HIGH * WIDE)[:, None] & lane_ok[None, :])
