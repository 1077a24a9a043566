"""Transparency: hidden colours do not show, opaque stays opaque."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lamnet import LAMNet, LAMNetConfig, Upscaler
from support.pictures import gradient


def test_edges_of_transparency_do_not_fringe(tmp_path: Path) -> None:
    """A red disc over hidden green: wherever the result shows at all, it shows red."""
    torch.manual_seed(0)
    network = LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2))
    rows, columns = np.mgrid[0:40, 0:40]
    inside = (rows - 20) ** 2 + (columns - 20) ** 2 < 150
    pixels = np.where(inside[..., None], (255, 0, 0, 255), (0, 255, 0, 0)).astype(np.uint8)
    smooth = _Smooth(network.config)
    out = Upscaler(smooth, "cpu")(pixels)
    shown = out[..., 3] > 0
    assert shown.sum() > inside.sum() * 4
    assert out[shown][:, 1].max() <= 1
    assert out[shown][:, 0].min() >= 254


class _Smooth(LAMNet):
    """Bilinear: mixes neighbours as a trained network does."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(x, scale_factor=self.config.scale, mode="bilinear")


def test_opaque_stays_opaque() -> None:
    """A network that makes white a little darker must not make a picture a little transparent."""

    class Darker(LAMNet):
        def forward(self, x: Tensor) -> Tensor:
            return 0.98 * x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    network = Darker(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2))
    pixels = gradient(4)
    pixels[..., 3] = 255
    assert (Upscaler(network, "cpu")(pixels)[..., 3] == 255).all()
