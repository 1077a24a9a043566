"""A plane through the PyTorch network part by part, layer by layer, with the exchange means of the whole picture.

Between layers the features of all pixels lie in files, so memory holds one part only, and the result is that of the
whole picture but for the order of sums. Part of the engine: `engine.py` alone uses it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lamnet.base.errors import BackendError, BadImageError
from lamnet.network.checks import what_changed
from lamnet.network.model import Block, Group, LAMNet, exchange_means
from lamnet.upscale.plan import Box, Plan
from lamnet.upscale.raster import Plane

VISIBLE = 66.0  # dB of PSNR below which tiles by themselves are not good enough: a margin over the 60 promised


class Features:
    """(H, W, C) float32 in a file without a name, which vanishes with the process."""

    def __init__(self, folder: Path, plan: Plan, channels: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by Exact)
        self._width, self._channels = plan.width, channels

    def read(self, box: Box) -> Tensor:
        """Read a box, (1, height, width, C)."""
        rows = np.empty((box.height, box.width, self._channels), np.float32)
        for i, row in enumerate(rows):
            os.preadv(self._file.fileno(), [row.data.cast("B")], self._offset(box.top + i, box.left))
        return torch.from_numpy(rows)[None]

    def write(self, box: Box, values: Tensor) -> None:
        """Write a box, `values` as `read` gives them."""
        for i, row in enumerate(values[0].contiguous().numpy()):
            data, offset = row.data.cast("B"), self._offset(box.top + i, box.left)
            while len(data):
                written = os.pwrite(self._file.fileno(), data, offset)
                data, offset = data[written:], offset + written

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def _offset(self, row: int, column: int) -> int:
        return 4 * self._channels * (row * self._width + column)


class Exact:
    """One plane of a picture on its way through a network.

    Args:
        network: on its device, in its precision.
        plan: the parts; they see `reach(network)` pixels more than they own.
        plane: what goes through.
        folder: where the features lie, 3 * 4 * C bytes a pixel.

    Raises:
        BackendError: the folder's disk has not that much space, or the network has parts of its own, which would not be run.
    """

    def __init__(self, network: LAMNet, plan: Plan, plane: Plane, folder: Path) -> None:
        if changed := what_changed(network):
            raise BackendError(f"exact: expected a LAMNet as its configuration makes it, found {changed}")
        self._network, self._plan, self._plane = network, plan, plane
        channels = network.config.channels
        need, free = 12 * channels * plan.height * plan.width, shutil.disk_usage(folder).free
        if need > free:
            raise BackendError(f"{folder}: expected {need / 1e9:.1f} GB free for --exact, found {free / 1e9:.1f} GB")
        self._deep, self._one, self._other = (Features(folder, plan, channels) for _ in range(3))

    def __enter__(self) -> Exact:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for features in (self._deep, self._one, self._other):
            features.close()

    def prepare(self) -> Iterator[float]:
        """Run all blocks, stopping after every part to say how much is done, 0 to 1."""
        config = self._network.config
        steps = self._plan.parts * (1 + config.groups * (2 * config.blocks + 1))
        for number, _ in enumerate(self._all_layers(), 1):
            yield number / steps

    @torch.inference_mode()
    def run(self, box: Box) -> NDArray[np.float32]:
        """Compute the network's output for a box, (3, scale*height, scale*width), once `prepare` has run."""
        outer = self._outer(box, 2)
        deep, shallow = self._load(self._deep, outer), self._shallow(outer)
        out = finite(self._network.reconstruct(shallow, deep).float().cpu())
        return out[0][:, *box.within(outer, self._network.config.scale)].numpy()

    def _all_layers(self) -> Iterator[None]:
        for box in self._plan.boxes():
            self._store(self._deep, box, box, self._shallow(box))
            yield
        for group in cast("list[Group]", self._network.groups):
            source, target = self._deep, self._one
            for block in cast("list[Block]", group.blocks):
                yield from self._block(block, source, target)
                source, target = target, self._other if target is self._one else self._one
            for box in self._plan.boxes():
                with torch.inference_mode():
                    deep = torch.addcmul(self._load(self._deep, box), self._load(source, box), group.scale)
                self._store(self._deep, box, box, deep)
                yield

    def _block(self, block: Block, source: Features, target: Features) -> Iterator[None]:
        """Run one block on all parts: its means first, then its output with them."""
        total: Tensor | float = 0.0
        for box in self._plan.boxes():
            with torch.inference_mode():
                outer = self._outer(box, self._network.config.window.reach)
                c, s = block.branches(self._load(source, outer))
                own = exchange_means(_inner(c, box, outer), _inner(s, box, outer))
                total = total + own.double().cpu() * (box.height * box.width)
            yield
        means = cast(Tensor, total).div(self._plan.height * self._plan.width).float().to(self._network.mean.device)
        for box in self._plan.boxes():
            with torch.inference_mode():
                outer = self._outer(box, reach(self._network))
                out, _ = block(self._load(source, outer), means)
            self._store(target, box, outer, out)
            yield

    @torch.inference_mode()
    def _shallow(self, box: Box) -> Tensor:
        outer = self._outer(box, 1)
        x = as_rgb(self._plane.read(outer)).to(self._network.mean.device, self._network.mean.dtype)
        return _inner(self._network.shallow(x), box, outer)

    def _outer(self, box: Box, by: int) -> Box:
        return box.grown(by, self._plan.height, self._plan.width)

    def _load(self, features: Features, box: Box) -> Tensor:
        return features.read(box).to(self._network.mean.device, self._network.mean.dtype)

    def _store(self, features: Features, box: Box, outer: Box, values: Tensor) -> None:
        features.write(box, _inner(values, box, outer).float().cpu())


def reach(network: LAMNet) -> int:
    """Number of pixels that a block's output sees around it: the window along each axis, and the feed-forward's 3x3."""
    return network.config.window.reach + 1


@torch.inference_mode()
def means_matter(network: LAMNet, pieces: Sequence[Tensor]) -> bool:
    """Tell whether pieces of a picture (1, 3, H, W) come out visibly different with each other's exchange means.

    They do not with networks trained so far; with others each tile by itself would not be a part of the whole.
    """
    own = [network.forward_with_means(piece) for piece in pieces]
    common = torch.stack([means for _, means in own]).mean(0)
    others = [network.forward_with_means(piece, common)[0] for piece in pieces]
    errors = [(a.clamp(0, 1) - b.clamp(0, 1)).float().square().mean() for (a, _), b in zip(own, others, strict=True)]
    return max(errors).item() > 10 ** (-VISIBLE / 10)


def as_rgb(plane: NDArray[np.float32]) -> Tensor:
    """Take a plane (1 or 3, H, W) as the image (1, 3, H, W) of the network."""
    return torch.from_numpy(plane)[None].expand(-1, 3, -1, -1)


def finite(out: Tensor) -> Tensor:
    """Refuse a result that is no picture. Raises BadImageError."""
    if not bool(out.isfinite().all()):
        raise BadImageError(
            "expected a finite result, found NaN or infinity: the weights or the precision do not suit this picture"
        )
    return out


def _inner(values: Tensor, box: Box, outer: Box) -> Tensor:
    """Crop a box out of the features (B, H, W, C) of a larger one."""
    return values[:, *box.within(outer)].contiguous()
