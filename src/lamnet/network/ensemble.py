"""Geometric self-ensemble (x8): the mean over the eight symmetries of the square."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def self_ensemble(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Average a network's outputs over the eight flips and rotations of (B, C, H, W), each turned back.

    The output keeps the type of the network's.
    """
    total: Tensor | None = None
    for mirrored in (False, True):
        for quarter in range(4):
            turned = torch.rot90(x.flip(-1) if mirrored else x, quarter, (-2, -1))
            back = torch.rot90(network(turned), -quarter, (-2, -1))
            back = back.flip(-1) if mirrored else back
            total = back if total is None else total + back
    assert total is not None
    return total / 8
