"""The choice of a backend, an implementation of the operators: `why_not` alone knows which can run."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator
from contextlib import contextmanager

import torch

from lamnet.base.errors import BackendError
from lamnet.ops import BACKENDS, native

_requested: list[str] = []


def why_not(backend: str, device: str | torch.device, dtype: torch.dtype) -> str | None:
    """Say in a few words why `backend` cannot run on tensors of this device and dtype; None where it can.

    Raises:
        BackendError: there is no backend of that name.
    """
    if backend not in BACKENDS:
        raise BackendError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}")
    kind = torch.device(device).type
    if backend == "reference":
        return None
    if backend == "native":
        if kind != "cpu":
            return f"it runs on cpu, not on {kind}"
        if dtype not in native.DTYPES:
            return f"it computes in float32, bfloat16 and float16, not in {dtype}"
        return native.why_not()
    if kind != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return f"it runs on cuda (or on cpu with TRITON_INTERPRET=1), not on {kind}"
    if dtype not in native.DTYPES:
        return f"it computes in float32, bfloat16 and float16, not in {dtype}"
    return None if importlib.util.find_spec("triton") else "triton is not installed; pip install 'lamnet-sr[triton]'"


@contextmanager
def use_backend(backend: str) -> Generator[None]:
    """Run every operator of this process within on `backend`, or raise BackendError.

    The environment variable LAMNET_BACKEND does the same for a whole process.
    """
    why_not(backend, "cpu", torch.float32)  # refuses an unknown name
    _requested.append(backend)
    try:
        yield
    finally:
        _requested.pop()


def backend_for(device: str, dtype: torch.dtype) -> str:
    """Choose the backend for tensors of this device type and dtype: the one requested, else the first that can run.

    Raises BackendError where the one requested cannot run, or the library that LAMNET_KERNELS names does not load.
    """
    requested = _requested[-1] if _requested else os.environ.get("LAMNET_BACKEND")
    if not requested:
        if device == "cpu" and os.environ.get("LAMNET_KERNELS") and (reason := native.why_not()):
            raise BackendError(f"LAMNET_KERNELS: {reason}")
        return next(name for name in BACKENDS if why_not(name, device, dtype) is None)
    reason = why_not(requested, device, dtype)
    if reason:
        raise BackendError(f"backend {requested}: {reason}")
    return requested


# What torch.compiler.assume_constant_result does, which imports all of the compiler, a third of the time to start.
backend_for._dynamo_marked_constant = True  # type: ignore[attr-defined]


def is_native(x: torch.Tensor) -> bool:
    """Tell whether the C kernels run on x."""
    return backend_for(x.device.type, x.dtype) == "native"


def differentiates(*tensors: torch.Tensor) -> bool:
    """Tell whether a result computed from these tensors may need a gradient."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def autocast(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Cast operands to the dtype of an autocast region, as PyTorch's own layers do; elsewhere they stay as they are."""
    if not torch.is_autocast_enabled("cpu"):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype("cpu")) for tensor in tensors)


def backends() -> list[tuple[str, str, str | None]]:
    """List (backend, device, why it cannot run there in float32 or None) for the processor and the GPU."""
    devices = ["cpu", "mps"] if torch.backends.mps.is_available() else ["cpu", "cuda"]
    return [(name, device, _reason(name, device)) for name in BACKENDS for device in devices]


def _reason(backend: str, device: str) -> str | None:
    if device == "cuda" and not torch.cuda.is_available():
        return "no CUDA device"
    return why_not(backend, device, torch.float32)
