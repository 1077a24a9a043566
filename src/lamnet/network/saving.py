"""A network to a file, in our format or by the published names."""

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
    """Write a network to a file that its name says: .safetensors in our format, .pth with the published names.

    Args:
        path: what ends in .safetensors keeps the configuration, and `lamnet.load` reads it. A .pth is what BasicSR,
            traiNNer-redux and spandrel read, the tensors under `params`; `lamnet.load` reads it too.

    Raises:
        BadArgumentError: the name ends otherwise.
        BadWeightsError: the file cannot be written, or `load` would not make this network of it.
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
