"""Checks that tensors are those of a configuration. All raise BadWeightsError, which names the file and the tensor."""

from __future__ import annotations

from collections.abc import Mapping, Set
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


def check_names(path: Path, found: Set[str], expected: Set[str]) -> None:
    """Refuse a missing tensor, or one too many; one of them is named, the others are counted."""
    for kind, names in (("without", expected - found), ("with an unexpected", found - expected)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise BadWeightsError(
                f"{path}: expected the {len(expected)} tensors of its network, found it {kind} {min(names)}{more}"
            )


def check_shapes(path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse a tensor of another shape; both mappings have the same names."""
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise BadWeightsError(
                f"{path}: expected {name} of shape {tuple(tensor.shape)}, found {tuple(found[name].shape)}"
            )
