"""The networks that ship, what is known of each, and which of them a call needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.network import shipped, weights
from lamnet.network.model import LAMNet

BEST_FIRST = ("large", "base", "tiny")
DEFAULT_SCALE = 4  # and the largest there is


def load_best(model: str | None, scale: int | None) -> LAMNet:
    """The network that a name or file stands for, or the best that ships for the scale; a file may keep its own.

    Raises BadWeightsError when there is none.
    """
    if model is not None:
        return weights.load(model, scale)
    sizes = [size for size in BEST_FIRST if (size, scale) in shipped.shipped()]
    if not sizes:
        raise BadWeightsError(f"scale: expected one that weights ship for, got {scale}; see lamnet models")
    return weights.load(sizes[0], scale)


def default_factor(model: str | None) -> int:
    """A weights file's own scale, else 4. Raises BadWeightsError for a file that is none."""
    own = None if model is None or shipped.is_name(model) else weights.load(model).config.scale
    return own or DEFAULT_SCALE


def networks_for(model: str | None, factor: float | None) -> list[LAMNet]:
    """The networks that pictures of any size may need for a factor, or for any factor if it is None, by scale.

    Raises BadWeightsError as `load_best`, BadArgumentError for a factor beyond every network.
    """
    if model is not None and not shipped.is_name(model):
        networks = [weights.load(model)]
    else:
        scales = sorted({scale for size, scale in shipped.shipped() if model in (None, size)})
        if factor is not None:
            scales = [scale for scale in scales if scale >= factor][:1] or scales[-1:]
        networks = [load_best(model, scale) for scale in scales or [DEFAULT_SCALE]]
    most = networks[-1].config.scale
    if factor is not None and factor > most:
        raise BadArgumentError(f"scale: expected at most {most} with this model, got {factor:g}")
    return networks


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
    for size, scale in shipped.shipped():
        path = shipped.shipped_path(size, scale)
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
