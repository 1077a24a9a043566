"""Products of any shape by the `gemm_onto` of a library, against NumPy: `python tile_products.py LIBRARY`.

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


class Onto(ctypes.Structure):
    """onto_rows of csrc/gemm.h."""

    _fields_ = [("rows", ctypes.c_void_p), ("pitch", ctypes.c_int64), ("dtype", ctypes.c_int64)]


FLOAT32, BFLOAT16 = 0, 1


def loaded(path: str) -> Any:
    size, address = ctypes.c_int64, ctypes.c_void_p
    gemm = ctypes.CDLL(path).gemm_onto
    gemm.argtypes = [address, size, Rows, address, size, address, Onto, size, size]
    gemm.restype = None
    return gemm


def bfloat16(rng: np.random.Generator, *shape: int) -> NDArray[np.uint16]:
    return (rng.standard_normal(shape).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def floats(numbers: NDArray[np.uint16]) -> NDArray[np.float64]:
    return (numbers.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def paired(rows: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Rows in pairs of neighbours, number by number, and a zero where the last has none: (pairs, numbers, 2)."""
    padding = np.zeros((len(rows) % 2, rows.shape[1]), np.uint16)
    return np.ascontiguousarray(np.concatenate([rows, padding]).reshape(-1, 2, rows.shape[1]).transpose(0, 2, 1))


KINDS = ("start", "out", "onto", "onto itself", "onto bfloat16")


def check(gemm: Any, rng: np.random.Generator, kind: str) -> None:
    """One product, and its last row by itself, which must be the same whatever rows stand beside it.

    It begins with one row ("start"), or with what is there ("out"); or it begins with one row and is added to others, which
    may be those that are there.
    """
    rows, columns, depth = int(rng.integers(1, 50)), 16 * int(rng.integers(1, 8)), int(rng.integers(1, 120))
    x, w = bfloat16(rng, rows, depth + depth % 2 + 2 * int(rng.integers(20))), bfloat16(rng, depth, columns)
    x[:, depth:] = NO_NUMBER
    x[:, depth : depth + depth % 2] = 0
    weights = paired(w)
    start = None if kind == "out" else rng.standard_normal(columns).astype(np.float32)
    others = {
        "onto": rng.standard_normal((rows, columns)).astype(np.float32),
        "onto bfloat16": bfloat16(rng, rows, columns),
    }.get(kind)
    out = np.full((rows + 1, columns + 16), np.nan, np.float32)
    out[:rows, :columns] = rng.standard_normal((rows, columns))
    last = out[rows - 1 :].copy()
    there = out[:rows, :columns].copy()
    terms = [there if start is None else start.astype(np.float64)]
    if others is not None:
        terms.append(floats(others) if kind == "onto bfloat16" else others)
    elif kind == "onto itself":
        terms.append(there)
    first_number = None if start is None else start.ctypes.data
    for first, to in ((0, out), (rows - 1, last)):
        operand = Rows(x[first:].ctypes.data, x.shape[1] // 2, 1, 1)
        onto = Onto(None, 0, FLOAT32)
        if others is not None:
            onto = Onto(others[first:].ctypes.data, columns, BFLOAT16 if kind == "onto bfloat16" else FLOAT32)
        elif kind == "onto itself":
            onto = Onto(to.ctypes.data, columns + 16, FLOAT32)
        gemm(
            to.ctypes.data, columns + 16, operand, weights.ctypes.data, columns, first_number, onto, rows - first, depth
        )
    factors = floats(x[:, :depth])
    apart = np.abs(out[:rows, :columns] - (sum(terms) + factors @ floats(w)))
    size = sum(np.abs(term) for term in terms) + np.abs(factors) @ np.abs(floats(w))
    assert (apart < 2e-7 * depth**0.5 * size).all()
    assert np.isnan(out[rows:]).all(), "beyond the last row"
    assert np.isnan(out[:, columns:]).all(), "beyond the last column"
    assert np.array_equal(last[0, :columns], out[rows - 1, :columns]), "not in other company"


def check_gradient(gemm: Any, rng: np.random.Generator) -> None:
    """A sum over pixels, added to what is there: both are in pairs of neighbouring pixels."""
    rows, columns = (16 * int(n) for n in rng.integers(1, 8, 2))
    pixels = int(rng.integers(1, 600))
    x, grad = bfloat16(rng, pixels, rows), bfloat16(rng, pixels, columns)
    out = np.full((rows + 1, columns + 16), np.nan, np.float32)
    out[:rows, :columns] = rng.standard_normal((rows, columns))
    there = out[:rows, :columns].astype(np.float64)
    pixel_pairs, weights = paired(x), paired(grad)
    operand, onto = Rows(pixel_pairs.ctypes.data, 1, rows, 1), Onto(None, 0, FLOAT32)
    gemm(out.ctypes.data, columns + 16, operand, weights.ctypes.data, columns, None, onto, rows, pixels)
    apart = np.abs(out[:rows, :columns] - (there + floats(x).T @ floats(grad)))
    size = np.abs(there) + np.abs(floats(x)).T @ np.abs(floats(grad))
    assert (apart < 2e-7 * pixels**0.5 * size).all()
    assert np.isnan(out[rows:]).all(), "beyond the last row"
    assert np.isnan(out[:, columns:]).all(), "beyond the last column"


if __name__ == "__main__":
    made = np.random.default_rng(0)
    for number in range(100):
        check(loaded(sys.argv[1]), made, KINDS[number % len(KINDS)])
    for _ in range(50):
        check_gradient(loaded(sys.argv[1]), made)
