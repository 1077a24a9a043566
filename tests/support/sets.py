"""Small photographs, prepared sets and recipes for the tests of training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lamnet.media import arrays
from lamnet.training.preparation import prepare
from lamnet.training.recipes import Recipe, short


def photographs(folder: Path, sizes: list[tuple[int, int]], seed: int = 0) -> Path:
    """PNGs of smooth noise of the given (height, width)."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for index, (height, width) in enumerate(sizes):
        coarse = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
        arrays.write_array(folder / f"p{index}.png", coarse.repeat(8, 0).repeat(8, 1)[:height, :width])
    return folder


def prepared(folder: Path) -> Path:
    """A set of three photographs at x2 and x4."""
    prepare(photographs(folder / "photos", [(72, 60), (96, 72), (60, 64)]), folder / "set", (2, 4))
    return folder / "set"


def recipe(**changes: object) -> Recipe:
    """A few steps of tiny x4 on patches of 8 pixels."""
    few = replace(short("tiny", 4), patch=8, batch=2, steps=5, log_every=2, save_every=2, valid_every=1000)
    return replace(few, **changes)
