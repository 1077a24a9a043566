"""Patches for a GPU: cut from a set that lies in its memory, or degraded by processes on all cores; bit for bit the samplers'."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lamnet.training.pairs import PatchSampler
from lamnet.training.positions import TURNS, Positions
from lamnet.training.prepared import PreparedSet
from lamnet.training.recipes import Recipe

if TYPE_CHECKING:  # it needs Pillow
    from lamnet.training.degraded import DegradedSampler

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]
Pair = tuple[Tensor, Tensor]

_LAST = 2**40  # step, which no call reaches


class Ahead:
    """Stand-in for a `Loader`: a thread takes the patches of the next step while the current one computes."""

    images_per_s = 0.0  # they are hardly waited for

    def __init__(self, patches: Resident | Degraded, device: torch.device) -> None:
        self._patches = patches
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._pool = ThreadPoolExecutor(1)
        self._taken: tuple[int, Pair] | None = None
        self._upcoming: tuple[int, Future[Pair]] | None = None

    def take(self, step: int) -> Pair:
        """The LR (B, 3, p, p) and HR (B, 3, s*p, s*p) patches of a step, uint8, on the device; a step may be asked for again."""
        if self._taken is None or self._taken[0] != step:
            if self._upcoming is None or self._upcoming[0] != step:
                self._upcoming = step, self._pool.submit(self._drawn, step)
            self._taken = step, self._upcoming[1].result()
            self._upcoming = step + 1, self._pool.submit(self._drawn, step + 1)
            if self._stream is not None:
                for side in self._taken[1]:
                    side.record_stream(torch.cuda.current_stream())
        return self._taken[1]

    def _drawn(self, step: int) -> Pair:
        if self._stream is None:
            return self._patches.take(step)
        with torch.cuda.stream(self._stream):
            pair = self._patches.take(step)
        self._stream.synchronize()
        return pair


class Resident:
    """Patches of a set that fits into the device's memory; those of a step are one gather of HR and one of LR."""

    def __init__(self, data: PreparedSet, sampler: PatchSampler, device: torch.device) -> None:
        self._sampler, self._sides, self._device = sampler, _sides(data, sampler.scale, sampler.patch, device), device

    def take(self, step: int) -> Pair:
        """The LR (B, 3, p, p) and HR (B, 3, s*p, s*p) patches of a step, uint8, on the device."""
        places = torch.from_numpy(np.array(self._sampler.places(step), np.int64)).to(self._device)
        lr, hr = (side.cut(places) for side in self._sides)
        return lr, hr


class Drawn:
    """Patches of a set in the device's memory, drawn by the device itself, so that a CUDA graph can hold the drawing.

    Like `PatchSampler` it takes every position of the set equally often, and the share `negative` of patches as negatives.
    """

    def __init__(self, data: PreparedSet, recipe: Recipe, device: torch.device) -> None:
        self._batch, self._patch, self._negative = recipe.batch, recipe.patch, recipe.negative
        self._sides = _sides(data, recipe.scale, recipe.patch, device)
        positions = Positions(data, recipe.scale, recipe.patch, unit=recipe.scale)
        self._free, self._ends = (torch.from_numpy(one).to(device) for one in (positions.free, positions.ends))
        self.generator = torch.Generator(device).manual_seed(recipe.seed)

    def take(self) -> Pair:
        """Draw LR (B, 3, p, p) and HR (B, 3, s*p, s*p) of a step, uint8."""
        shares = torch.rand(4, self._batch, dtype=torch.float64, device=self._ends.device, generator=self.generator)
        position = (shares[0] * self._ends[-1]).long()
        index = torch.searchsorted(self._ends, position, right=True)
        within = position - torch.cat([torch.zeros_like(self._ends[:1]), self._ends])[index]
        columns = self._free[index, 1]
        places = torch.stack([index, within // columns, within % columns, (shares[1] * TURNS).long()], 1)
        inverted = (shares[2] < self._negative).to(torch.uint8).mul(255).view(-1, 1, 1, 1)
        lr, hr = (side.cut(places) ^ inverted for side in self._sides)
        return lr, hr


class Degraded:
    """Patches whose LR is made on the fly: processes on all cores make the batches of the steps to come."""

    def __init__(self, sampler: DegradedSampler, device: torch.device) -> None:
        self._steps, self._device = _Steps(sampler), device
        self._processes = max(1, (os.cpu_count() or 2) - 1)
        self._upcoming: tuple[int, Iterator[Arrays]] | None = None

    def take(self, step: int) -> Pair:
        """The LR (B, 3, p, p) and HR (B, 3, s*p, s*p) patches of a step, uint8, on the device."""
        if self._upcoming is None or self._upcoming[0] != step:
            self._upcoming = step, self._from(step)
        batches = self._upcoming[1]
        lr, hr = (torch.from_numpy(side).to(self._device) for side in next(batches))
        self._upcoming = step + 1, batches
        return lr, hr

    def _from(self, step: int) -> Iterator[Arrays]:
        loader = DataLoader(
            self._steps,
            batch_size=None,
            sampler=range(step, _LAST),
            num_workers=self._processes,
            prefetch_factor=4,
            collate_fn=_as_it_is,  # arrays come through a pipe; tensors would need shared memory, which containers have little of
        )
        return iter(loader)


class _Steps(Dataset[Arrays]):
    """The batch of every step."""

    def __init__(self, sampler: DegradedSampler) -> None:
        self._sampler = sampler

    def __getitem__(self, step: int) -> Arrays:
        return self._sampler.draw(step)


def _as_it_is(pair: Arrays) -> Arrays:
    return pair


class _Side:
    """One of the set's two pixel files: patches of `side` pixels, at `times` the place in LR."""

    def __init__(self, data: PreparedSet, scale: int, side: int, times: int, device: torch.device) -> None:
        self._pixels = torch.from_numpy(np.fromfile(data.file(scale), np.uint8)).to(device)
        self._starts = torch.from_numpy(data.offsets(scale)[:-1].astype(np.int64)).to(device)
        self._widths = torch.tensor([photo.width // scale for photo in data.photos], device=device)
        self._side, self._times = side, times
        along = torch.arange(side, device=device)
        self._rows, self._columns = along[None, None, :, None], along[None, None, None, :]
        self._bands = torch.arange(3, device=device)[None, :, None, None]

    def cut(self, places: Tensor) -> Tensor:
        """The patches (B, 3, side, side) of places (B, 4) as of `PatchSampler.places`."""
        index, top, left, turn = places.unbind(1)
        width, last = self._widths[index], self._side - 1
        begin = self._starts[index] + 3 * (width * top + left) * self._times
        # As np.rot90 turns: the picture's bytes from a patch's first pixel on, and for a row and a column further.
        down, right, quarter = 3 * width, torch.full_like(width, 3), turn[None] % 4
        corner = torch.stack([0 * down, right * last, (down + right) * last, down * last]).gather(0, quarter)[0]
        row = torch.stack([down, -right, -down, right]).gather(0, quarter)[0]
        column = torch.stack([right, down, -right, -down]).gather(0, quarter)[0]
        flipped = turn >= 4
        corner, column = torch.where(flipped, corner + column * last, corner), torch.where(flipped, -column, column)
        first, row, column = (part[:, None, None, None] for part in (begin + corner, row, column))
        return self._pixels[first + self._bands + row * self._rows + column * self._columns]


def _sides(data: PreparedSet, scale: int, patch: int, device: torch.device) -> list[_Side]:
    """LR and HR."""
    return [_Side(data, of, times * patch, times, device) for of, times in ((scale, 1), (1, scale))]
