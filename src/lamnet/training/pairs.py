"""Random aligned LR and HR patches from a prepared set. The batch of a step depends on (seed, step) alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadDataError
from lamnet.training.positions import TURNS, Positions, turned
from lamnet.training.prepared import SCALES, PreparedSet


class PatchSampler:
    """Batches of patches, flipped and turned, every patch position of the set equally likely.

    Args:
        data: the set; it must hold LR of `scale`.
        scale: 2, 3 or 4.
        patch: side of an LR patch, pixels.
        batch: patches of one step over all workers.
        seed: other seeds give other patches.

    Raises BadDataError when the set has no LR of the scale, or no picture that holds a patch.
    """

    def __init__(self, data: PreparedSet, scale: int, patch: int, batch: int, seed: int) -> None:
        if scale not in data.scales:
            way = f"lamnet prepare with --scales {scale} makes a set that has it"
            if scale not in SCALES:
                way = f'a set has LR of scales {SCALES[0]} to {SCALES[-1]}; a recipe with a degradation makes its own, such as based_on = "photo"'
            raise BadDataError(f"{data.folder}: expected LR of scale {scale}, found scales {list(data.scales)}; {way}")
        self.scale, self.patch, self.batch, self.seed = scale, patch, batch, seed
        self.positions = Positions(data, scale, patch, unit=scale)
        self._lr = np.memmap(data.file(scale), np.uint8, "r")
        self._hr = np.memmap(data.file(1), np.uint8, "r")
        self._lr_offsets, self._hr_offsets = data.offsets(scale), data.offsets(1)

    def draw(self, step: int, part: int = 0, parts: int = 1) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw part `part` of `parts` of a step's batch: LR (b, 3, p, p) and HR (b, 3, s*p, s*p) with b = batch / parts."""
        places = self.places(step)
        pairs = [self._pair(*places[i]) for i in range(part * self.batch // parts, (part + 1) * self.batch // parts)]
        lr, hr = (np.ascontiguousarray(np.stack(side).transpose(0, 3, 1, 2)) for side in zip(*pairs, strict=True))
        return lr, hr

    def places(self, step: int) -> list[tuple[int, int, int, int]]:
        """Draw the places of a step's patches: photograph, top and left of LR, and which symmetry of the square, see `turned`."""
        rng = np.random.default_rng((self.seed, step))
        chosen = rng.integers(self.positions.count, size=self.batch)
        turns = rng.integers(TURNS, size=self.batch)
        return [(*self.positions.at(int(position)), int(turn)) for position, turn in zip(chosen, turns, strict=True)]

    def _pair(self, index: int, top: int, left: int, turn: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        height, width = (int(side) for side in self.positions.sizes[index])
        lr = _crop(self._lr, int(self._lr_offsets[index]), height, width, top, left, self.patch)
        s = self.scale
        hr = _crop(self._hr, int(self._hr_offsets[index]), height * s, width * s, top * s, left * s, self.patch * s)
        return turned(lr, turn), turned(hr, turn)


def _crop(
    pixels: NDArray[np.uint8], offset: int, height: int, width: int, top: int, left: int, side: int
) -> NDArray[np.uint8]:
    picture = pixels[offset : offset + 3 * height * width].reshape(height, width, 3)
    return picture[top : top + side, left : left + side]
