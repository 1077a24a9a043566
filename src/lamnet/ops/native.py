"""The kernels in C for the processor: finding their library, its threads, and calls of it.

The libraries are built with the package, one for each level of instruction sets; without one everything still runs in
plain PyTorch. The environment variable LAMNET_KERNELS names another library, such as `make kernels-sanitized` builds.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from lamnet.base.errors import BackendError, BadArgumentError
from lamnet.base.heap import c_function
from lamnet.core.builds import CORE_ALONE
from lamnet.core.library import built, levels
from lamnet.ops.arguments import STRUCTS
from lamnet.ops.c_struct import Struct

DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}


def _path() -> Path | str:
    """Find the library's file, or say why there is none."""
    if asked := os.environ.get("LAMNET_KERNELS"):
        return Path(asked).absolute()
    try:
        all_levels = levels()
    except BackendError as error:
        return str(error)
    ours = [level for level in all_levels if level not in CORE_ALONE]
    if not ours:
        return f"the processor ({platform.machine()}) has no {CORE_ALONE[all_levels[0]]}"
    found = next((path for level in ours if (path := built(level))), None)
    return found or f"this installation was built without its kernels for {ours[-1]}"


@cache
def library() -> ctypes.CDLL | str:
    """Load the library once, or say why there is none."""
    path = _path()
    if isinstance(path, str):
        return path
    try:
        kernels = ctypes.CDLL(str(path))
    except OSError as error:
        return f"its kernels do not load: {error}"
    if differing := difference(kernels):
        return f"its kernels in {path.name} are of another version: {differing}; install the package again"
    # PyTorch's own OpenMP pool, so that there is one set of threads; without it each task starts its own.
    pool = c_function("GOMP_parallel")
    kernels.lamnet_set_pool(pool and ctypes.cast(pool, ctypes.c_void_p))
    return kernels


def difference(kernels: ctypes.CDLL) -> str | None:
    """Name the first function that the library lacks, or struct of arguments.py that has another size in it; None if neither."""
    functions = [
        "lamnet_size_of",
        "lamnet_set_pool",
        *(_function(one) for one in STRUCTS if one.c_name.endswith("_arguments")),
    ]
    if missing := next((name for name in functions if not hasattr(kernels, name)), None):
        return f"it has no {missing}"
    kernels.lamnet_size_of.restype = ctypes.c_int64
    for struct in STRUCTS:
        expected, found = ctypes.sizeof(struct), kernels.lamnet_size_of(struct.c_name.encode())
        if found != expected:
            return f"{struct.c_name}: expected {expected} bytes, found {found}"
    return None


def _function(struct: type[Struct]) -> str:
    return f"lamnet_{struct.c_name.removesuffix('_arguments')}"


def why_not() -> str | None:
    """Say in a few words why the kernels cannot run here; None where they can."""
    found = library()
    return found if isinstance(found, str) else None


def call(arguments: Struct) -> None:
    """Call the function of the library that takes these arguments.

    Raises:
        BackendError: the kernels cannot run here.
        MemoryError: there is no memory for the kernel's scratch.
    """
    kernels = library()
    if isinstance(kernels, str):
        raise BackendError(f"backend native: {kernels}")
    entry = _function(type(arguments))
    if getattr(kernels, entry)(ctypes.byref(arguments)):
        raise MemoryError(f"{entry}: no memory for its scratch")


def dense_last(x: Tensor) -> Tensor:
    """Make the last dimension of x contiguous, as the kernels take it; copies only where it is not."""
    return x if x.stride(-1) == 1 or x.shape[-1] == 1 else x.contiguous()


def empty_like(x: Tensor) -> Tensor:
    """Allocate a contiguous tensor like x for a result."""
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def check(name: str, tensor: Tensor, shape: Sequence[int], dtype: torch.dtype) -> None:
    """Refuse a tensor that a kernel would misread or read beyond its end.

    Raises:
        BadArgumentError: `tensor` is not of this shape and dtype in the processor's memory, or no kernel takes the dtype;
            names the argument, expected and got.
    """
    if tensor.shape == shape and tensor.dtype == dtype and tensor.is_cpu and dtype in DTYPES:
        return
    if dtype not in DTYPES:
        raise BadArgumentError(f"{name}: expected one of {', '.join(map(str, DTYPES))}, got {dtype}")
    raise BadArgumentError(
        f"{name}: expected {tuple(shape)} {dtype} on cpu, got {tuple(tensor.shape)} {tensor.dtype} on {tensor.device}"
    )


def check_image(name: str, x: Tensor) -> None:
    """Check that x is (B, H, W, C) of a dtype that the kernels take. Raises BadArgumentError."""
    check(name, x, x.shape, x.dtype)
    if x.dim() != 4:
        raise BadArgumentError(f"{name}: expected (B, H, W, C), got {tuple(x.shape)}")
