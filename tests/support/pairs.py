"""Pictures that can be told apart, for the tests of given LR."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, shift

from lamnet.media import arrays


@cache
def picture(seed: int, height: int = 160, width: int = 192) -> np.ndarray:
    """Noise of three grains, (height, width, 3), read-only."""
    rng = np.random.default_rng(seed)
    noise = sum(size * gaussian_filter(rng.normal(0, 1, (height, width, 3)), (size, size, 0)) for size in (1, 3, 9))
    pixels = (128 + 40 * noise / noise.std()).clip(0, 255).astype(np.uint8)
    pixels.flags.writeable = False  # the next caller gets the same
    return pixels


def moved(pixels: np.ndarray, down: float, right: float) -> np.ndarray:
    """The pixels moved by any number of them."""
    return shift(pixels.astype(float), (down, right, 0), order=3, mode="nearest").clip(0, 255).astype(np.uint8)


def some_pairs(folder: Path) -> tuple[Path, Path]:
    """HR and LR by area, which is nobody's bicubic; one pair is shifted by a third, the others each do not fit."""
    hr, lr = folder / "hr", folder / "lr"
    hr.mkdir()
    lr.mkdir()
    for seed, name in enumerate("abcdefg"):
        hr_pixels = picture(seed, 160, 193 if name == "b" else 192)
        small = hr_pixels[:, :192].reshape(40, 4, 48, 4, 3).mean((1, 3)).round().astype(np.uint8)
        if name == "c":
            small = moved(small, 0.0, 0.33)
        if name == "d":
            small = moved(small, 0.9, 0.0)
        if name == "e":
            small = small[:, :47]
        if name == "f":
            small = small[::-1]
        arrays.write_array(hr / f"{name}.png", hr_pixels)
        if name != "g":
            arrays.write_array(lr / f"{name}x4.png", np.ascontiguousarray(small))
    arrays.write_array(lr / "zx4.png", picture(9, 40, 48))
    return hr, lr
