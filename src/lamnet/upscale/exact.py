"""A plane goes through a network layer by layer, each in parts, with the exchange means of the whole picture.

Between layers the features of all pixels are in files, so memory holds one part only. The result is that of the whole
picture, apart from the order of sums.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BackendError
from lamnet.core.config import EDGE, LAMNetConfig
from lamnet.upscale.plan import Box, Plan
from lamnet.upscale.raster import Plane

VISIBLE = 66.0  # dB of PSNR below which tiles by themselves are not good enough: a margin over the 60 promised

Floats = NDArray[np.float32]

_POSITIONED = hasattr(os, "preadv")  # not on Windows


class Layers(Protocol):
    """The single layers of a network; `core.network.Network` has them, and documents them."""

    @property
    def config(self) -> LAMNetConfig: ...
    def shallow(self, pixels: Floats) -> Floats: ...
    def block_means(self, number: int, x: Floats, inner: tuple[slice, slice]) -> Floats: ...
    def block(self, number: int, x: Floats, means: Floats) -> Floats: ...
    def end_group(self, number: int, deep: Floats, y: Floats) -> Floats: ...
    def reconstruct(self, shallow: Floats, deep: Floats) -> Floats: ...


class Features:
    """(H + 2*EDGE, W + 2*EDGE, C) float32 in a file without a name, which vanishes with the process."""

    def __init__(self, folder: Path, plan: Plan, channels: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by Exact)
        self._width, self._channels, self._turn = plan.width + 2 * EDGE, channels, threading.Lock()

    def read(self, box: Box) -> Floats:
        """Read a box, (height, width, C)."""
        rows = np.empty((box.height, box.width, self._channels), np.float32)
        for i, row in enumerate(rows):
            self._read_at(row.data.cast("B"), self._offset(box.top + i, box.left))
        return rows

    def write(self, box: Box, values: Floats) -> None:
        """Write a box; `values` are as `read` returns them."""
        for i, row in enumerate(np.ascontiguousarray(values)):
            self._write_at(row.data.cast("B"), self._offset(box.top + i, box.left))

    def _read_at(self, into: memoryview, offset: int) -> None:
        if _POSITIONED:
            os.preadv(self._file.fileno(), [into], offset)
        else:
            with self._turn:
                self._file.seek(offset)
                self._file.readinto(into)

    def _write_at(self, data: memoryview, offset: int) -> None:
        if not _POSITIONED:
            with self._turn:
                self._file.seek(offset)
                self._file.write(data)
            return
        while len(data):
            written = os.pwrite(self._file.fileno(), data, offset)
            data, offset = data[written:], offset + written

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def _offset(self, row: int, column: int) -> int:
        return 4 * self._channels * ((row + EDGE) * self._width + column + EDGE)


class Exact:
    """One plane of a picture on its way through a network.

    Args:
        network: its layers.
        plan: the parts; each sees as many pixels around it as a layer reaches.
        plane: the pixels.
        folder: for the features, 3 * 4 * C bytes a pixel.

    Raises:
        BackendError: the folder's disk has not that much space.
    """

    def __init__(self, network: Layers, plan: Plan, plane: Plane, folder: Path) -> None:
        self._network, self._plan, self._plane = network, plan, plane
        channels = network.config.channels
        self._pixels = (plan.height + 2 * EDGE) * (plan.width + 2 * EDGE)
        need, free = 12 * channels * self._pixels, shutil.disk_usage(folder).free
        if need > free:
            raise BackendError(
                f"{folder}: expected {math.ceil(need / 1e6):,} MB free for --exact, found {free // 10**6:,} MB"
            )
        self._deep, self._one, self._other = (Features(folder, plan, channels) for _ in range(3))

    def __enter__(self) -> Exact:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for features in (self._deep, self._one, self._other):
            features.close()

    def prepare(self) -> Iterator[float]:
        """Run all blocks, and yield the share that is done, 0 to 1, after every part."""
        config = self._network.config
        steps = self._plan.parts * (1 + config.groups * (2 * config.blocks + 1))
        for number, _ in enumerate(self._all_layers(), 1):
            yield number / steps

    def run(self, box: Box) -> Floats:
        """Compute the network's output for a box, (3, scale*height, scale*width), once `prepare` has run."""
        outer = self._outer(box, 2)
        out = self._network.reconstruct(self._shallow(outer), self._deep.read(outer))
        rows, columns = box.within(outer, self._network.config.scale)
        return out[rows, columns].transpose(2, 0, 1)

    def _all_layers(self) -> Iterator[None]:
        for box in self._boxes():
            self._deep.write(box, self._shallow(box))
            yield
        config = self._network.config
        for group in range(config.groups):
            source, target = self._deep, self._one
            for number in range(group * config.blocks, (group + 1) * config.blocks):
                yield from self._block(number, source, target)
                source, target = target, self._other if target is self._one else self._one
            for box in self._boxes():
                self._deep.write(box, self._network.end_group(group, self._deep.read(box), source.read(box)))
                yield

    def _block(self, number: int, source: Features, target: Features) -> Iterator[None]:
        """Run one block on all parts: its means first, then its output with them."""
        config = self._network.config
        total = np.zeros((2, config.channels // 2))
        for box in self._boxes():
            outer = self._outer(box, config.window.reach)
            own = self._network.block_means(number, source.read(outer), box.within(outer))
            total += own.astype(np.float64) * (box.height * box.width)
            yield
        means = (total / self._pixels).astype(np.float32)
        for box in self._boxes():
            outer = self._outer(box, config.window.reach + 1)  # the feed-forward's 3x3 reaches one pixel more
            out = self._network.block(number, source.read(outer), means)
            target.write(box, out[box.within(outer)])
            yield

    def _shallow(self, box: Box) -> Floats:
        outer = self._outer(box, 1)
        return self._network.shallow(as_pixels(self._plane.read(outer)))[box.within(outer)]

    def _boxes(self) -> Iterator[Box]:
        """The parts with what continues the picture, which goes through all layers."""
        return map(self._plan.with_edge, self._plan.boxes())

    def _outer(self, box: Box, by: int) -> Box:
        return box.grown(by, self._plan.height, self._plan.width, EDGE)


def differ_visibly(own: Sequence[Floats], others: Sequence[Floats]) -> bool:
    """Tell whether results of pieces with their own exchange means visibly differ from those with common ones.

    With networks trained so far they do not. Where they do, tiles by themselves would not fit together.
    """
    errors = [float(np.square(a.clip(0, 1) - b.clip(0, 1)).mean()) for a, b in zip(own, others, strict=True)]
    return max(errors) > 10 ** (-VISIBLE / 10)


def as_pixels(plane: Floats) -> Floats:
    """Take a plane (1 or 3, H, W) as the pixels (H, W, 3) of a network; grey counts as RGB."""
    return np.ascontiguousarray(np.broadcast_to(plane, (3, *plane.shape[1:])).transpose(1, 2, 0))
