"""The networks that ship, what is known of each, and which of them a call needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.core.weights import WeightsFile
from lamnet.network import reading, shipped

BEST_FIRST = ("large", "base", "tiny")
DEFAULT_SCALE = 4  # and the largest that there is
# Beside the weights: what those were trained on whose header does not record it, by the name of their file.
TRAINED_ON = "trained_on.json"


@dataclass(frozen=True)
class Selection:
    """The networks that a call needs.

    Attributes:
        networks: their weights by scale, smallest first; at least one.
        factor: how many times as wide and high results are; None where it follows from each picture's size.
    """

    networks: tuple[WeightsFile, ...]
    factor: float | None


def select(model: str | None, factor: float | None = None, *, any_factor: bool = False) -> Selection:
    """Choose and load the networks that pictures of any size may need; a weights file is read once.

    Args:
        model: a name, a weights file, or None for the best that ships at each scale.
        factor: how many times as wide and high results are; when left out, a weights file's own scale, else 4.
        any_factor: each picture needs a factor of its own, as where a size is given to fit into; `factor` is left out.

    Raises:
        BadWeightsError: no such model, or nothing ships for it.
        BadArgumentError: a factor beyond every network.
    """
    if model is not None and not shipped.is_name(model):
        networks = [reading.load(model)]
        factor = networks[0].config.scale if factor is None and not any_factor else factor
    else:
        factor = DEFAULT_SCALE if factor is None and not any_factor else factor
        networks = [load_best(model, scale) for scale in _scales(model, factor)]
    largest = networks[-1].config.scale
    if factor is not None and factor > largest:
        raise BadArgumentError(f"scale: expected at most {largest} with this model, got {factor:g}")
    return Selection(tuple(networks), factor)


def load_best(model: str | None, scale: int | None) -> WeightsFile:
    """Load what a name or file stands for, or the best that ships for the scale; a file may keep its own.

    Raises BadWeightsError when there is none.
    """
    if model is not None:
        return reading.load(model, scale)
    sizes = [size for size in BEST_FIRST if (size, scale) in shipped.shipped()]
    if not sizes:
        raise BadWeightsError(f"scale: expected one that weights ship for, got {scale}; see lamnet models")
    return reading.load(sizes[0], scale)


@dataclass(frozen=True)
class Shipped:
    """A network whose weights come with the package.

    Attributes:
        bytes: of its file.
        data: what it was trained on; "not recorded" where nothing says so.
        psnr_y: dB by benchmark set; empty where it was not evaluated.
    """

    size: str
    scale: int
    parameters: int
    bytes: int
    data: str
    psnr_y: Mapping[str, float]


def models() -> list[Shipped]:
    """Every network that ships, smallest first."""
    found = [_described(size, scale) for size, scale in shipped.shipped()]
    return sorted(found, key=lambda one: (one.parameters, one.scale))


def _described(size: str, scale: int) -> Shipped:
    path = shipped.shipped_path(size, scale)
    contents = reading.read(path)
    evaluation: Mapping[str, Any] = _json(path.with_suffix(".json"))
    return Shipped(
        size=size,
        scale=scale,
        parameters=sum(array.size for array in contents.state.values()),
        bytes=path.stat().st_size,
        data=_trained_on(path, contents.record),
        psnr_y={name: float(scores["psnr_y"]) for name, scores in evaluation.get("sets", {}).items()},
    )


def _trained_on(path: Path, record: Mapping[str, Any]) -> str:
    facts: Mapping[str, Any] = record
    if "photographs" not in facts:
        facts = _json(path.with_name(TRAINED_ON)).get(path.stem, {})
    if "photographs" not in facts:
        return "not recorded"
    return f"{facts['photographs']} ({facts['megapixels']} megapixels), set {facts['set']}"


def _scales(model: str | None, factor: float | None) -> list[int]:
    """The scales to load: the smallest that reaches the factor, or else the largest; all of them for None."""
    scales = sorted({scale for size, scale in shipped.shipped() if model in (None, size)})
    if factor is not None:
        scales = [scale for scale in scales if scale >= factor][:1] or scales[-1:]
    return scales or [DEFAULT_SCALE]


def _json(path: Path) -> dict[str, Any]:
    """The object in a file of ours, {} where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
