"""What this machine is, what can run on it, and which weights ship: for `lamnet info`, `lamnet models` and benchmarks."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from lamnet import weights
from lamnet.ops.backend import BACKENDS, why_not

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


def backends() -> list[tuple[str, str, str | None]]:
    """(backend, device, why it cannot run there in float32 or None) for the processor and the GPU."""
    devices = ["cpu", "mps"] if torch.backends.mps.is_available() else ["cpu", "cuda"]
    return [(name, device, _reason(name, device)) for name in BACKENDS for device in devices]


def _reason(backend: str, device: str) -> str | None:
    if device == "cuda" and not torch.cuda.is_available():
        return "no CUDA device"
    return why_not(backend, device, torch.float32)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Shipped:
    """A network whose weights come with the package.

    Attributes:
        bytes: of its file.
        data: what it was trained on, from its model card; "not recorded" without one.
        psnr_y: per benchmark, dB; empty where it was not evaluated.
    """

    size: str
    scale: int
    parameters: int
    bytes: int
    data: str
    psnr_y: Mapping[str, float]


def models() -> list[Shipped]:
    """Every network that ships, smallest first."""
    found: list[Shipped] = []
    for size, scale in weights.shipped():
        path = weights.shipped_path(size, scale)
        network = weights.load(size, scale)
        found.append(
            Shipped(
                size=size,
                scale=scale,
                parameters=sum(parameter.numel() for parameter in network.parameters()),
                bytes=path.stat().st_size,
                data=_card_row(path.with_suffix(".md"), "photographs"),
                psnr_y=_psnr(path.with_suffix(".json")),
            )
        )
    return sorted(found, key=lambda one: (one.parameters, one.scale))


def _card_row(card: Path, name: str) -> str:
    """A row of the table in a model card."""
    lines = card.read_text(encoding="utf-8").splitlines() if card.is_file() else []
    prefix = f"| {name} | "
    return next((line.removeprefix(prefix).rstrip(" |") for line in lines if line.startswith(prefix)), "not recorded")


def _psnr(evaluation: Path) -> dict[str, float]:
    if not evaluation.is_file():
        return {}
    content: dict[str, Any] = json.loads(evaluation.read_text(encoding="utf-8"))
    return {name: float(scores["psnr_y"]) for name, scores in content["sets"].items()}
