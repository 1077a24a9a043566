"""PSNR-Y of the moving averages of a training; apart from the loop, which runs without the packages for pictures too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadDataError
from lamnet.evaluation import contenders
from lamnet.evaluation.benchmarks import find_sets
from lamnet.evaluation.comparison import DEFAULT, evaluate
from lamnet.evaluation.conditions import LowResolution
from lamnet.network.model import LAMNet


def check(valid: Path, scale: int) -> None:
    """Raise BadDataError, which names every file that does not fit, where a folder cannot be used at this scale."""
    for one in find_sets(valid, scale, None, DEFAULT.smallest_at(scale)):
        if one.left_out:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in one.left_out.items())
            raise BadDataError(f"{valid}: expected pictures that can all be measured, found {one.name} {reasons}")


def best(averages: Sequence[LAMNet], scale: int, valid: Path) -> tuple[int, dict[str, Any]]:
    """The network of the highest PSNR-Y, by its place, and its evaluation."""
    evaluations = [evaluate(average, scale, valid) for average in averages]
    which = max(range(len(evaluations)), key=lambda place: mean_psnr(evaluations[place]))
    return which, evaluations[which]


def mean_psnr(evaluation: Mapping[str, Any]) -> float:
    """PSNR-Y, the mean over sets."""
    sets = evaluation["sets"].values()
    return sum(one["psnr_y"] for one in sets) / len(sets)


def picture(average: LAMNet, scale: int, valid: Path) -> tuple[str, NDArray[np.uint8]]:
    """The name of the first validation picture, and its result (H, W, 3)."""
    pair = find_sets(valid, scale)[0].pairs[0]
    return pair.name, contenders.load(average, scale).upscale(LowResolution(scale).of(pair))
