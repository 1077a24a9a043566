"""Patches of a prepared set that lies in the device's memory: those of `PatchSampler`, bit for bit, without the processor."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor

from lamnet.training.pairs import PatchSampler
from lamnet.training.prepared import PreparedSet


class Resident:
    """Stand-in for a `Loader` where the set fits into the device's memory; a step's patches are one gather of HR and one of LR."""

    images_per_s = 0.0  # they are never waited for

    def __init__(self, data: PreparedSet, sampler: PatchSampler, device: torch.device) -> None:
        self._sampler = sampler
        sides = (sampler.scale, 1), (1, sampler.scale)
        self._sides = [_Side(data, of, times * sampler.patch, times, device) for of, times in sides]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def take(self, step: int) -> tuple[Tensor, Tensor]:
        """The LR (B, 3, p, p) and HR (B, 3, s*p, s*p) patches of a step, uint8, on the device."""
        places = np.array(self._sampler.places(step), np.int64)
        lr, hr = (side.cut(places) for side in self._sides)
        return lr, hr


class _Side:
    """One of the set's two pixel files: patches of `side` pixels, at `times` the place in LR."""

    def __init__(self, data: PreparedSet, scale: int, side: int, times: int, device: torch.device) -> None:
        self._pixels = torch.from_numpy(np.fromfile(data.file(scale), np.uint8)).to(device)
        self._starts = data.offsets(scale)[:-1]
        self._widths = np.array([photo.width // scale for photo in data.photos], np.int64)
        self._side, self._times = side, times
        along = torch.arange(side, device=device)
        self._rows, self._columns = along[None, None, :, None], along[None, None, None, :]
        self._bands = torch.arange(3, device=device)[None, :, None, None]

    def cut(self, places: np.ndarray) -> Tensor:
        """The patches (B, 3, side, side) of places (B, 4) as of `PatchSampler.places`."""
        index, top, left, turn = places.T
        width, last = self._widths[index], self._side - 1
        begin = self._starts[index] + 3 * (width * top * self._times + left * self._times)
        # As np.rot90 turns: the picture's bytes from a patch's first pixel on, and for a row and a column further.
        down, right, quarter = 3 * width, np.full_like(width, 3), turn % 4
        corner = np.choose(quarter, [0 * down, right * last, (down + right) * last, down * last])
        row = np.choose(quarter, [down, -right, -down, right])
        column = np.choose(quarter, [right, down, -right, -down])
        flipped = turn >= 4
        corner, column = np.where(flipped, corner + column * last, corner), np.where(flipped, -column, column)
        parts = torch.from_numpy(np.stack([begin + corner, row, column])).to(self._pixels.device)
        first, row_step, column_step = (part[:, None, None, None] for part in parts)
        return self._pixels[first + self._bands + row_step * self._rows + column_step * self._columns]
