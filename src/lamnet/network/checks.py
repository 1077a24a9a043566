"""Checks that tensors are those of a configuration. All raise BadWeightsError, which names the file and the tensor."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from lamnet.base.errors import BadWeightsError
from lamnet.core.config import LAMNetConfig
from lamnet.network import parts
from lamnet.network.model import LAMNet


def empty_state(config: LAMNetConfig) -> dict[str, Tensor]:
    """Make a network's state dict on the meta device: names and shapes, without memory for contents."""
    with torch.device("meta"):
        return cast("dict[str, Tensor]", LAMNet(config).state_dict())


def check_floating(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse integers, booleans and complex numbers, and layouts that do not hold every number (sparse)."""
    for name, tensor in state.items():
        if tensor.layout != torch.strided:
            raise BadWeightsError(f"{path}: expected tensors of all their numbers, found {name} as {tensor.layout}")
        if not tensor.is_floating_point():
            raise BadWeightsError(f"{path}: expected floating-point numbers in {name}, found {tensor.dtype}")


def check_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse NaN and infinity: the training went wrong, and every picture would come out black."""
    for name, tensor in state.items():
        if not bool(tensor.float().isfinite().all()):
            raise BadWeightsError(f"{path}: expected finite numbers in {name}, found NaN or infinity")


def check_sizes(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse tensors that claim more bytes than the file has, by repeating the same memory."""
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if claimed > path.stat().st_size:
        raise BadWeightsError(f"{path}: expected tensors within its size, found {claimed:.3g} bytes of them")


def check_remakable(path: Path, network: nn.Module) -> LAMNet:
    """Refuse a network that `load` cannot make again from its file; return the LAMNet inside torch.compile or DDP."""
    network = unwrapped(path, network)
    if what := _difference(network):
        raise BadWeightsError(
            f"{path}: expected a network as its configuration makes it, since load makes no other, found {what}; "
            "torch.save(network.state_dict(), ...) keeps its tensors"
        )
    if what := parts.hooked(network):
        warnings.warn(f"{path}: saved without hooks: {what}", stacklevel=3)
    check_finite(path, network.state_dict())
    return network


def check_unchanged(path: Path, network: nn.Module) -> LAMNet:
    """Refuse a network that is more than its configuration and weights, hooks too; return the LAMNet as above."""
    network = unwrapped(path, network)
    if what := what_changed(network):
        raise BadWeightsError(
            f"{path}: expected a network as its configuration makes it, by which {path.suffix} is written, found {what}; "
            "a .pt2 file holds it"
        )
    return network


def unwrapped(path: Path | str, network: nn.Module) -> LAMNet:
    """Return the LAMNet inside torch.compile or DDP; refuse another network, and one without numbers (meta)."""
    while isinstance(inner := getattr(network, "_orig_mod", getattr(network, "module", None)), nn.Module):
        network = inner
    if not isinstance(network, LAMNet):
        raise BadWeightsError(f"{path}: expected a LAMNet, got {type(network).__name__}")
    if any(tensor.is_meta for tensor in network.parameters()):
        raise BadWeightsError(
            f"{path}: expected a network with numbers, found tensors on the meta device, which have none"
        )
    return network


def what_changed(network: LAMNet) -> str | None:
    """Name the first part or hook of a network that its configuration does not make; None without one."""
    return _difference(network) or parts.hooked(network)


def _difference(network: LAMNet) -> str | None:
    with torch.device("meta"):
        return parts.difference(network, LAMNet(network.config), sizes=True)
