"""Products of any shape by the `gemm` of a library, against NumPy: `python tile_products.py LIBRARY`.

A script of its own, since the process that runs it may need LD_PRELOAD.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_NUMBER = 0x7FC0  # as bfloat16


class Rows(ctypes.Structure):
    """rows_of of csrc/pairs.h."""

    _fields_ = [("x", ctypes.c_void_p), ("row", ctypes.c_int64), ("step", ctypes.c_int64), ("pairs", ctypes.c_int)]


def loaded(path: str) -> Any:
    size, address = ctypes.c_int64, ctypes.c_void_p
    gemm = ctypes.CDLL(path).gemm
    gemm.argtypes = [address, size, Rows, address, size, address, size, size]
    gemm.restype = None
    return gemm


def bfloat16(rng: np.random.Generator, *shape: int) -> NDArray[np.uint16]:
    return (rng.standard_normal(shape).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def floats(numbers: NDArray[np.uint16]) -> NDArray[np.float64]:
    return (numbers.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def check(gemm: Any, rng: np.random.Generator, starts: bool) -> None:
    """One product, and its last row by itself, which must be the same whatever rows stand beside it."""
    rows, columns, depth = int(rng.integers(1, 50)), 16 * int(rng.integers(1, 8)), int(rng.integers(1, 120))
    x, w = bfloat16(rng, rows, depth + depth % 2 + 2 * int(rng.integers(20))), bfloat16(rng, depth, columns)
    x[:, depth:] = NO_NUMBER
    x[:, depth : depth + depth % 2] = 0
    paired = np.zeros((depth + depth % 2, columns), np.uint16)
    paired[:depth] = w
    paired = np.ascontiguousarray(paired.reshape(-1, 2, columns).transpose(0, 2, 1))
    start = rng.standard_normal(columns).astype(np.float32) if starts else None
    out = np.full((rows + 1, columns + 16), np.nan, np.float32)
    out[:rows, :columns] = rng.standard_normal((rows, columns))
    last = out[rows - 1 :].copy()
    before = out[:rows, :columns].copy() if start is None else start
    first_number = None if start is None else start.ctypes.data
    for part, to in ((x, out), (x[rows - 1 :], last)):
        operand = Rows(part.ctypes.data, x.shape[1] // 2, 1, 1)
        gemm(to.ctypes.data, columns + 16, operand, paired.ctypes.data, columns, first_number, len(part), depth)
    factors = floats(x[:, :depth])
    apart = np.abs(out[:rows, :columns] - (before + factors @ floats(w)))
    assert (apart < 2e-7 * depth**0.5 * (np.abs(before) + np.abs(factors) @ np.abs(floats(w)))).all()
    assert np.isnan(out[rows:]).all(), "beyond the last row"
    assert np.isnan(out[:, columns:]).all(), "beyond the last column"
    assert np.array_equal(last[0, :columns], out[rows - 1, :columns]), "not in other company"


if __name__ == "__main__":
    made = np.random.default_rng(0)
    for number in range(100):
        check(loaded(sys.argv[1]), made, number % 2 == 0)
