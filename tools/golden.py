"""Golden cases: networks and pictures by a formula, the same on every machine, and what comes of them by the definition.

tests/core/golden.npz has the results of plain PyTorch in float64; `tests/core/test_golden.py` writes it with LAMNET_FREEZE=1.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamnet.core import parameters
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window

RESULTS = Path(__file__).parents[1] / "tests/core/golden.npz"
ODD = Window((-3, -1, 0, 1), (2, 1, 1, 3))
CASES: dict[str, tuple[LAMNetConfig, tuple[int, int]]] = {  # and height and width of the picture
    "tiny": (LAMNetConfig(2, channels=32, groups=1, blocks=2), (9, 13)),
    "base": (LAMNetConfig(3, groups=2, blocks=1), (17, 6)),
    "odd": (LAMNetConfig(1, channels=18, groups=1, blocks=1, heads=3, expansion=1.5, window=ODD), (5, 70)),
    "line": (LAMNetConfig(4, channels=16, groups=1, blocks=1, heads=2), (1, 40)),
}
MOST_OFF = {"float32": 1e-5, "bfloat16": 3e-2}  # relative to the largest value


def numbers(count: int, seed: int) -> NDArray[np.float64]:
    """`count` numbers from -1 to 1 that look random: whole-number arithmetic, so to the bit the same everywhere."""
    i = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 20)
    for factor in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9):
        i = (i ^ (i >> np.uint64(29))) * np.uint64(factor)
    return (i >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def state(config: LAMNetConfig) -> dict[str, NDArray[np.float32]]:
    """The weights of a case: those of a layer of unit gain, those of norms and factors about 1."""
    made: dict[str, NDArray[np.float32]] = {}
    for seed, (name, shape) in enumerate(parameters.shapes(config).items()):
        drawn = numbers(math.prod(shape), seed).reshape(shape)
        if name.endswith(("norm.weight", "scale")):
            drawn = 1 + drawn / 4
        elif name.endswith("weight"):
            drawn *= math.sqrt(3 / math.prod(shape[1:]))
        else:
            drawn /= 8
        made[name] = drawn.astype(np.float32)
    return made


def picture(case: str) -> NDArray[np.float32]:
    """The picture of a case, (height, width, 3) in [0, 1]."""
    height, width = CASES[case][1]
    return ((numbers(3 * height * width, len(case)) + 1) / 2).astype(np.float32).reshape(height, width, 3)


def results() -> dict[str, NDArray[np.float32]]:
    """What comes of each case by the definition."""
    with np.load(RESULTS) as file:
        return dict(file)


def packed(case: str, expected: NDArray[np.float32]) -> bytes:
    """A case as tools/check_library.c reads it: whole numbers of 64 bits, then the others in float32."""
    config, (height, width) = CASES[case]
    weights, window = parameters.flattened(config, state(config)), config.window
    sizes = (config.scale, config.channels, config.groups, config.blocks, config.heads, config.hidden)
    whole = [*sizes, window.taps, *map(int, window.starts), *window.lengths, height, width, weights.size]
    parts = (weights, picture(case), np.array(list(MOST_OFF.values())), expected)
    return np.array(whole, "<i8").tobytes() + b"".join(part.astype("<f4").tobytes() for part in parts)
