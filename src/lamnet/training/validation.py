"""PSNR-Y of the moving averages of a training; apart from the loop, which runs without the packages for pictures too.

LR is the set's own or made by bicubic. At scale 1 that would be HR itself: there it is a JPEG of quality 50.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Validation:
    """Pictures for validation, as they were when the training began.

    Attributes:
        folder: a benchmark folder or a folder of HR pictures.
        pictures: each by its set's name and its own.
    """

    folder: Path
    scale: int
    pictures: frozenset[tuple[str, str]]

    @classmethod
    def open(cls, folder: Path, scale: int) -> Validation:
        """Find the pictures. Raises BadDataError, which names every file that does not fit or is damaged, where one cannot be measured."""
        found = find_sets(folder, scale, None, DEFAULT.smallest_at(scale))
        for one in found:
            if problems := {**one.left_out, **dict(_damaged(one))}:
                reasons = "; ".join(f"{name}: {reason}" for name, reason in problems.items())
                raise BadDataError(f"{folder}: expected pictures that can all be measured, found {one.name} {reasons}")
        return cls(folder, scale, frozenset((one.name, pair.name) for one in found for pair in one.pairs))

    def best(self, averages: Sequence[LAMNet]) -> tuple[int, dict[str, Any]]:
        """The network of the highest PSNR-Y, by its place, and its evaluation. Raises BadDataError where the folder is no longer sound."""
        condition = _condition(self.scale)
        evaluations = [evaluate(average, self.scale, self.folder, degrade=condition) for average in averages]
        which = max(range(len(evaluations)), key=lambda place: _mean_psnr(evaluations[place]))
        return which, evaluations[which]

    def check_whole(self, evaluation: Mapping[str, Any]) -> None:
        """Raise BadDataError where an evaluation is of other pictures than those that there were: its means tell something else."""
        sets = evaluation["sets"]
        measured = {(name, picture) for name, one in sets.items() for picture in one["images"]}
        if not (changed := sorted(measured ^ self.pictures)):
            return
        name, picture = changed[0]
        gone = "is gone" if changed[0] in self.pictures else "is new"
        reasons = sets.get(name, {}).get("left_out") or evaluation.get("unmeasured", {}).get(name, {})
        reason = reasons.get(picture, gone)
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise BadDataError(
            f"{self.folder}: expected the pictures that there were, found {name} {picture}: {reason}{more}"
        )

    def picture(self, average: LAMNet) -> tuple[str, NDArray[np.uint8]]:
        """The name of the first validation picture, and its result (H, W, 3)."""
        pair = find_sets(self.folder, self.scale)[0].pairs[0]
        lr = LowResolution(self.scale, conditions.parse(_condition(self.scale) or conditions.CLEAN))
        return pair.name, contenders.load(average, self.scale).upscale(lr.of(pair))


def _damaged(one: BenchmarkSet) -> Iterator[tuple[str, str]]:
    """Yield the pictures whose pixels cannot be read, each with its reason."""
    for pair in one.pairs:
        try:
            for path in (pair.hr, pair.lr):
                if path is not None:
                    arrays.read_array(path)
        except BadImageError as error:
            yield pair.name, str(error)


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
