"""Networks whose every tensor matters, and configurations of all kinds, for files that other programs run."""

from __future__ import annotations

import torch

from lamnet import LAMNet, LAMNetConfig, Window

CONFIGS = {
    "one head, asymmetrical window": LAMNetConfig(
        2, channels=8, groups=1, blocks=1, heads=1, window=Window((-5, 0, 2), (3, 1, 4))
    ),
    "a channel per head, wide hidden": LAMNetConfig(3, channels=12, groups=2, blocks=1, heads=6, expansion=2.0),
    "one tap beside the pixel": LAMNetConfig(4, channels=8, groups=1, blocks=2, heads=2, window=Window((1,), (2,))),
    "no enlargement, window on one side": LAMNetConfig(
        1, channels=16, groups=1, blocks=1, heads=4, expansion=0.5, window=Window((-4, -2), (2, 1))
    ),
    "a single channel in the branches": LAMNetConfig(
        2, channels=2, groups=1, blocks=1, heads=1, expansion=0.5, window=Window((-1, 0, 1), (1, 1, 2))
    ),
    "no pixel but the own": LAMNetConfig(2, channels=8, groups=1, blocks=1, heads=2, window=Window((0,), (1,))),
    "overlapping taps, far away": LAMNetConfig(
        2, channels=24, groups=1, blocks=1, heads=3, window=Window((3, 2, -9, 0), (1, 5, 2, 2))
    ),
}


def lively(config: LAMNetConfig) -> LAMNet:
    """A network with random weights, norms, biases and factors, none of which can be left out without being seen."""
    torch.manual_seed(0)
    network = LAMNet(config).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.normal_(1.0 if parameter.dim() == 1 and "bias" not in name else 0.0, 0.2)
    return network
