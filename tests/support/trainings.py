"""Clocks, interruptions and records of trainings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamnet.training.pairs import PatchSampler


def lines_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def ticking(seconds: float = 1.0) -> Callable[[], float]:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += seconds
        return now

    return clock


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, sampler: type[Any] = PatchSampler) -> None:
    """Make a training end with KeyboardInterrupt where it draws the patches of a step."""
    draw = sampler.draw

    def interrupted(self: object, at: int, part: int = 0, parts: int = 1):
        if at == step:
            raise KeyboardInterrupt
        return draw(self, at, part, parts)

    monkeypatch.setattr(sampler, "draw", interrupted)
