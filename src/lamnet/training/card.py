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

from lamnet.evaluation.markdown import markdown_table
from lamnet.network.model import LAMNet
from lamnet.training.prepared import PreparedSet

_DEGRADATIONS: dict[str, str] = {
    "clean": "bicubic (MATLAB's imresize, mirrored borders)",
    "photo": "blur, downscaling by several filters, noise, JPEG and WebP, drawn for every patch",
}


def write(
    record: Mapping[str, Any], data: PreparedSet, network: LAMNet, evaluation: Mapping[str, Any] | None, workers: int
) -> str:
    """Markdown that says what the network is, what it was trained on, how, where, and what it reaches.

    Args:
        record: what the header of the weights holds, see `folder.RunFolder.write_results`.
        evaluation: as from `evaluate`; None where nothing was measured.
        workers: processes that trained together.
    """
    recipe = record["recipe"]
    degradation: str = recipe["degradation"]
    licences = Counter(photo.licence for photo in data.photos if photo.licence).most_common()
    facts: dict[str, str] = {
        "network": f"LAMNet, size {recipe['size']}, x{recipe['scale']}, {_parameters(network):,} parameters",
        "made by": f"lamnet {version('lamnet-sr')}, PyTorch {torch.__version__}",
        "command": f"`lamnet {shlex.join(sys.argv[1:])}`",
        "photographs": f"{record['photographs']} ({record['megapixels']} megapixels), set {record['set']}",
        "licences": f"{len(licences)}, in the table below" if licences else "not recorded",
        "degradation": _DEGRADATIONS.get(degradation, degradation),
        "started from": record["start"],
        "time": f"{record['steps']:,} steps in {record['seconds'] / 60:.0f} minutes",
        "hardware": f"{workers} x {_hardware()}",
        "recipe": ", ".join(f"{name} {value}" for name, value in recipe.items() if name not in ("size", "scale")),
    }
    tables = [markdown_table(["", ""], list(facts.items()))]
    if evaluation is not None:
        tables.append(_results(evaluation))
    if licences:
        rows = [[licence, str(count)] for licence, count in licences]
        tables.append(markdown_table(["licence of the photographs", "photographs"], rows))
    return "\n".join([f"# {recipe['size']} x{recipe['scale']}\n", *tables])


def _parameters(network: LAMNet) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _results(evaluation: Mapping[str, Any]) -> str:
    rows = [[name, f"{scores['psnr_y']:.2f}", f"{scores['ssim_y']:.4f}"] for name, scores in evaluation["sets"].items()]
    return markdown_table(["set", "PSNR-Y, dB", "SSIM-Y"], rows)


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU ({platform.machine()}), {torch.get_num_threads()} of {os.cpu_count()} cores"
