"""The package against the slow float64 definition: runs anywhere, without the reference files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lamnet
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import PAPER_WINDOW, Window
from lamnet.network.model import LAMNet
from support.networks import published
from support.oracle import Published, fsa

PLAIN = Window.focal(5, (3,), (1,))
KERNEL_MAPS = {
    PAPER_WINDOW: list(
        zip([-8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8], [4, 2, 2] + 7 * [1] + [2, 2, 4], strict=True)
    ),
    PLAIN: [(-2, 1), (-1, 1), (0, 1), (1, 1), (2, 1)],
}


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("window", [PAPER_WINDOW, PLAIN], ids=["paper", "plain"])
@pytest.mark.parametrize("size", [(9, 14), (1, 1), (3, 30)])
def test_fsa_is_its_definition(window: Window, axis: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    value, weight = rng.normal(size=(6, *size)), rng.normal(size=(3 * window.taps, *size))
    got = lamnet.fsa(torch.tensor(value)[None], torch.tensor(weight)[None], window, axis)
    np.testing.assert_allclose(
        got[0].numpy(), fsa(value, weight, KERNEL_MAPS[window], axis + 3), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(
    "config",
    [
        LAMNetConfig(2, channels=16, groups=1, blocks=2, heads=2, window=PLAIN),
        LAMNetConfig(3, channels=24, groups=2, blocks=1, heads=4, expansion=1.5),
        LAMNetConfig(4, channels=8, groups=1, blocks=1, heads=1, expansion=2),
    ],
    ids=["x2", "x3", "x4"],
)
def test_network_is_its_definition(config: LAMNetConfig) -> None:
    torch.manual_seed(0)
    network = LAMNet(config).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():  # away from the start, where much is zero or one
            parameter.add_(torch.randn_like(parameter) * 0.2)
        x = torch.rand(1, 3, 7, 10, dtype=torch.float64)
        got = network(x)[0]
    definition = Published(published(network, config.window))
    want = definition.network(x[0].numpy(), config.groups, config.blocks, config.scale)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-5)  # the means are float32
