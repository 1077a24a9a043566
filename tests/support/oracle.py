"""The operator and the network a second time: float64 numpy loops straight from the paper's formulas, slow and plain.

Tests hold the package against it where the reference files are absent. It shares no code with the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import erf
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def fsa(value: Array, weight: Array, kernel_map: list[tuple[int, int]], axis: int) -> Array:
    """value (C, H, W), weight (heads*K, H, W), rows of [distance of the nearest pixel, length]; axis 1 or 2."""
    channels, taps = value.shape[0], len(kernel_map)
    per_head = channels // (weight.shape[0] // taps)
    out = np.zeros_like(value)
    for i, row, column in np.ndindex(value.shape):
        for k, (near, length) in enumerate(kernel_map):
            far_to_near = range(near, near + length) if near >= 0 else range(near - length + 1, near + 1)
            total = 0.0
            for offset in far_to_near:
                y, x = (row + offset, column) if axis == 1 else (row, column + offset)
                if 0 <= y < value.shape[1] and 0 <= x < value.shape[2]:
                    total += value[i, y, x]
            out[i, row, column] += weight[(i // per_head) * taps + k, row, column] * total / length
    return out


def conv(x: Array, weight: Array, bias: Array) -> Array:
    """Zero-padded, same size; weight (out, in, kh, kw), or (C, 1, kh, kw) for a depthwise one."""
    (kh, kw), (_, height, width) = weight.shape[2:], x.shape
    padded = np.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2)))
    out = np.zeros((weight.shape[0], height, width)) + bias[:, None, None]
    for dy, dx in np.ndindex(kh, kw):
        part = padded[:, dy : dy + height, dx : dx + width]
        if weight.shape[1] == 1 and weight.shape[0] == x.shape[0]:
            out += weight[:, 0, dy, dx, None, None] * part
        else:
            out += np.einsum("oi,ihw->ohw", weight[:, :, dy, dx], part)
    return out


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


class Published:
    """A published state dict as float64 arrays."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = {name: np.asarray(tensor, dtype=np.float64) for name, tensor in state.items()}

    def conv(self, name: str, x: Array) -> Array:
        return conv(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def norm(self, name: str, x: Array) -> Array:
        centred = x - x.mean(0)
        scaled = centred / np.sqrt((centred**2).mean(0) + 1e-5)
        return scaled * self.state[f"{name}.alpha"][0] + self.state[f"{name}.beta"][0]

    def mixer(self, name: str, n: Array) -> Array:
        rows = [(int(near), int(length)) for near, length in self.state[f"{name}.kernel_map"]]
        u = self.conv(f"{name}.proj_in", n)
        half = len(u) // 2
        c = self.conv(f"{name}.channel_branch.2", np.maximum(self.conv(f"{name}.channel_branch.0", u[:half]), 0))
        s = u[half:]
        for part, axis in (("h_kernel", 2), ("v_kernel", 1)):
            weight = np.tanh(self.conv(f"{name}.{part}.1", self.conv(f"{name}.{part}.0", s)))
            s = fsa(s, weight, rows, axis)
        o1 = c * sigmoid((s.mean((1, 2))[:, None, None] * c).sum(0) / half)
        o2 = s * sigmoid((s * c.mean(0)).mean((1, 2)))[:, None, None]
        return self.conv(f"{name}.proj_out", np.concatenate([o1, o2]))

    def feed_forward(self, name: str, n: Array) -> Array:
        z1, z2 = np.split(self.conv(f"{name}.dwconv", self.conv(f"{name}.project_in", n)), 2)
        gate = 0.5 * z1 * (1 + np.vectorize(erf)(z1 / np.sqrt(2)))
        return self.conv(f"{name}.project_out", np.concatenate([gate * z1, gate * z2]))

    def network(self, x: Array, groups: int, blocks: int, scale: int) -> Array:
        """x (3, H, W) -> (3, scale*H, scale*W)."""
        mean = np.array([0.4488, 0.4371, 0.4040])[:, None, None]
        shallow = deep = self.conv("shallow_feature_extraction", x - mean)
        for g in range(groups):
            y = deep
            for part in range(2 * blocks):
                name = f"deep_feature_extraction.{g}.mixers.{part}"
                inner = self.feed_forward if part % 2 else self.mixer
                y = inner(f"{name}.fn", self.norm(f"{name}.norm", y)) * self.state[f"{name}.alpha"][0] + y
            deep = y * self.state[f"deep_feature_extraction.{g}.alpha"][0] + deep
        deep = self.conv(f"deep_feature_extraction.{groups}", deep) * self.state["alpha"][0] + shallow
        tail = self.conv("upsample.0", deep)
        height, width = x.shape[1:]
        shuffled = tail.reshape(3, scale, scale, height, width).transpose(0, 3, 1, 4, 2)
        return shuffled.reshape(3, height * scale, width * scale) + mean
