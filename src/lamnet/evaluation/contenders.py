"""Contenders: whatever turns LR into HR and can be measured. Our networks, bicubic, and others' networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base import lines
from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.base.extras import require
from lamnet.core import ensemble as on_arrays
from lamnet.core import shipped
from lamnet.core.config import LAMNetConfig
from lamnet.core.network import Network as Core
from lamnet.core.weights import WeightsFile, check_scale
from lamnet.evaluation.resize import imresize
from lamnet.network import reading, runtime

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lamnet.network.model import LAMNet

BICUBIC = "bicubic"
PEER = "spandrel:"


@dataclass(frozen=True)
class Bicubic:
    """MATLAB's bicubic, which has no parameters to count."""

    scale: int
    name: str = BICUBIC
    params: None = None

    def upscale(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale (H, W, 1 or 3) to (scale*H, scale*W, 1 or 3)."""
        return imresize(lr, self.scale)


@dataclass(frozen=True)
class OnCore:
    """A network of ours on the processor, without PyTorch; its attributes are those of `Network`."""

    name: str
    params: int
    network: Core
    ensemble: bool

    def upscale(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale (H, W, 1 or 3) to (scale*H, scale*W, 3); grey goes in as three equal channels."""
        rgb = np.broadcast_to(lr, (*lr.shape[:2], 3))
        if not self.ensemble:
            return self.network(rgb)
        mean = on_arrays.self_ensemble(self.network, rgb.astype(np.float32) / np.float32(255))
        return (mean.clip(0, 1) * 255).round().astype(np.uint8)


@dataclass(frozen=True)
class Network:
    """A network in PyTorch, ours or a peer's.

    Attributes:
        name: in tables; ends in "+" with the ensemble.
        params: number of its parameters.
        network: a LAMNet or a spandrel descriptor: (1, 3, H, W) in [0, 1] -> (1, 3, scale*H, scale*W).
        parameter: one of its parameters, for device and type.
        ensemble: return the mean over the eight flips and rotations.
    """

    name: str
    params: int
    network: Any
    parameter: Tensor
    ensemble: bool

    def upscale(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale (H, W, 1 or 3) to (scale*H, scale*W, 3); grey goes in as three equal channels."""
        import torch

        from lamnet.network.ensemble import self_ensemble

        rgb = np.broadcast_to(lr, (*lr.shape[:2], 3))
        x = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].to(self.parameter) / 255  # (1, 3, H, W)
        with torch.inference_mode():
            out: Tensor = self_ensemble(self.network, x) if self.ensemble else self.network(x)
        return (out[0].float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()


Contender = Bicubic | OnCore | Network


def load(model: LAMNet | str | Path, scale: int, ensemble: bool = False, device: str | None = None) -> Contender:
    """Load the contender that a network, a name or a file stands for.

    Args:
        model: "bicubic", a name or file for `reading.load`, "spandrel:FILE" for another network's weights file, or a network.
        ensemble: networks return the mean over the eight flips and rotations; their name gets a "+".
        device: as for `runtime.torch_device`; when left out, a network in PyTorch stays where it is.

    Raises:
        BadArgumentError: neither a network of ours nor a name nor a file.
        BadWeightsError: no such model, or one for another scale.
        MissingExtraError: a peer without spandrel installed, or a device without PyTorch.
    """
    if model == BICUBIC:
        return Bicubic(scale)
    if isinstance(model, str) and model.startswith(PEER):
        path = Path(model.removeprefix(PEER))
        descriptor = peer(path, scale)
        return _in_torch(str(path), descriptor, list(descriptor.model.parameters()), ensemble, device)
    if isinstance(model, (str, Path)):
        return _ours(str(model), reading.load(model, scale), ensemble, device)
    if not isinstance(getattr(model, "config", None), LAMNetConfig):
        raise BadArgumentError(f"model: expected a network, a name or a file, got {type(model).__name__}")
    check_scale("model", model.config, scale)
    place = device or next(model.parameters()).device
    return _in_torch("LAMNet", model, list(model.parameters()), ensemble, place)


def file_of(model: str, scale: int) -> Path:
    """Return the file that a model's name stands for; of "bicubic" one that need not exist. Raises BadWeightsError."""
    if model == BICUBIC or model.startswith(PEER):
        return Path(model.removeprefix(PEER))
    return shipped.path_of(model, scale)


def peer(path: Path, scale: int) -> Any:
    """Load another network's weights file as spandrel's descriptor, in eval mode on the CPU. Raises as `load`."""
    if not path.is_file():
        raise BadWeightsError(f"{path}: no such file")
    loader = require("spandrel", "peers", f"{path}: a network of others").ModelLoader()
    try:
        descriptor = loader.load_from_file(path)
    except Exception as error:  # spandrel passes on whatever a file of unknown origin makes pickle or torch raise
        found = lines.one_line(" ".join(str(error).split()))[:200] or type(error).__name__
        raise BadWeightsError(f"{path}: expected a network that spandrel knows, found {found}") from error
    if descriptor.scale != scale or descriptor.input_channels != 3:
        raise BadWeightsError(
            f"{path}: expected an RGB network for x{scale}, found x{descriptor.scale} of {descriptor.input_channels} channels"
        )
    return descriptor.eval()


def _ours(name: str, contents: WeightsFile, ensemble: bool, device: str | None) -> OnCore | Network:
    place = runtime.torch_device(device)
    if place is None:
        count = sum(array.size for array in contents.state.values())
        return OnCore(name + "+" * ensemble, count, Core(contents.config, contents.state), ensemble)
    network = reading.network_of(contents)
    return _in_torch(name, network, list(network.parameters()), ensemble, place)


def _in_torch(
    name: str, network: Any, parameters: list[Tensor], ensemble: bool, device: str | torch.device | None
) -> Network:
    from lamnet.network import devices

    network.to(devices.pick(device))
    count = sum(parameter.numel() for parameter in parameters)
    return Network(name + "+" * ensemble, count, network, parameters[0], ensemble)
