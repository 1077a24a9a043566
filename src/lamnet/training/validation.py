"""PSNR-Y of the moving averages of a training; apart from the loop, which runs without the packages for pictures too.

LR is the set's own or made by bicubic. At scale 1 that would be HR itself: there it is a JPEG of quality 50.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadDataError, BadImageError
from lamnet.evaluation import conditions, contenders
from lamnet.evaluation.benchmarks import BenchmarkSet, find_sets
from lamnet.evaluation.comparison import DEFAULT, evaluate
from lamnet.evaluation.conditions import LowResolution
from lamnet.media import arrays
from lamnet.network.model import LAMNet

_AT_SCALE_1 = "jpeg50"


def _condition(scale: int) -> str | None:
    """Name the condition that LR is under at this scale, as `conditions.parse` reads it; None where it is not degraded."""
    return _AT_SCALE_1 if scale == 1 else None


def check(valid: Path, scale: int) -> None:
    """Raise BadDataError, which names every file that does not fit or is damaged, where a folder cannot be used at this scale."""
    for one in find_sets(valid, scale, None, DEFAULT.smallest_at(scale)):
        if problems := {**one.left_out, **dict(_damaged(one))}:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in problems.items())
            raise BadDataError(f"{valid}: expected pictures that can all be measured, found {one.name} {reasons}")


def _damaged(one: BenchmarkSet) -> Iterator[tuple[str, str]]:
    """Yield the pictures whose pixels cannot be read, each with its reason."""
    for pair in one.pairs:
        try:
            for path in (pair.hr, pair.lr):
                if path is not None:
                    arrays.read_array(path)
        except BadImageError as error:
            yield pair.name, str(error)


def best(averages: Sequence[LAMNet], scale: int, valid: Path) -> tuple[int, dict[str, Any]]:
    """The network of the highest PSNR-Y, by its place, and its evaluation."""
    evaluations = [evaluate(average, scale, valid, degrade=_condition(scale)) for average in averages]
    which = max(range(len(evaluations)), key=lambda place: _mean_psnr(evaluations[place]))
    return which, evaluations[which]


def _mean_psnr(evaluation: Mapping[str, Any]) -> float:
    """PSNR-Y, the mean over sets."""
    sets = evaluation["sets"].values()
    return sum(one["psnr_y"] for one in sets) / len(sets)


def figures(evaluation: Mapping[str, Any]) -> dict[str, float | str]:
    """PSNR-Y for a line of metrics: the mean over sets, that of each where there are several, and the condition of LR, if any."""
    each = {f"psnr_y/{name}": one["psnr_y"] for name, one in evaluation["sets"].items()}
    protocol = evaluation["protocol"]
    under = {"degrade": protocol["degrade"]} if "degrade" in protocol else {}
    return {"psnr_y": _mean_psnr(evaluation), **(each if len(each) > 1 else {}), **under}


def picture(average: LAMNet, scale: int, valid: Path) -> tuple[str, NDArray[np.uint8]]:
    """The name of the first validation picture, and its result (H, W, 3)."""
    pair = find_sets(valid, scale)[0].pairs[0]
    lr = LowResolution(scale, conditions.parse(_condition(scale) or conditions.CLEAN))
    return pair.name, contenders.load(average, scale).upscale(lr.of(pair))
