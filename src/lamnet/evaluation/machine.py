"""The machine: versions, processor, threads and devices."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_COMPANIONS = ("numpy", "triton", "pyvips", "spandrel", "onnxruntime")


def machine() -> dict[str, str]:
    """Versions, processor, threads and devices, each as text."""
    facts = {"lamnet": version("lamnet-sr"), "Python": platform.python_version(), "torch": torch.__version__}
    for name in _COMPANIONS:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "not installed"
    facts["system"] = platform.platform()
    facts["processor"] = f"{_processor()}, {os.cpu_count()} logical cores, {torch.backends.cpu.get_cpu_capability()}"
    facts["threads"] = str(torch.get_num_threads())
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
