"""Weights files without PyTorch: our own format, safetensors with the configuration in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors
from numpy.typing import NDArray

from lamnet.base.errors import BadWeightsError, LamnetError, MissingExtraError
from lamnet.core import parameters
from lamnet.core.config import LAMNetConfig
from lamnet.core.shipped import Variant, path_of, shipped_names
from lamnet.core.window import Window

FORMAT = "lamnet"  # what the header of our own files says under "format"


@dataclass(frozen=True)
class WeightsFile:
    """The contents of a weights file: `record` is what training left there (recipe, seed, ...), {} without any."""

    config: LAMNetConfig
    state: dict[str, NDArray[np.float32]]
    record: dict[str, Any]


def load(model: str | Path, scale: int | None = None, weights: Variant | None = None) -> WeightsFile:
    """The weights of a name that ships ("tiny", "base", "tiny:photo"; then `scale` is needed) or of a .safetensors file.

    `weights` says which of a size, "clean" or "photo".

    Raises:
        BadWeightsError: there is none, or it is not a whole LAMNet, or not one for this scale.
        MissingExtraError: it is a published checkpoint, which takes PyTorch to read.
    """
    path = path_of(model, scale, weights)
    contents = read(path)
    check_scale(path, contents.config, scale)
    return contents


def check_scale(source: Path | str, config: LAMNetConfig, scale: int | None) -> None:
    """Raise BadWeightsError, which names the source, where its network is for another scale than this one."""
    if scale is not None and config.scale != scale:
        raise BadWeightsError(f"{source}: expected a network for x{scale}, found one for x{config.scale}")


def read(path: Path) -> WeightsFile:
    """Read and check a weights file of ours; numbers of half precision become float32.

    Raises as `load`.
    """
    if not path.is_file():
        raise BadWeightsError(f"{path}: no such model; expected a file or one of {shipped_names()}")
    if path.suffix != ".safetensors":
        raise MissingExtraError(
            f'{path}: a published checkpoint takes PyTorch to read; pip install "lamnet-sr[torch]", and lamnet.load'
        )
    try:
        data = path.read_bytes()
        tensors = dict(cast("list[tuple[str, dict[str, Any]]]", safetensors.deserialize(data)))
    except (safetensors.SafetensorError, OSError) as error:
        raise BadWeightsError(f"{path}: expected a safetensors file, found {error}") from error
    config, record = described(path, _metadata(data), len(tensors))
    parameters.check(path, config, {name: tuple(tensor["shape"]) for name, tensor in tensors.items()})
    return WeightsFile(config, {name: _array(path, name, tensor) for name, tensor in tensors.items()}, record)


def described(path: Path, header: Mapping[str, str], tensors: int) -> tuple[LAMNetConfig, dict[str, Any]]:
    """The configuration and the record in the header of a weights file that holds so many tensors.

    Raises:
        BadWeightsError: it says neither.
    """
    if header.get("format") != FORMAT:
        raise BadWeightsError(f"{path}: expected a header with format lamnet and a config, found {sorted(header)}")
    try:
        fields = json.loads(header["config"])
        fields["window"] = Window(*(tuple(fields["window"][key]) for key in ("starts", "lengths")))
        config, record = LAMNetConfig(**fields), json.loads(header.get("record", "{}"))
        if config.groups * config.blocks > tensors:
            raise ValueError(f"{config.groups} groups of {config.blocks} blocks beside {tensors} tensors")
    except (ValueError, KeyError, TypeError, LamnetError) as error:
        raise BadWeightsError(f"{path}: expected a LAMNet configuration in the header, found {error}") from error
    return config, record


def _metadata(data: bytes) -> dict[str, str]:
    """What a safetensors file says besides its tensors; its header is JSON behind eight bytes that say how long it is."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]).get("__metadata__", {})


def _array(path: Path, name: str, tensor: Mapping[str, Any]) -> NDArray[np.float32]:
    kind, data = tensor["dtype"], tensor["data"]
    if kind == "BF16":
        numbers = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    elif kind in ("F16", "F32", "F64"):
        numbers = np.frombuffer(data, f"<f{kind[1:]}".replace("16", "2").replace("32", "4").replace("64", "8"))
    else:
        raise BadWeightsError(f"{path}: expected floating-point numbers in {name}, found {kind}")
    return numbers.astype(np.float32).reshape(tensor["shape"])
