"""Weights files read without PyTorch: our own format, safetensors with the configuration in its header."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lamnet.base import lines, records
from lamnet.base.errors import BadWeightsError, MissingExtraError
from lamnet.core import header, parameters
from lamnet.core.config import LAMNetConfig
from lamnet.core.shipped import Variant, no_such, path_of

SUFFIX = ".safetensors"
_LONGEST_NAME = 200  # characters; ours have 45, those of wrapped checkpoints some more
_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))  # their first bytes


@dataclass(frozen=True)
class WeightsFile:
    """The contents of a weights file; `record` is the record of the training (recipe, seed, ...), {} without one."""

    config: LAMNetConfig
    state: dict[str, NDArray[np.float32]]
    record: dict[str, Any]


def load(model: str | Path, scale: int | None = None, weights: Variant | None = None) -> WeightsFile:
    """Load weights by a name that ships ("tiny", "base", "tiny:photo"; then `scale` is needed) or from a .safetensors file.

    `weights` picks the variant of a size, "clean" or "photo".

    Raises:
        BadWeightsError: there is none, or it is not a whole LAMNet, or not one for this scale.
        MissingExtraError: it is a checkpoint of another program, which takes PyTorch to read.
    """
    path = path_of(model, scale, weights)
    contents = read(path)
    check_scale(path, contents.config, scale)
    return contents


def check_scale(source: Path | str, config: LAMNetConfig, scale: int | None) -> None:
    """Check that a network is for this scale. Raises BadWeightsError, which names the source."""
    if scale is not None and config.scale != scale:
        raise BadWeightsError(f"{source}: expected a network for x{scale}, found one for x{config.scale}")


def read(path: Path) -> WeightsFile:
    """Read and check a weights file of ours; tensors of half precision become float32. Raises as `load`."""
    if not path.is_file():
        raise no_such(path)
    check_kind(path)
    if not is_safetensors(path):
        raise MissingExtraError(
            f'{path}: a published checkpoint takes PyTorch to read; pip install "lamnet-sr[torch]", and lamnet.load'
        )
    metadata = _metadata(path)
    if not header.is_ours(metadata):
        raise MissingExtraError(
            f"{path}: expected a header of format lamnet; a checkpoint of another program takes PyTorch to read, "
            'pip install "lamnet-sr[torch]", and lamnet.load'
        )
    tensors = _tensors(path)
    try:
        config, record = header.read(metadata)
        if config.groups * config.blocks > len(tensors):
            raise ValueError(f"{config.groups} groups of {config.blocks} blocks beside {len(tensors)} tensors")
    except ValueError as error:
        raise BadWeightsError(f"{path}: expected a LAMNet configuration in the header, found {error}") from error
    parameters.check(path, config, {name: tuple(tensor["shape"]) for name, tensor in tensors.items()})
    return WeightsFile(config, {name: _array(path, name, tensor) for name, tensor in tensors.items()}, record)


def is_safetensors(path: Path) -> bool:
    """Tell by its name, or by how it begins, whether a file is one of safetensors."""
    with path.open("rb") as file:
        start = file.read(10)
    if path.suffix.lower() == SUFFIX:
        return not start.startswith((b"PK\x03\x04", b"\x80\x02"))  # torch.save's
    return start[8:] == b'{"' and int.from_bytes(start[:8], "little") <= path.stat().st_size


def is_checkpoint(path: Path) -> bool:
    """Tell by how it begins, and by what it lists where it is a zip file, whether torch.save may have made a file."""
    with path.open("rb") as file:
        start = file.read(2)
    if start != b"PK":
        return start in _PICKLES
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("data.pkl") for name in archive.namelist())
    except Exception:  # a damaged file, which may raise anything; PyTorch says so
        return True


def check_kind(path: Path) -> None:
    """Refuse what is neither a file of safetensors nor one of torch.save. Raises BadWeightsError."""
    if not is_safetensors(path) and not is_checkpoint(path):
        raise BadWeightsError(
            f"{path}: expected a weights file, of safetensors or torch.save, found one of another kind"
        )


def is_ours(path: Path) -> bool:
    """Tell by its header whether a file is a weights file of ours.

    Raises:
        BadWeightsError: its header is broken.
    """
    return is_safetensors(path) and header.is_ours(_metadata(path))


def _metadata(path: Path) -> dict[str, str]:
    """Read the metadata in the header of a safetensors file."""
    import safetensors  # here, since a network can be trained without

    try:
        with cast(Any, safetensors.safe_open(path, framework="np")) as opened:
            return cast("dict[str, str]", opened.metadata() or {})
    except Exception as error:  # safetensors does not say which errors a malformed file may raise
        raise not_safetensors(path, error) from error


def _tensors(path: Path) -> dict[str, dict[str, Any]]:
    import safetensors

    try:
        tensors = dict(cast("list[tuple[str, dict[str, Any]]]", safetensors.deserialize(path.read_bytes())))
    except Exception as error:  # as above
        raise not_safetensors(path, error) from error
    check_printable(path, tensors)
    return tensors


def check_printable(path: Path, names: Iterable[str]) -> None:
    """Refuse names of tensors that would not fit into the one line of a message. Raises BadWeightsError."""
    for name in names:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise BadWeightsError(
                f"{path}: expected names of tensors of up to {_LONGEST_NAME} printable characters, found {records.short(name)}"
            )


def not_safetensors(path: Path, error: Exception) -> BadWeightsError:
    """Make the error for a file that safetensors does not read, from the error that it raised."""
    found = lines.one_line(" ".join(str(error).split()))[:200]
    return BadWeightsError(f"{path}: expected a safetensors file, found {found}")


def _array(path: Path, name: str, tensor: Mapping[str, Any]) -> NDArray[np.float32]:
    kind, data = tensor["dtype"], tensor["data"]
    if kind == "BF16":
        numbers = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    elif kind in ("F16", "F32", "F64"):
        numbers = np.frombuffer(data, f"<f{kind[1:]}".replace("16", "2").replace("32", "4").replace("64", "8"))
    else:
        raise BadWeightsError(f"{path}: expected floating-point numbers in {name}, found {kind}")
    with np.errstate(over="ignore"):
        single = numbers.astype(np.float32).reshape(tensor["shape"])
    if not np.isfinite(single).all():  # the training went wrong, and every picture would come out black
        raise BadWeightsError(f"{path}: expected finite numbers in {name}, found NaN or infinity")
    return single
