"""The machine: versions, processor, threads and devices."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lamnet.core import library
from lamnet.network import runtime

_COMPANIONS = ("torch", "numpy", "triton", "pyvips", "spandrel", "onnxruntime")


def machine() -> dict[str, str]:
    """Describe versions, processor, threads and devices, each as text."""
    facts = {"lamnet": installed("lamnet-sr"), "Python": platform.python_version()}
    facts |= {name: installed(name) for name in _COMPANIONS}
    facts["system"] = platform.platform()
    level = library.why_not() or library.level()
    facts["processor"] = f"{_processor()}, {os.cpu_count()} logical cores, {level}"
    facts["threads"] = str(library.default_threads())
    if runtime.has_gpu():
        facts |= _gpus() if runtime.has_torch() else {"cuda": "PyTorch is not installed"}
        facts["networks on"] = runtime.chosen() or ""
    return facts


def installed(name: str) -> str:
    """The version of a package, or "not installed"; lamnet itself can run from its sources alone."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def backends() -> list[tuple[str, str, str | None]]:
    """List (backend, device, why it cannot run there or None) of the core, and of PyTorch where there may be a GPU."""
    if runtime.has_gpu() and runtime.has_torch():
        from lamnet.ops.backend import backends as in_torch

        return in_torch()
    return [("native", "cpu", library.why_not())]


def _gpus() -> dict[str, str]:
    """Describe the GPUs that PyTorch can use."""
    import torch

    facts: dict[str, str] = {}
    for index in range(torch.cuda.device_count()):
        gib = torch.cuda.mem_get_info(index)[1] / 2**30
        facts[f"cuda:{index}"] = f"{torch.cuda.get_device_name(index)}, {gib:.0f} GiB, CUDA {torch.version.cuda}"
    if not torch.cuda.is_available():
        facts["cuda"] = "no usable device"
    if torch.backends.mps.is_available():
        facts["mps"] = "available"
    return facts


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
