"""Weights of any file as arrays; PyTorch is imported only for published checkpoints and for networks in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lamnet.base.extras import require
from lamnet.core import weights
from lamnet.core.shipped import Variant, path_of
from lamnet.core.weights import WeightsFile

if TYPE_CHECKING:
    from lamnet.network.model import LAMNet


def load(model: str | Path, scale: int | None = None, variant: Variant | None = None) -> WeightsFile:
    """Load weights by a name that ships ("tiny", "tiny:photo"; then `scale` is needed), or from ours or another's file.

    `variant` picks that of a size, "clean" or "photo".

    Raises:
        BadWeightsError: there are none, or they are not a whole LAMNet, or not one for this scale.
        MissingExtraError: it is a published checkpoint, and PyTorch is not installed.
    """
    path = path_of(model, scale, variant)
    contents = read(path)
    weights.check_scale(path, contents.config, scale)
    return contents


def read(path: Path) -> WeightsFile:
    """Read and check a weights file of ours, or a checkpoint of another program. Raises as `load`."""
    if not path.is_file() or weights.is_ours(path):
        return weights.read(path)
    weights.check_kind(path)
    require("torch", "torch", f"{path}: a published checkpoint")
    from lamnet.network import weights as in_torch

    contents = in_torch.read(path)
    return WeightsFile(
        contents.config, {name: tensor.float().numpy() for name, tensor in contents.state.items()}, contents.record
    )


def network_of(contents: WeightsFile) -> LAMNet:
    """Build the network with these weights in PyTorch, which is installed, in eval mode on the CPU."""
    import torch

    from lamnet.network import weights as in_torch

    state = {name: torch.from_numpy(array) for name, array in contents.state.items()}
    return in_torch.TorchWeights(contents.config, state, contents.record).network()


def contents_of(network: LAMNet) -> WeightsFile:
    """Take the weights of a network in PyTorch as float32 arrays."""
    state = {name: tensor.detach().cpu().float().numpy() for name, tensor in network.state_dict().items()}
    return WeightsFile(network.config, state, {})
