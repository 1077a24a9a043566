"""Networks in the layouts that others publish them in."""

from __future__ import annotations

import torch

from lamnet import LAMNet, Window
from lamnet.network.published import published_name


def published(network: LAMNet, window: Window) -> dict[str, torch.Tensor]:
    """The network's tensors as a published checkpoint would hold them."""
    vectors = ("alpha", "beta")
    state: dict[str, torch.Tensor] = {}
    for name, tensor in network.state_dict().items():
        new = published_name(name, network.config.groups)
        shape = (1, -1, 1, 1) if new.endswith(vectors) else (*tensor.shape, 1, 1) if tensor.dim() == 2 else tensor.shape
        state[new] = tensor.reshape(shape)
    taps = zip(window.starts, window.lengths, strict=True)
    rows = [[start if start >= 0 else start + length - 1, length] for start, length in taps]
    for group in range(network.config.groups):
        for block in range(network.config.blocks):
            key = f"deep_feature_extraction.{group}.mixers.{2 * block}.fn.kernel_map"
            state[key] = torch.tensor(rows, dtype=torch.int32)
    return state
