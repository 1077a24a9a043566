"""The choice of what runs a network here: the core on the processor, or PyTorch on a GPU."""

from __future__ import annotations

import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lamnet.base.errors import BackendError
from lamnet.base.extras import require
from lamnet.core import library
from lamnet.ops import BACKENDS

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float32", "bfloat16", "float16"]

# Files that the drivers of NVIDIA (in WSL too) and AMD make.
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", r"C:\Windows\System32\nvcuda.dll")


def torch_device(device: str | torch.device | None, precision: Precision = "auto") -> torch.device | None:
    """Choose the device on which PyTorch runs a network, or None where the core runs it, as on most processors.

    On a processor PyTorch runs what the core cannot: float16, the backends that LAMNET_BACKEND names, and everything where the
    core's library does not load, unless LAMNET_KERNELS names it. It is imported only where it may be chosen.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps"; None takes the best there is.

    Raises:
        BackendError: the device cannot be used here, or LAMNET_BACKEND names no backend.
        MissingExtraError: it takes PyTorch, which is not installed.
    """
    if device is None and has_gpu() and has_torch():
        return _on_processor(precision) if (best := _picked(None)).type == "cpu" else best
    if device is None or str(device).partition(":")[0] == "cpu":
        return _on_processor(precision)
    if not has_torch() and str(device).partition(":")[0] not in ("cuda", "mps"):
        raise BackendError(f"device: expected cpu, or with PyTorch one such as cuda, cuda:1 or mps, got {device!s:.40}")
    require("torch", "torch", f"device: {device}")
    return _picked(device)


def chosen() -> str | None:
    """Say on a machine with a GPU what networks run on by default; None where there is no choice."""
    if not has_gpu():
        return None
    if not has_torch():
        return 'the processor; the GPU takes PyTorch: pip install "lamnet-sr[torch]"'
    device = torch_device(None)
    if device is None or device.type == "cpu":
        return "the processor; PyTorch finds no GPU that it can use"
    return f"the GPU ({device}), in PyTorch"


def without_core(device: str | torch.device | None, precision: Precision = "auto") -> str | None:
    """Say in a line that and why PyTorch runs networks on the processor though nobody asked for it; None where all is well.

    Takes what `torch_device` takes, and raises as it does.
    """
    reason = library.why_not()
    if reason is None or precision == "float16" or os.environ.get("LAMNET_BACKEND"):
        return None
    place = torch_device(device, precision)
    if place is None or place.type != "cpu":
        return None
    return f"{reason}; PyTorch computes instead, many times slower"


def has_gpu() -> bool:
    """Tell, without PyTorch, whether this machine seems to have a GPU that PyTorch may use."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(Path(driver).exists() for driver in _DRIVERS)


def has_torch() -> bool:
    """Tell whether PyTorch is installed, without importing it."""
    try:
        return find_spec("torch") is not None
    except (ImportError, ValueError):  # raised by a stand-in for the package
        return False


def _on_processor(precision: Precision) -> torch.device | None:
    asked = os.environ.get("LAMNET_BACKEND")
    if asked and asked not in BACKENDS:
        raise BackendError(f"LAMNET_BACKEND: expected one of {', '.join(BACKENDS)}, got {asked!r}")
    if asked not in (None, "", "native"):
        require("torch", "torch", f"LAMNET_BACKEND: {asked}")
    elif precision == "float16":
        require("torch", "torch", "precision: float16")
    elif not has_torch() or os.environ.get("LAMNET_KERNELS") or library.why_not() is None:
        return None  # to the core, which says why it does not load where it was asked for by name
    return _picked("cpu")


def _picked(device: str | torch.device | None) -> torch.device:
    from lamnet.network import devices

    return devices.pick(device)
