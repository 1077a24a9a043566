"""Complexity against counts by hand."""

import pytest
import torch

from lamnet.base.errors import BadArgumentError
from lamnet.core.config import LAMNetConfig
from lamnet.network.complexity import complexity
from lamnet.network.model import LAMNet


def by_hand(config: LAMNetConfig) -> int:
    """Multiply-adds for each LR pixel, term by term as DESIGN's formulas read."""
    c, d, hidden = config.channels, config.channels // 2, config.hidden
    taps, span = config.heads * config.window.taps, config.window.span
    fsa = d * (config.window.taps + max(config.window.lengths) - 1)
    axis = d * span + d * taps + fsa  # depthwise, 1x1 to the tap weights, FSA
    mixer = c * c + 2 * d * (d // 2) + 2 * axis + d + c * c  # the lone d is <m, c(p)>
    ffn = c * 2 * hidden + 9 * 2 * hidden + 2 * hidden * c
    outside = 9 * (3 * c + c * c + c * 3 * config.scale**2)
    return config.groups * config.blocks * (mixer + ffn) + outside


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("config", "giga", "parameters"),
    [
        (LAMNetConfig.base(4), 48.9, 849_136),
        (LAMNetConfig.large(4), 60.2, 1_044_800),
        (LAMNetConfig.tiny(4), 8.2, None),
    ],
)
def test_multiply_adds_for_720p_equal_the_hand_count(config: LAMNetConfig, giga: float, parameters: int | None) -> None:
    with torch.device("meta"):
        network = LAMNet(config)
    counted = complexity(network, config.scale)
    assert counted.lr_size == (180, 320)
    assert counted.multiply_adds == by_hand(config) * 180 * 320
    assert round(counted.multiply_adds / 1e9, 1) == giga
    if parameters is not None:
        assert counted.parameters == parameters


@pytest.mark.thorough
def test_activations_equal_the_hand_count() -> None:
    config = LAMNetConfig.base(2)
    c, d, hk, hidden = 64, 32, 52, 64
    block = 2 * c + d // 2 + d + 2 * (d + hk + d) + 1 + 2 * (2 * hidden) + c  # layers, FSA, <m, c(p)>
    per_pixel = 24 * block + c + c + 3 * 2**2
    assert complexity(LAMNet(config), 2, (8, 12)).activations == per_pixel * 4 * 6


def test_a_plain_network_counts_as_its_formula_says_and_stays_as_it_is() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 3, padding=1), torch.nn.PixelShuffle(2)).train()
    counted = complexity(network, 2, (16, 32))
    assert counted.multiply_adds == 9 * 3 * 12 * 8 * 16
    assert counted.activations == 12 * 8 * 16
    assert network.training
    assert network[0].weight.device.type == "cpu"


@pytest.mark.thorough
def test_a_size_the_scale_does_not_divide_is_rounded_up() -> None:
    with torch.device("meta"):
        network = LAMNet(LAMNetConfig.tiny(3))
    counted = complexity(network, 3, (720, 1280))
    assert counted.lr_size == (240, 427)
    assert counted.output_size == (720, 1281)


def test_sizes_below_one_are_refused_by_name() -> None:
    with pytest.raises(BadArgumentError, match="output_size"):
        complexity(LAMNet(LAMNetConfig.tiny(2)), 2, (0, 8))
