"""The single layers of a network in PyTorch, with NumPy arrays in and out: a part of the engine."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lamnet.core.config import LAMNetConfig
from lamnet.network.layers import exchange_means
from lamnet.network.model import Block, Group, LAMNet

Floats = NDArray[np.float32]


class TorchLayers:
    """The layers that `exact.Layers` lists, on the device and in the precision of the network."""

    def __init__(self, network: LAMNet) -> None:
        self._network = network
        self._groups = cast("list[Group]", list(network.groups))
        self._blocks = [block for group in self._groups for block in cast("list[Block]", list(group.blocks))]

    @property
    def config(self) -> LAMNetConfig:
        """The network's configuration."""
        return self._network.config

    @torch.inference_mode()
    def shallow(self, pixels: Floats) -> Floats:
        """Compute the features that the groups start from, (H, W, 3) -> (H, W, C)."""
        return _out(self._network.shallow(self._in(pixels).permute(0, 3, 1, 2)))

    @torch.inference_mode()
    def block_means(self, number: int, x: Floats, inner: tuple[slice, slice]) -> Floats:
        """Compute the exchange means of a block over the inner pixels of its input (H, W, C), (2, C/2)."""
        c, s = self._blocks[number].branches(self._in(x))
        return _out(exchange_means(c[:, *inner].contiguous(), s[:, *inner].contiguous()))

    @torch.inference_mode()
    def block(self, number: int, x: Floats, means: Floats) -> Floats:
        """Run one block on (H, W, C) with these exchange means."""
        out, _ = self._blocks[number](self._in(x), torch.from_numpy(means)[None].to(self._network.mean.device))
        return _out(out)

    @torch.inference_mode()
    def end_group(self, number: int, deep: Floats, y: Floats) -> Floats:
        """End a group: add the output of its blocks, times a learned factor per channel, to its input."""
        return _out(torch.addcmul(self._in(deep), self._in(y), self._groups[number].scale))

    @torch.inference_mode()
    def reconstruct(self, shallow: Floats, deep: Floats) -> Floats:
        """Compute the result (scale*H, scale*W, 3) from the features before and after the groups."""
        return _out(self._network.reconstruct(self._in(shallow), self._in(deep)).permute(0, 2, 3, 1))

    def _in(self, array: Floats) -> Tensor:
        mean = self._network.mean
        return torch.from_numpy(np.ascontiguousarray(array))[None].to(mean.device, mean.dtype)


def _out(tensor: Tensor) -> Floats:
    return tensor[0].float().cpu().numpy()
