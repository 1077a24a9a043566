"""Weights files: a name or a path to a LAMNet, and a LAMNet to a file. Own format: safetensors with the configuration in its header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import safetensors
import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from lamnet.base.errors import BadWeightsError, LamnetError
from lamnet.network.checks import check_floating, check_names, empty_state
from lamnet.network.config import LAMNetConfig
from lamnet.network.model import LAMNet
from lamnet.network.published import read_published, translate
from lamnet.network.shipped import path_of, shipped_names
from lamnet.ops.window import Window


@dataclass(frozen=True)
class WeightsFile:
    """The contents of a weights file: `record` is what training left there (recipe, seed, ...), {} without any."""

    config: LAMNetConfig
    state: dict[str, Tensor]
    record: dict[str, Any]


def load(model: str | Path, scale: int | None = None) -> LAMNet:
    """A network with its weights, in eval mode on the CPU.

    Args:
        model: a name that ships ("tiny", "base", "large"; then `scale` is needed), a .safetensors file of ours, or a
            published checkpoint (.pth), whose configuration is read off its shapes.
        scale: 2, 3 or 4. With a file it is checked against the file's own.

    Raises:
        BadWeightsError: no such model or file, or its contents are not a whole, safe LAMNet.
    """
    path = path_of(model, scale)
    contents = read(path)
    if scale is not None and contents.config.scale != scale:
        raise BadWeightsError(f"{path}: expected a network for x{scale}, found one for x{contents.config.scale}")
    network = LAMNet(contents.config)
    network.load_state_dict(contents.state)
    return network.eval()


def read(path: Path) -> WeightsFile:
    """Read and check a weights file of ours (.safetensors) or a published checkpoint."""
    if not path.is_file():
        raise BadWeightsError(f"{path}: no such model; expected a file or one of {shipped_names()}")
    if path.suffix == ".safetensors":
        return _read_own(path)
    return WeightsFile(*translate(path, read_published(path)), record={})


def save(
    path: Path, network: LAMNet, record: Mapping[str, Any] | None = None, dtype: torch.dtype | None = None
) -> None:
    """Write a safetensors file atomically; `record` (recipe, seed, ...) goes into its header as JSON.

    Raises BadWeightsError when the file cannot be written; one that was there stays.
    """
    state = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in network.state_dict().items()}
    header = {
        "format": "lamnet",
        "config": json.dumps(asdict(network.config)),
        "record": json.dumps(dict(record or {})),
    }
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(safetensors_bytes(state, header))
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise BadWeightsError(f"{path}: cannot be written, {error.strerror}") from error


def _read_own(path: Path) -> WeightsFile:
    try:
        opened = safetensors.safe_open(path, framework="pt")
        header = cast("dict[str, str]", opened.metadata() or {})
        state = {name: cast(Tensor, opened.get_tensor(name)) for name in cast("list[str]", opened.keys())}
    except (safetensors.SafetensorError, OSError) as error:
        raise BadWeightsError(f"{path}: expected a safetensors file, found {error}") from error
    if header.get("format") != "lamnet":
        raise BadWeightsError(f"{path}: expected a header with format lamnet and a config, found {sorted(header)}")
    try:
        fields = json.loads(header["config"])
        fields["window"] = Window(*(tuple(fields["window"][key]) for key in ("starts", "lengths")))
        config, record = LAMNetConfig(**fields), json.loads(header.get("record", "{}"))
        if config.groups * config.blocks > len(state):
            raise ValueError(f"{config.groups} groups of {config.blocks} blocks beside {len(state)} tensors")
    except (ValueError, KeyError, TypeError, LamnetError) as error:
        raise BadWeightsError(f"{path}: expected a LAMNet configuration in the header, found {error}") from error
    check_floating(path, state)
    expected = empty_state(config)
    check_names(path, state.keys(), expected.keys())
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise BadWeightsError(
                f"{path}: expected {name} of shape {tuple(tensor.shape)}, found {tuple(state[name].shape)}"
            )
    return WeightsFile(config, state, record)
