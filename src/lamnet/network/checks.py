"""Checks that tensors are those of a configuration. All raise BadWeightsError, which names the file and the tensor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from lamnet.base.errors import BadWeightsError
from lamnet.network.config import LAMNetConfig
from lamnet.network.model import LAMNet


def empty_state(config: LAMNetConfig) -> dict[str, Tensor]:
    """Names and shapes of a network's tensors, on the meta device: without memory for their contents."""
    with torch.device("meta"):
        return cast("dict[str, Tensor]", LAMNet(config).state_dict())


def check_floating(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse integers, booleans and complex numbers."""
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            raise BadWeightsError(f"{path}: expected floating-point numbers in {name}, found {tensor.dtype}")
