"""Random aligned LR and HR patches whose LR is made on the fly. The batch of a step depends on (seed, step) alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lamnet.training.degradation import MARGIN, Degradation, degrade
from lamnet.training.drawings import drawing
from lamnet.training.positions import TURNS, Positions, turned
from lamnet.training.prepared import PreparedSet


class DegradedSampler:
    """Batches of HR patches, flipped and turned, every position of the set equally likely, and their degraded LR.

    Pixels beyond a photograph's border are mirrored, as in the LR of a prepared set.

    Args:
        data: the set; only its HR is read, so that it may have any scales.
        degradation: that makes LR; `Degradation.drawn` of the patches are drawn by code.
        scale, patch, batch, seed: as for `PatchSampler`.

    Raises BadDataError when the set has no picture that holds a patch.
    """

    def __init__(
        self, data: PreparedSet, degradation: Degradation, scale: int, patch: int, batch: int, seed: int
    ) -> None:
        self.degradation, self.scale, self.patch, self.batch, self.seed = degradation, scale, patch, batch, seed
        self._side = patch * scale
        self.positions = Positions(data, scale, patch, unit=1)
        self._hr, self._offsets = np.memmap(data.file(1), np.uint8, "r"), data.offsets(1)

    def draw(self, step: int, part: int = 0, parts: int = 1) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw part `part` of `parts` of a step's batch: LR (b, 3, p, p), HR (b, 3, s*p, s*p) with b = batch / parts."""
        own = range(part * self.batch // parts, (part + 1) * self.batch // parts)
        pairs = [self._pair(np.random.default_rng((self.seed, step, 1 + i))) for i in own]
        lr, hr = (np.ascontiguousarray(np.stack(side).transpose(0, 3, 1, 2)) for side in zip(*pairs, strict=True))
        return lr, hr

    def _pair(self, generator: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        margin = MARGIN * self.scale
        drawn = generator.random() < self.degradation.drawn
        wide = drawing(self._side + 2 * margin, generator) if drawn else self._photograph(generator, margin)
        lr = degrade(wide, self.scale, self.degradation, generator, drawn=drawn)
        return lr, wide[margin:-margin, margin:-margin]

    def _photograph(self, generator: np.random.Generator, margin: int) -> NDArray[np.uint8]:
        """Draw a place and one of the 8 symmetries of the square; (S, S, 3) with a margin on each side."""
        index, top, left = self.positions.at(int(generator.integers(self.positions.count)))
        height, width = (int(side) for side in self.positions.sizes[index])
        start, wide = int(self._offsets[index]), self._side + 2 * margin
        picture = self._hr[start : start + 3 * height * width].reshape(height, width, 3)
        square = picture[_mirrored(top - margin, wide, height)][:, _mirrored(left - margin, wide, width)]
        return turned(square, int(generator.integers(TURNS)))


def _mirrored(first: int, count: int, length: int) -> NDArray[np.int64]:
    """Return `count` indices from `first` on, those outside 0..length-1 reflected with the last pixel repeated."""
    indices = np.arange(first, first + count) % (2 * length)
    return np.minimum(indices, 2 * length - 1 - indices)
