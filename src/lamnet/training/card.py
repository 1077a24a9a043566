"""The model card of a finished training."""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from lamnet.core.config import SIZES
from lamnet.evaluation.machine import installed
from lamnet.evaluation.markdown import markdown_table
from lamnet.network.model import LAMNet
from lamnet.training import idle
from lamnet.training.degradation import Degradation
from lamnet.training.prepared import BICUBIC, PreparedSet
from lamnet.training.recipe_files import RECIPE, from_record
from lamnet.training.recipes import KINDS, Recipe

# Options of the command that stand for a field of a recipe, in the order of its help.
_OPTIONS = ("steps", "batch", "patch", "lr", "seed", "precision", "accumulate")
_DRAWN = {
    "blur": "blur",
    "other_filters": "downscaling by several filters",
    "in_parts": "downscaling in two steps",
    "noise": "noise",
    "compression": "JPEG and WebP",
}


def write(
    record: Mapping[str, Any], data: PreparedSet, network: LAMNet, evaluation: Mapping[str, Any] | None, workers: int
) -> str:
    """Write in Markdown what the network is, what it was trained on, how, where, and what it reaches.

    Args:
        record: the record in the header of the weights, see `folder.RunFolder.write_results`.
        evaluation: as from `evaluate`; None without a measurement.
        workers: processes that trained together.
    """
    recipe = from_record(record["recipe"], "recipe")
    licences = Counter(photo.licence for photo in data.photos if photo.licence).most_common()
    elsewhere = ("size", "scale", "network", "own_degradation")  # rows of their own
    facts: dict[str, str] = {
        "network": f"LAMNet, {_network(recipe)}, {_parameters(network):,} parameters",
        "made by": f"lamnet {installed('lamnet-sr')}, PyTorch {torch.__version__}",
        "command": f"`{_command(recipe, record['start'], data)}`",
        "photographs": f"{record['photographs']} ({record['megapixels']} megapixels), folder {record['set']}",
        **_before(record),
        "licences": f"{len(licences)}, in the table below" if licences else "not recorded",
        "degradation": data.lr if recipe.reads_lr else _degradation(recipe.ranges),
        "started from": record["start"],
        "time": f"{record['steps']:,} steps in {record['seconds'] / 60:.0f} minutes{_cooled(record)}",
        "LR pixels seen": f"{record['steps'] * recipe.batch * recipe.patch**2 / 1e6:,.1f} million",
        "hardware": f"{workers} x {_hardware()}",
        "recipe": ", ".join(f"{name} {value}" for name, value in record["recipe"].items() if name not in elsewhere),
    }
    if recipe.own_degradation is not None:
        facts["ranges"] = ", ".join(f"{name} {value}" for name, value in asdict(recipe.ranges).items())
    tables = [markdown_table(["", ""], list(facts.items()))]
    if evaluation is not None:
        tables.append(_results(evaluation))
    if licences:
        unknown = sum(not photo.licence for photo in data.photos)
        rows = [[licence, str(count)] for licence, count in licences]
        if unknown:
            rows.append(["not recorded", str(unknown)])
        tables.append(markdown_table(["licence of the photographs", "photographs"], rows))
    return "\n".join([f"# {recipe.size} x{recipe.scale}\n", *tables])


def _network(recipe: Recipe) -> str:
    """Describe the network by its size, or by its fields where it has no size."""
    if recipe.network is None:
        return f"size {recipe.size}, x{recipe.scale}"
    config = {name: value for name, value in asdict(recipe.network).items() if name not in ("scale", "window")}
    window = f"{recipe.network.window.taps} taps over {recipe.network.window.span} pixels"
    return f"x{recipe.scale}, {', '.join(f'{name} {value}' for name, value in config.items())}, window {window}"


def _degradation(how: Degradation) -> str:
    """Describe the kinds of degradation that patches get."""
    kinds = [words for name, words in _DRAWN.items() if getattr(how, name) and idle.lacking(how, name) is None]
    return f"{', '.join(kinds)}, drawn for every patch" if kinds else BICUBIC


def _command(recipe: Recipe, start: str, data: PreparedSet) -> str:
    """Write a command that trains by this recipe: by its name and the options that differ, or else by recipe.json."""
    words = ["lamnet", "train", *_words(recipe), "--data", data.folder.name, "--out", "RUN"]
    if recipe.schedule != "cooldown" and start != "scratch":
        words += ["--from", _name_of(start)]
    elif recipe.schedule == "cooldown":
        words += ["--state", start]
    return shlex.join(words)


def _name_of(start: str) -> str:
    """Write weights that a training starts from as --from takes them: tiny:photo for those that ship as tiny_x4_photo."""
    if not (found := re.fullmatch(r"([a-z]+)_x\d+(?:_([a-z]+))?, which ships", start)):
        return start
    return f"{found[1]}:{found[2]}" if found[2] else found[1]


def _words(recipe: Recipe) -> list[str]:
    by_option = recipe.budget_s % 1 == 0  # which takes whole seconds
    if recipe.size in SIZES and recipe.schedule != "cooldown" and by_option:
        for kind in KINDS:
            by_name = KINDS[kind](recipe.size, recipe.scale)
            changed = [name for name, value in asdict(recipe).items() if value != asdict(by_name)[name]]
            if set(changed) <= {*_OPTIONS, "budget_s"} and not {"steps", "budget_s"} <= set(changed):
                options = [
                    word for name in _OPTIONS if name in changed for word in (f"--{name}", str(getattr(recipe, name)))
                ]
                budget = ["--budget", f"{round(recipe.budget_s)}s"] if recipe.budget_s else []
                return [f"{recipe.size}_x{recipe.scale}{'' if kind == 'paper' else f'_{kind}'}", *options, *budget]
    return [RECIPE]


def _before(record: Mapping[str, Any]) -> dict[str, str]:
    """The photographs of the stable phase that a cool-down branched off, where they were others."""
    if not (others := record.get("stable_photographs")):
        return {}
    return {"photographs before the cool-down": f"{others}; their licences are on the card of the stable phase alone"}


def _cooled(record: Mapping[str, Any]) -> str:
    """Say where a cool-down began; "" for another training."""
    return f", the cool-down from step {record['stable']:,} on" if "stable" in record else ""


def _parameters(network: LAMNet) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _results(evaluation: Mapping[str, Any]) -> str:
    rows = [[name, f"{scores['psnr_y']:.2f}", f"{scores['ssim_y']:.4f}"] for name, scores in evaluation["sets"].items()]
    under = evaluation.get("protocol", {}).get("degrade")
    return markdown_table([f"set, {under}" if under else "set", "PSNR-Y, dB", "SSIM-Y"], rows)


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU ({platform.machine()}), {torch.get_num_threads()} of {os.cpu_count()} cores"
