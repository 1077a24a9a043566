"""Devices of PyTorch: by name, and what they say when their memory is short."""

from __future__ import annotations

import torch

from lamnet.base.errors import BackendError

OUT_OF_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",  # PyTorch on Linux and macOS
    "DefaultCPUAllocator: not enough memory",  # PyTorch on Windows
    "MPS backend out of memory",  # PyTorch on a Mac's GPU
    "std::bad_alloc",  # C++ within PyTorch, of GCC and Clang
    "bad allocation",  # C++ within PyTorch, of MSVC
    "Cannot allocate memory",  # the system (ENOMEM), handed through
)
"""Words of RuntimeErrors that mean too little memory; other errors of memory have types of their own."""


def pick(name: str | torch.device | None) -> torch.device:
    """Pick the device of a name: "cpu", "cuda", "cuda:1", "mps", ...; for None the best one here.

    Raises BackendError when it cannot be used here.
    """
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise BackendError(f"device: expected one that works here, got {name}: {str(error).splitlines()[0]}") from error
    return device


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error means that the memory of a processor or a GPU was short."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in str(error) for words in OUT_OF_MEMORY
    )
