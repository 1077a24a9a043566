"""What each weight that ships has seen, added up along its runs in docs/log/training.csv."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RUNS = Path(__file__).parent / "log" / "training.csv"
_NAME = re.compile(r"(?:tiny|base|large)-x\d(?:-photo)?-\d\w?")


@dataclass(frozen=True)
class Point:
    """The state of a run at one of its validations: everything seen since scratch, and PSNR-Y (dB) where measured."""

    megapixels: float
    minutes: float
    psnr: dict[str, float]


@cache
def _rows() -> dict[str, list[dict[str, str]]]:
    rows: dict[str, list[dict[str, str]]] = {}
    with RUNS.open(newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["run"], []).append(row)
    return rows


def shipped(size: str, scale: int, variant: str) -> str:
    """The run of training.csv whose weights ship."""
    inner = "-photo" if variant == "photo" else ""
    pattern = re.compile(rf"{size}-x{scale}{inner}-\d\w?")
    return [run for run, rows in _rows().items() if pattern.fullmatch(run) and rows[-1]["shipped"] == "yes"][-1]


def chain(run: str) -> list[str]:
    """A run and those that it goes on from, the first one first; one that another scale gave its body is a part of it."""
    before = _NAME.search(_rows()[run][0]["start"])
    return [*(chain(before[0]) if before else []), run]


def seen(run: str) -> Point:
    """All that the weights at the end of a run have seen."""
    return list(points(run))[-1]


def points(run: str) -> Iterator[Point]:
    """Every validation on the way to the end of a run."""
    megapixels = minutes = 0.0
    for name in chain(run):
        rows = _rows()[name]
        for row in rows:
            psnr = {name: float(row[name]) for name in ("set5", "set14", "b100") if row[name]}
            yield Point(megapixels + float(row["lr_megapixels"]), minutes + float(row["minutes"] or 0), psnr)
        megapixels += float(rows[-1]["lr_megapixels"])
        minutes += float(rows[-1]["minutes"] or 0)
