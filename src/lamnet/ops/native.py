"""The kernels in C for the processor: which library, its threads, and how a tensor is handed over.

The libraries are built with the package, one for each level of instruction sets; without one everything still runs in
plain PyTorch.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from lamnet.base.errors import BackendError, BadArgumentError

DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}


def _levels() -> list[str]:
    """The builds this processor can run, as named by setup.py, the best first; none where there is none for it."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return ["aarch64"]
    capability = torch.backends.cpu.get_cpu_capability()
    if capability != "AVX512":
        return ["x86_64_v3"] if capability == "AVX2" else []
    # PyTorch has no public name for this that all its versions know.
    multiplies_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    return ["x86_64_v4_bf16", "x86_64_v4"] if multiplies_bfloat16() else ["x86_64_v4"]


@cache
def _library() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    levels = _levels()
    if not levels:
        return f"the processor ({platform.machine()}) has no AVX2"
    built = [path for level in levels for path in Path(__file__).parent.glob(f"_native_{level}.*")]
    if not built:
        return f"this installation was built without its kernels for {levels[-1]}"
    try:
        library = ctypes.CDLL(str(built[0]))
    except OSError as error:
        return f"its kernels do not load: {error}"
    # PyTorch's own OpenMP pool, so that there is one set of threads; where it is not found, one thread does the work.
    pool = getattr(ctypes.CDLL(None), "GOMP_parallel", None)
    library.lamnet_set_pool(pool and ctypes.cast(pool, ctypes.c_void_p))
    return library


def why_not() -> str | None:
    """Why the kernels cannot run here, in a few words; None where they can."""
    found = _library()
    return found if isinstance(found, str) else None


def dense_last(x: Tensor) -> Tensor:
    """x with its last dimension contiguous, as the kernels take it; a copy only where it is not."""
    return x if x.stride(-1) == 1 or x.shape[-1] == 1 else x.contiguous()


def empty_like(x: Tensor) -> Tensor:
    """A contiguous tensor for a result."""
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def check(name: str, tensor: Tensor, shape: Sequence[int], dtype: torch.dtype) -> None:
    """Refuse what a kernel would read beyond its end or misread: the argument's name, expected and got.

    Raises:
        BadArgumentError: `tensor` is not of this shape and dtype in the processor's memory, or no kernel takes the dtype.
    """
    if tensor.shape == shape and tensor.dtype == dtype and tensor.is_cpu and dtype in DTYPES:
        return
    if dtype not in DTYPES:
        raise BadArgumentError(f"{name}: expected one of {', '.join(map(str, DTYPES))}, got {dtype}")
    raise BadArgumentError(
        f"{name}: expected {tuple(shape)} {dtype} on cpu, got {tuple(tensor.shape)} {tensor.dtype} on {tensor.device}"
    )


def check_image(name: str, x: Tensor) -> None:
    """`check` that x is (B, H, W, C) of a dtype that the kernels take."""
    check(name, x, x.shape, x.dtype)
    if x.dim() != 4:
        raise BadArgumentError(f"{name}: expected (B, H, W, C), got {tuple(x.shape)}")


def check_halves(name: str, weight: Tensor) -> None:
    """`check` that a weight (outputs, inputs) has an even number of outputs."""
    if weight.dim() != 2 or weight.shape[0] % 2:
        raise BadArgumentError(f"{name}: expected (an even number of outputs, C), got {tuple(weight.shape)}")


def call(name: str, tensors: Sequence[Tensor | None], numbers: Sequence[int]) -> None:
    """Run the kernel `name`; the last dimension of every tensor is contiguous, the first one's dtype that of them all."""
    first, library = tensors[0], _library()
    assert first is not None
    if isinstance(library, str):
        raise BackendError(f"backend native: {library}")
    data = (ctypes.c_void_p * len(tensors))(*[tensor.data_ptr() if tensor is not None else None for tensor in tensors])
    integers = (ctypes.c_int64 * (len(numbers) + 2))(torch.get_num_threads(), DTYPES[first.dtype], *numbers)
    if getattr(library, f"lamnet_{name}")(data, integers):
        raise MemoryError(f"lamnet_{name}: no memory for its scratch")
