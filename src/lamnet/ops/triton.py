"""Focal separable attention for GPUs: Triton kernels for the forward and both gradients.

A program computes a tile of pixels with all their channels, adjacent lanes along the channels. The taps are constants,
so every loop unrolls, and a window's values come from the first-level cache after their first load: traffic to memory is
near its minimum of 2D + heads*K numbers a pixel. Each result is gathered by one program in a fixed order, without atomics,
so that every run gives the same bits. Sums are float32.

Importing this module needs triton; `ops.fsa` imports it when it first needs a kernel.
"""

# Kernels are written in Triton's language: constants in capitals, no Python types for their arguments.
# ruff: noqa: N803
# pyright: basic, reportGeneralTypeIssues=false

from __future__ import annotations

import os
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from lamnet.core.window import Window

TILE, WARPS = 1024, 4  # numbers of the value: 8 a thread, one 128-bit load in 16-bit formats
COLUMNS = 2  # of a tile along the height, so that a row of it fills a cache line at D = 32 in 16-bit formats


def fsa_forward(value: Tensor, weight: Tensor, window: Window, dim: int, logits: bool) -> Tensor:
    """Compute `reference.fsa_reference` of value (B, H, W, D) and weight (B, H, W, heads*K), of any strides, on a GPU.

    With `logits` the weights are tanh(weight).
    """
    out = torch.empty(value.shape, dtype=value.dtype, device=value.device)
    _launch(_forward_kernel, [value, weight, out], window, dim, logits)
    return out


def fsa_backward(
    grad_out: Tensor, value: Tensor, weight: Tensor, window: Window, dim: int, logits: bool
) -> tuple[Tensor, Tensor]:
    """Compute `reference.fsa_reference_backward` of tensors of any strides on a GPU; `logits` as in the forward."""
    grad_value = torch.empty(value.shape, dtype=value.dtype, device=value.device)
    grad_weight = torch.empty(weight.shape, dtype=weight.dtype, device=weight.device)
    _launch(_backward_kernel, [value, weight, grad_out, grad_value, grad_weight], window, dim, logits)
    return grad_value, grad_weight


def _launch(kernel: Any, tensors: list[Tensor], window: Window, dim: int, logits: bool) -> None:
    value, weight = tensors[:2]
    size, across = value.shape[dim], value.shape[3 - dim]
    if value.numel() == 0:
        return
    heads = weight.shape[3] // window.taps
    head_block, channel_block = (triton.next_power_of_2(n) for n in (heads, value.shape[3] // heads))
    columns = 1 if dim == 2 else COLUMNS
    rows = max(1, TILE // (head_block * channel_block * columns))
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
            TAPS=window.taps,
            LOGITS=logits,
            APPROXIMATE=value.dtype.itemsize == 2 and os.environ.get("TRITON_INTERPRET") != "1",
            HEADS=heads,
            HEAD_CHANNELS=value.shape[3] // heads,
            ROWS=rows,
            COLUMNS=columns,
            HEAD_BLOCK=head_block,
            CHANNEL_BLOCK=channel_block,
            TAP_BLOCK=triton.next_power_of_2(window.taps),
            num_warps=WARPS,
        )


@triton.jit
def _tile(size, across, blocks_along, blocks_across, ROWS: tl.constexpr, COLUMNS: tl.constexpr) -> Any:
    """Find the program's pixels: (batch, first row, first column), row and column from there, row in the image.

    "Rows" run along the axis of attention. The corner has 64 bits, for the addresses in large images. Pixels beside the image
    have rows far above it.
    """
    program = tl.program_id(0).to(tl.int64)
    rest = program // blocks_along
    batch, first, column = rest // blocks_across, program % blocks_along * ROWS, rest % blocks_across * COLUMNS
    pixel = tl.arange(0, ROWS * COLUMNS)
    row, inside = pixel // COLUMNS, pixel % COLUMNS < across - column
    return (batch, first, column), row, pixel % COLUMNS, tl.where(inside, first.to(tl.int32) + row, -(2**30))


@triton.jit
def _is_row(along, size):
    """Tell which rows lie in the image: as numbers without sign, those above it are large too."""
    return along.to(tl.uint32, bitcast=True) < size


@triton.jit
def _pixels(pointer, strides, corner, row, column):
    return (
        pointer
        + corner[0] * strides[0]
        + corner[1] * strides[1]
        + corner[2] * strides[2]
        + (row * strides[1] + column * strides[2])
    )


@triton.jit
def _gate(weight, LOGITS: tl.constexpr, APPROXIMATE: tl.constexpr):
    """Load the weight as float32, its tanh where weights are logits; a series near zero keeps small ones exact.

    `APPROXIMATE`: by the GPU's instruction, whose error of 2**-11 is below the rounding of 16-bit formats.
    """
    x = weight.to(tl.float32)
    if LOGITS and APPROXIMATE:
        x = tl.inline_asm_elementwise("tanh.approx.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1)
    elif LOGITS:
        y = x * x
        series = x * (1 - y * (1 / 3 - y * (2 / 15 - y * (17 / 315))))
        x = tl.where(y < 0.04, series, 2 * tl.sigmoid(2 * x) - 1)
    return x


@triton.jit
def _forward_kernel(
    value, weight, out, value_strides, weight_strides, out_strides, size, across, blocks_along, blocks_across,
    STARTS: tl.constexpr, LENGTHS: tl.constexpr, TAPS: tl.constexpr, HEADS: tl.constexpr, HEAD_CHANNELS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, HEAD_BLOCK: tl.constexpr, CHANNEL_BLOCK: tl.constexpr,
    TAP_BLOCK: tl.constexpr, LOGITS: tl.constexpr, APPROXIMATE: tl.constexpr,
):  # fmt: skip
    corner, row, column, along = _tile(size, across, blocks_along, blocks_across, ROWS, COLUMNS)
    here = _is_row(along, size)
    head, channel = tl.arange(0, HEAD_BLOCK)[None, :, None], tl.arange(0, CHANNEL_BLOCK)[None, None, :]
    lane, lane_ok = head * HEAD_CHANNELS + channel, (head < HEADS) & (channel < HEAD_CHANNELS)
    values = _pixels(value, value_strides, corner, row, column)[:, None, None] + lane * value_strides[3]
    weights = _pixels(weight, weight_strides, corner, row, column)[:, None, None] + head * TAPS * weight_strides[3]
    total = tl.zeros([ROWS * COLUMNS, HEAD_BLOCK, CHANNEL_BLOCK], tl.float32)
    for k in tl.static_range(TAPS):
        seen = tl.zeros([ROWS * COLUMNS, HEAD_BLOCK, CHANNEL_BLOCK], tl.float32)
        for j in tl.static_range(tl.constexpr(LENGTHS[k])):
            shift = STARTS[k] + j
            ok = _is_row(along + shift, size)[:, None, None] & lane_ok
            seen += tl.load(values + shift * value_strides[1], mask=ok, other=0.0).to(tl.float32)
        gate = tl.load(weights + k * weight_strides[3], mask=here[:, None, None] & (head < HEADS), other=0.0)
        total += _gate(gate, LOGITS, APPROXIMATE) * (seen / LENGTHS[k])
    outs = _pixels(out, out_strides, corner, row, column)[:, None, None] + lane * out_strides[3]
    tl.store(outs, total.to(out.dtype.element_ty), mask=here[:, None, None] & lane_ok)


@triton.jit
def _backward_kernel(
    value, weight, grad_out, grad_value, grad_weight,
    value_strides, weight_strides, grad_out_strides, grad_value_strides, grad_weight_strides,
    size, across, blocks_along, blocks_across,
    STARTS: tl.constexpr, LENGTHS: tl.constexpr, TAPS: tl.constexpr, HEADS: tl.constexpr, HEAD_CHANNELS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, HEAD_BLOCK: tl.constexpr, CHANNEL_BLOCK: tl.constexpr,
    TAP_BLOCK: tl.constexpr, LOGITS: tl.constexpr, APPROXIMATE: tl.constexpr,
):  # fmt: skip
    corner, row, column, along = _tile(size, across, blocks_along, blocks_across, ROWS, COLUMNS)
    here = _is_row(along, size)
    head, channel = tl.arange(0, HEAD_BLOCK)[None, :, None], tl.arange(0, CHANNEL_BLOCK)[None, None, :]
    lane, lane_ok = head * HEAD_CHANNELS + channel, (head < HEADS) & (channel < HEAD_CHANNELS)
    values = _pixels(value, value_strides, corner, row, column)[:, None, None] + lane * value_strides[3]
    weights = _pixels(weight, weight_strides, corner, row, column)[:, None, None] + head * TAPS * weight_strides[3]
    grads = _pixels(grad_out, grad_out_strides, corner, row, column)[:, None, None] + lane * grad_out_strides[3]
    own = tl.load(grads, mask=here[:, None, None] & lane_ok, other=0.0).to(tl.float32)
    tap = tl.arange(0, TAP_BLOCK)[None, None, :]
    total = tl.zeros([ROWS * COLUMNS, HEAD_BLOCK, CHANNEL_BLOCK], tl.float32)
    gates = tl.zeros([ROWS * COLUMNS, HEAD_BLOCK, TAP_BLOCK], tl.float32)
    for k in tl.static_range(TAPS):
        seen = tl.zeros([ROWS * COLUMNS, HEAD_BLOCK, CHANNEL_BLOCK], tl.float32)
        seers = tl.zeros([ROWS * COLUMNS, HEAD_BLOCK, CHANNEL_BLOCK], tl.float32)
        for j in tl.static_range(tl.constexpr(LENGTHS[k])):
            shift = STARTS[k] + j
            ahead, behind = _is_row(along + shift, size)[:, None, None], _is_row(along - shift, size)[:, None, None]
            seen += tl.load(values + shift * value_strides[1], mask=ahead & lane_ok, other=0.0).to(tl.float32)
            gate = tl.load(
                weights + (k * weight_strides[3] - shift * weight_strides[1]), mask=behind & (head < HEADS), other=0.0
            )
            grad = tl.load(grads - shift * grad_out_strides[1], mask=behind & lane_ok, other=0.0)
            seers += _gate(gate, LOGITS, APPROXIMATE) * grad.to(tl.float32)
        total += seers / LENGTHS[k]
        gate_grad = tl.sum(own * seen, 2, keep_dims=True) / LENGTHS[k]
        if LOGITS:
            gate = tl.load(weights + k * weight_strides[3], mask=here[:, None, None] & (head < HEADS), other=0.0)
            gate = _gate(gate, LOGITS, APPROXIMATE)
            gate_grad *= 1 - gate * gate
        gates = tl.where(tap == k, gate_grad, gates)
    outs = _pixels(grad_value, grad_value_strides, corner, row, column)[:, None, None] + lane * grad_value_strides[3]
    tl.store(outs, total.to(grad_value.dtype.element_ty), mask=here[:, None, None] & lane_ok)
    outs = _pixels(grad_weight, grad_weight_strides, corner, row, column)[:, None, None]
    outs += (head * TAPS + tap) * grad_weight_strides[3]
    tl.store(outs, gates.to(grad_weight.dtype.element_ty), mask=here[:, None, None] & (head < HEADS) & (tap < TAPS))
