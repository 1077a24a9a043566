"""Memory that glibc can use again: work-arounds for the way in which PyTorch allocates."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from lamnet.base.heap import c_function

_CACHE_LINE = 64  # bytes


def reusable_like(x: Tensor) -> Tensor:
    """Allocate a contiguous tensor like x with NumPy, for an image that is soon freed for another of its size.

    PyTorch asks for aligned memory, and glibc cannot give a freed aligned piece to a request of the same size: the heap
    grew to four times what was in use. NumPy does not align, and has large pieces in huge pages.
    """
    size = x.numel() * x.element_size()
    memory = np.empty(size + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return torch.from_numpy(memory[start : start + size]).view(x.dtype).view(x.shape)


@cache
def keep() -> None:
    """Make glibc keep the memory that a backward frees for the next step; fresh pages were a fifth of a step's time.

    It holds for the rest of the process. Other C libraries have no such setting.
    """
    if mallopt := c_function("mallopt"):
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never
        mallopt(-4, 0)  # M_MMAP_MAX: no tensor in pages of its own
