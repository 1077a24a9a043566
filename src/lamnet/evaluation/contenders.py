"""Whatever turns LR pictures into HR ones and can be measured: our networks, bicubic, networks of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lamnet.base.errors import BadWeightsError, MissingExtraError
from lamnet.evaluation.resize import imresize
from lamnet.network import devices, weights
from lamnet.network.ensemble import self_ensemble
from lamnet.network.model import LAMNet

BICUBIC = "bicubic"
PEER = "spandrel:"


@dataclass(frozen=True)
class Contender:
    """A name, its number of parameters (None where there is nothing to count), and what it does.

    `upscale` takes (H, W, 1 or 3) uint8 and gives (scale*H, scale*W, 1 or 3) uint8.
    """

    name: str
    params: int | None
    upscale: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def load(model: LAMNet | str | Path, scale: int, ensemble: bool = False, device: str | None = None) -> Contender:
    """The contender that a network, a name or a file stands for.

    Args:
        model: "bicubic", whatever `weights.load` takes, "spandrel:FILE" for another network's weights file, or a network.
        ensemble: networks give the mean over the eight flips and rotations; their name gets a "+".
        device: as for `devices.pick`; a network that is given stays where it is when this is None.

    Raises:
        BadWeightsError: no such model, or one for another scale.
        MissingExtraError: a peer without spandrel installed.
    """
    if model == BICUBIC:
        return Contender(BICUBIC, None, lambda lr: imresize(lr, scale))
    if isinstance(model, str) and model.startswith(PEER):
        path = Path(model.removeprefix(PEER))
        descriptor = peer(path, scale).to(devices.pick(device))
        return _of_network(str(path), descriptor.model.parameters(), descriptor, ensemble)
    network = model if isinstance(model, LAMNet) else weights.load(model, scale)
    if network.config.scale != scale:
        raise BadWeightsError(f"model: expected a network for x{scale}, found one for x{network.config.scale}")
    if device is not None or network is not model:
        network.to(devices.pick(device))
    return _of_network("LAMNet" if network is model else str(model), network.parameters(), network, ensemble)


def _of_network(name: str, parameters: Any, network: Callable[[Tensor], Tensor], ensemble: bool) -> Contender:
    tensors: list[Tensor] = list(parameters)

    def upscale(lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        rgb = np.broadcast_to(lr, (*lr.shape[:2], 3))
        x = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].to(tensors[0]) / 255  # (1, 3, H, W)
        with torch.inference_mode():
            out = self_ensemble(network, x) if ensemble else network(x)
        return (out[0].float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()

    return Contender(name + "+" * ensemble, sum(tensor.numel() for tensor in tensors), upscale)


def peer(path: Path, scale: int) -> Any:
    """The spandrel descriptor of another network's weights file, in eval mode on the CPU; errors as of `load`."""
    try:
        loader: Any = import_module("spandrel").ModelLoader()
    except ImportError as error:
        raise MissingExtraError(
            f'{path}: networks of others need spandrel, which is not here ({error}); pip install "lamnet-sr[peers]"'
        ) from error
    if not path.is_file():
        raise BadWeightsError(f"{path}: no such file")
    try:
        descriptor = loader.load_from_file(path)
    except Exception as error:  # spandrel passes on whatever a file of unknown origin makes pickle or torch raise
        raise BadWeightsError(
            f"{path}: expected a network that spandrel knows, found {str(error) or type(error).__name__}"
        ) from error
    if descriptor.scale != scale or descriptor.input_channels != 3:
        raise BadWeightsError(
            f"{path}: expected an RGB network for x{scale}, found x{descriptor.scale} of {descriptor.input_channels} channels"
        )
    return descriptor.eval()
