"""Weights files in PyTorch: from a name or path to a LAMNet, and from a LAMNet to a file.

Our own format is safetensors, with the configuration and a record of the training in its header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lamnet.base.errors import BadWeightsError
from lamnet.base.files import appearing
from lamnet.core import header
from lamnet.core import weights as core_weights
from lamnet.core.config import LAMNetConfig
from lamnet.core.shipped import Variant, no_such, path_of
from lamnet.network import pickles, wrapping
from lamnet.network.checks import check_finite, check_remakable, check_sizes
from lamnet.network.model import LAMNet
from lamnet.network.published import infer_config, translate


@dataclass(frozen=True)
class TorchWeights:
    """The contents of a weights file.

    Attributes:
        config: of the network.
        state: its tensors by name, float32, or as a published checkpoint has them.
        record: of the training, from the header (recipe, steps, photographs, ...); {} for a file without one.
    """

    config: LAMNetConfig
    state: dict[str, Tensor]
    record: dict[str, Any]

    def network(self) -> LAMNet:
        """Build the network with these weights in float32, in eval mode on the CPU."""
        network = LAMNet(self.config)
        network.load_state_dict(self.state)
        return network.eval()


def load(model: str | Path, scale: int | None = None, weights: Variant | None = None) -> LAMNet:
    """Load a network with its weights, in eval mode on the CPU.

    Args:
        model: a name that ships ("tiny", "base", "large", "tiny:photo"; then `scale` is needed), a .safetensors file of
            ours, a published checkpoint, or a state dict, bare or as training programs wrap it, whose configuration is
            read off its shapes.
        scale: 2, 3 or 4, whatever ships. With a file it is checked against the file's own.
        weights: the variant of a size: "clean", the default, for pictures without compression, noise or blur, or "photo" for
            photographs with traces of JPEG, noise and soft lenses; ("tiny", weights="photo") is "tiny:photo".

    Raises:
        BadWeightsError: no such model or file, or its contents are not a whole, safe LAMNet.
        BadArgumentError: `weights` with a file, or another variant than the name's.
    """
    path = path_of(model, scale, weights)
    contents = read(path)
    core_weights.check_scale(path, contents.config, scale)
    return contents.network()


def read(path: Path) -> TorchWeights:
    """Read and check a weights file: ours (.safetensors), a published checkpoint, or a state dict, however wrapped.

    Raises BadWeightsError when there is no such file, or its contents are not a whole, safe LAMNet.
    """
    if not path.is_file():
        raise no_such(path)
    core_weights.check_kind(path)
    return _own(path) if core_weights.is_ours(path) else _foreign(path)


def save(
    network: LAMNet, path: Path, record: Mapping[str, Any] | None = None, dtype: torch.dtype | None = None
) -> None:
    """Write a safetensors file atomically.

    Args:
        record: recipe, seed, ...: goes into the header as JSON.
        dtype: of the tensors in the file; the network's own when left out.

    Raises BadWeightsError when the file cannot be written, and an earlier one stays; or when `load` would not make this
    network from it, since a part has another class, other options or other tensors than the configuration makes.
    """
    from safetensors.torch import save as safetensors_bytes  # here, since a network can be trained without

    network = check_remakable(path, network)
    state = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in network.state_dict().items()}
    text = header.header(network.config, record or {})
    with appearing(path, BadWeightsError) as partial:
        partial.write_bytes(safetensors_bytes(state, text))


def _foreign(path: Path) -> TorchWeights:
    content = _safetensors(path) if core_weights.is_safetensors(path) else pickles.read(path)
    state = wrapping.unwrap(path, content)
    check_sizes(path, state)
    config, state = infer_config(path, state) if wrapping.OURS in state else translate(path, state)
    check_finite(path, state)
    return TorchWeights(config, state, record={})


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load as safetensors_load

    try:
        return safetensors_load(path.read_bytes())
    except Exception as error:  # safetensors does not say which errors a malformed file may raise
        raise core_weights.not_safetensors(path, error) from error


def _own(path: Path) -> TorchWeights:
    contents = core_weights.read(path)
    state = {name: torch.from_numpy(array) for name, array in contents.state.items()}
    return TorchWeights(contents.config, state, contents.record)
