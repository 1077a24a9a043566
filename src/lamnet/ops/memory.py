"""The memory of the process where PyTorch and glibc do not get along: freed pieces that cannot be used again."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from lamnet.base.heap import of_c_library

_CACHE_LINE = 64  # bytes


def reusable_like(x: Tensor) -> Tensor:
    """A contiguous tensor as x is, for an image that soon makes place for another of its size, in memory that NumPy allocates.

    PyTorch asks for aligned memory, and of that glibc cannot give a freed piece to a request of the same size: the heap
    grew to four times what was in use. NumPy does not, and has large pieces in huge pages.
    """
    size = x.numel() * x.element_size()
    memory = np.empty(size + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return torch.from_numpy(memory[start : start + size]).view(x.dtype).view(x.shape)


@cache
def keep() -> None:
    """Have glibc keep the memory that a backward frees, for the next step; fresh pages were a fifth of a step's time.

    For the rest of the process; where the C library is another, nothing happens.
    """
    if mallopt := of_c_library("mallopt"):
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never
        mallopt(-4, 0)  # M_MMAP_MAX: no tensor in pages of its own
