"""Saving of a network to a file, in our format or by the published names."""

from __future__ import annotations

from pathlib import Path

import torch

from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.base.files import appearing
from lamnet.network import weights
from lamnet.network.checks import check_remakable
from lamnet.network.model import LAMNet
from lamnet.network.published import publish


def save(network: LAMNet, path: str | Path) -> None:
    """Write a network to a file in the format of its name: .safetensors is ours, .pth has the published names.

    Args:
        path: a .safetensors file keeps the configuration. A .pth file has the tensors under `params`, as BasicSR,
            traiNNer-redux and spandrel read them. `lamnet.load` reads both.

    Raises:
        BadArgumentError: the name has another ending.
        BadWeightsError: the file cannot be written, or `load` would not make this network from it.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        weights.save(network, path)
    elif path.suffix == ".pth":
        state = publish(check_remakable(path, network))
        with appearing(path, BadWeightsError) as partial, partial.open("wb") as file:
            torch.save({"params": state}, file)
    else:
        raise BadArgumentError(f"{path}: expected a name that ends in .safetensors or .pth")
