"""Weights files: a name or path to a LAMNet, and a LAMNet to a file.

Our own format is safetensors, with the configuration and a record of the training in its header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import safetensors
import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from lamnet.base.errors import BadWeightsError
from lamnet.base.files import appearing
from lamnet.network import header as header_of_ours
from lamnet.network import pickles, wrapping
from lamnet.network.checks import (
    check_finite,
    check_floating,
    check_names,
    check_remakable,
    check_shapes,
    check_sizes,
    empty_state,
)
from lamnet.network.config import LAMNetConfig
from lamnet.network.model import LAMNet
from lamnet.network.published import translate, untold
from lamnet.network.shipped import is_name, path_of, shipped, shipped_names


@dataclass(frozen=True)
class WeightsFile:
    """The contents of a weights file.

    Attributes:
        config: of the network.
        state: its tensors by name, float of any width.
        record: what the training left in the header (recipe, steps, photographs, ...); {} for a file without one.
    """

    config: LAMNetConfig
    state: dict[str, Tensor]
    record: dict[str, Any]

    def network(self) -> LAMNet:
        """Build the network with these weights in float32, in eval mode on the CPU."""
        network = LAMNet(self.config)
        network.load_state_dict(self.state)
        return network.eval()


def load(model: str | Path, scale: int | None = None) -> LAMNet:
    """Load a network with its weights, in eval mode on the CPU.

    Args:
        model: a name that ships ("tiny", "base"; then `scale` is needed), a .safetensors file of ours, a published
            checkpoint, or a state dict, bare or as training programs wrap it, whose configuration is read off its shapes.
        scale: 2, 3 or 4. With a file it is checked against the file's own.

    Raises:
        BadWeightsError: no such model or file, or its contents are not a whole, safe LAMNet.
    """
    if is_name(model) and str(model) not in {size for size, _ in shipped()}:
        raise BadWeightsError(
            f"{model}: has no weights yet; there are {shipped_names()}; lamnet train with the recipe {model}_x{scale or 4} makes them"
        )
    path = path_of(model, scale)
    contents = read(path)
    if scale is not None and contents.config.scale != scale:
        raise BadWeightsError(f"{path}: expected a network for x{scale}, found one for x{contents.config.scale}")
    return contents.network()


def read(path: Path) -> WeightsFile:
    """Read and check a weights file: ours (.safetensors), a published checkpoint, or a state dict, however wrapped.

    Raises BadWeightsError when there is no such file, or its contents are not a whole, safe LAMNet.
    """
    if not path.is_file():
        raise BadWeightsError(f"{path}: no such model; expected a file or one of {shipped_names()}")
    header, tensors = _safetensors(path) if path.suffix == ".safetensors" else ({}, pickles.read(path))
    if header.get("format") == header_of_ours.FORMAT:
        contents = _own(path, header, tensors)
    else:
        state = wrapping.unwrap(path, tensors)
        check_sizes(path, state)
        config, state = untold(path, state) if wrapping.OURS in state else translate(path, state)
        contents = WeightsFile(config, state, record={})
    check_finite(path, contents.state)
    return contents


def save(
    path: Path, network: LAMNet, record: Mapping[str, Any] | None = None, dtype: torch.dtype | None = None
) -> None:
    """Write a safetensors file atomically.

    Args:
        record: recipe, seed, ...: goes into the header as JSON.
        dtype: of the tensors in the file; the network's own when left out.

    Raises BadWeightsError when the file cannot be written, an earlier one staying; or when `load` would not make this
    network of it, since a part has another class, other options or tensors than the configuration says.
    """
    network = check_remakable(path, network)
    state = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in network.state_dict().items()}
    header = header_of_ours.header(network.config, record or {})
    with appearing(path, BadWeightsError) as partial:
        partial.write_bytes(safetensors_bytes(state, header))


def _safetensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the tensors."""
    try:
        opened = safetensors.safe_open(path, framework="pt")
        header = cast("dict[str, str]", opened.metadata() or {})
        return header, {name: cast(Tensor, opened.get_tensor(name)) for name in cast("list[str]", opened.keys())}
    except Exception as error:  # safetensors does not say which errors a malformed file may raise
        found = " ".join(str(error).split())[:200]
        raise BadWeightsError(f"{path}: expected a safetensors file, found {found}") from error


def _own(path: Path, header: Mapping[str, str], state: dict[str, Tensor]) -> WeightsFile:
    try:
        config, record = header_of_ours.read(header)
        if config.groups * config.blocks > len(state):
            raise ValueError(f"{config.groups} groups of {config.blocks} blocks beside {len(state)} tensors")
    except ValueError as error:
        raise BadWeightsError(f"{path}: expected a LAMNet configuration in the header, found {error}") from error
    expected = empty_state(config)
    check_floating(path, state)
    check_names(path, state.keys(), expected.keys())
    check_shapes(path, state, expected)
    return WeightsFile(config, state, record)
