"""The model card of a finished training."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from lamnet.data.prepare import PreparedSet
from lamnet.model import LAMNet

_DEGRADATIONS = {
    "clean": "bicubic (MATLAB's imresize, mirrored borders)",
    "photo": "blur, downscaling by several filters, noise, JPEG and WebP, drawn for every patch",
}


def write(
    record: Mapping[str, Any], data: PreparedSet, network: LAMNet, evaluation: Mapping[str, Any] | None, workers: int
) -> str:
    """Markdown: what the network is, what it was trained on, how, where, and what it reaches.

    `record` is what the weights' header holds: recipe, steps, seconds, start.
    """
    recipe = record["recipe"]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    facts = {
        "network": f"LAMNet, size {recipe['size']}, x{recipe['scale']}, {parameters:,} parameters",
        "made by": f"lamnet {version('lamnet-sr')}, PyTorch {torch.__version__}",
        "command": f"`lamnet {shlex.join(sys.argv[1:])}`",
        "photographs": f"{len(data.photos)} ({data.megapixels:.0f} megapixels), set {data.folder.name}",
        "licences": "; ".join(f"{licence} ({count})" for licence, count in _licences(data)) or "not recorded",
        "degradation": _DEGRADATIONS.get(recipe["degradation"], recipe["degradation"]),
        "started from": record["start"],
        "time": f"{record['steps']:,} steps in {record['seconds'] / 60:.0f} minutes",
        "hardware": f"{workers} x {_hardware()}",
        "recipe": ", ".join(f"{name} {value}" for name, value in recipe.items() if name not in ("size", "scale")),
    }
    rows = "".join(f"| {name} | {value} |\n" for name, value in facts.items())
    text = f"# {recipe['size']} x{recipe['scale']}\n\n| | |\n|---|---|\n{rows}"
    return text if evaluation is None else f"{text}\n{_results(evaluation)}"


def _results(evaluation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"| {name} | {one['psnr_y']:.2f} | {one['ssim_y']:.4f} |\n" for name, one in evaluation["sets"].items()
    )
    return f"| set | PSNR-Y, dB | SSIM-Y |\n|---|---|---|\n{rows}"


def _licences(data: PreparedSet) -> list[tuple[str, int]]:
    return Counter(photo.licence for photo in data.photos if photo.licence).most_common()


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU ({platform.machine()}), {torch.get_num_threads()} of {os.cpu_count()} cores"
