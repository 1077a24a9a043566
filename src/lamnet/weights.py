"""Weights: a name or a file -> a LAMNet. Own format: safetensors with the configuration in its header."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import safetensors
import torch
from safetensors.torch import save as safetensors_bytes  # pyright: ignore[reportUnknownVariableType] (partial stub)
from torch import Tensor

from lamnet.errors import BadWeightsError, LamnetError
from lamnet.model import LAMNet, LAMNetConfig
from lamnet.ops.window import Window

SIZES = {"tiny": LAMNetConfig.tiny, "base": LAMNetConfig.base, "large": LAMNetConfig.large}


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


def is_name(model: str | Path) -> bool:
    """Whether it is the name of a size, and no file's."""
    return str(model) in SIZES and not Path(model).is_file()


def path_of(model: str | Path, scale: int | None) -> Path:
    """The file that a name or path stands for. Raises BadWeightsError for a name whose weights do not ship at this scale."""
    if is_name(model):
        return shipped_path(str(model), scale)
    path = Path(model)
    if path.is_dir() and (trained := path / "weights.safetensors").is_file():
        raise BadWeightsError(f"{path}: expected a file, found the folder of a training; its weights are {trained}")
    return path


def called(path: Path) -> str:
    """What a file is called in records: by its name where it ships, whose place differs, else by its path."""
    return f"{path.stem}, which ships" if path.parent == _shipped_folder() else str(path)


def shipped() -> list[tuple[str, int]]:
    """The (size, scale) pairs whose weights come with the package."""
    stems = [entry.name.removesuffix(".safetensors") for entry in _shipped_folder().iterdir()]
    found = [stem.split("_x") for stem in stems if "_x" in stem and stem.split("_x")[1].isdigit()]
    return sorted((size, int(scale)) for size, scale in found)


def read(path: Path) -> WeightsFile:
    """Read and check a weights file of ours (.safetensors) or a published checkpoint."""
    if not path.is_file():
        raise BadWeightsError(f"{path}: no such model; expected a file or one of {_names()}")
    if path.suffix == ".safetensors":
        return _read_own(path)
    return WeightsFile(*_translate(path, _read_published(path)), record={})


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


def _names() -> str:
    return ", ".join(f"{size} (x{scale})" for size, scale in shipped()) or "none shipped"


def _shipped_folder() -> Path:
    return Path(str(files("lamnet") / "pretrained"))


def shipped_path(size: str, scale: int | None) -> Path:
    """The file of weights that ship; its model card (.md) and evaluation (.json) lie beside it.

    Raises BadWeightsError when there is none.
    """
    path = _shipped_folder() / f"{size}_x{scale}.safetensors"
    if not path.is_file():
        wanted = "a scale with it" if scale is None else f"a scale that ships, got {scale}"
        raise BadWeightsError(f"{size}: expected {wanted}; there are {_names()}")
    return path


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
    _check_floating(path, state)
    expected = _empty_state(config)
    _check_names(path, state.keys(), expected.keys())
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            raise BadWeightsError(
                f"{path}: expected {name} of shape {tuple(tensor.shape)}, found {tuple(state[name].shape)}"
            )
    return WeightsFile(config, state, record)


def _empty_state(config: LAMNetConfig) -> dict[str, Tensor]:
    """Names and shapes of a network's tensors, without memory for their contents."""
    with torch.device("meta"):
        return cast("dict[str, Tensor]", LAMNet(config).state_dict())


def _check_floating(path: Path, state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            raise BadWeightsError(f"{path}: expected floating-point numbers in {name}, found {tensor.dtype}")


def _check_names(path: Path, found: Set[str], expected: Set[str]) -> None:
    for kind, names in (("without", expected - found), ("with an unexpected", found - expected)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise BadWeightsError(
                f"{path}: expected the {len(expected)} tensors of its network, found it {kind} {min(names)}{more}"
            )


def _read_published(path: Path) -> dict[str, Tensor]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load does not say which errors a malformed file may raise
        unsafe = isinstance(error, pickle.UnpicklingError)
        found = "something other than plain tensors, refused" if unsafe else f"a damaged file ({type(error).__name__})"
        raise BadWeightsError(f"{path}: expected a PyTorch checkpoint, found {found}") from error
    state = _only_tensors(content)
    if state is None:
        raise BadWeightsError(f"{path}: expected a state dict of tensors, found {type(content).__name__}")
    return state


def _only_tensors(content: object) -> dict[str, Tensor] | None:
    """The state dict in a checkpoint: under `params_ema`, under `params`, or bare."""
    if not isinstance(content, dict):
        return None
    entries = cast("dict[object, object]", content)
    for key in ("params_ema", "params"):
        if key in entries:
            return _only_tensors(entries[key])
    plain = all(isinstance(name, str) and isinstance(value, Tensor) for name, value in entries.items())
    return cast("dict[str, Tensor]", entries) if plain else None


# Published names of the parts of a block; `fn` is what stands behind the norm.
_PUBLISHED_PARTS = {
    "head": "shallow_feature_extraction",
    "tail": "upsample.0",
    "mixer_norm.weight": "norm.alpha",
    "mixer_norm.bias": "norm.beta",
    "mixer_scale": "alpha",
    "mixer.project_in": "fn.proj_in",
    "mixer.channel_in": "fn.channel_branch.0",
    "mixer.channel_out": "fn.channel_branch.2",
    "mixer.horizontal.depthwise": "fn.h_kernel.0",
    "mixer.horizontal.project": "fn.h_kernel.1",
    "mixer.vertical.depthwise": "fn.v_kernel.0",
    "mixer.vertical.project": "fn.v_kernel.1",
    "mixer.project_out": "fn.proj_out",
    "ffn_norm.weight": "norm.alpha",
    "ffn_norm.bias": "norm.beta",
    "ffn_scale": "alpha",
    "ffn.project_in": "fn.project_in",
    "ffn.depthwise": "fn.dwconv",
    "ffn.project_out": "fn.project_out",
}


_FIRST = "deep_feature_extraction.0.mixers.0.fn."


def _published_name(name: str, groups: int) -> str:
    """The name that a published checkpoint gives to our tensor `name`."""
    if name == "fuse_scale":
        return "alpha"
    if name.startswith("fuse."):
        return f"deep_feature_extraction.{groups}.{name.removeprefix('fuse.')}"
    prefix = ""
    if found := re.fullmatch(r"groups\.(\d+)\.(?:scale|blocks\.(\d+)\.(.+))", name):
        group, block, name = found.groups()
        prefix = f"deep_feature_extraction.{group}."
        if block is None:
            return prefix + "alpha"
        prefix += f"mixers.{2 * int(block) + name.startswith('ffn')}."
    part = next(part for part in _PUBLISHED_PARTS if name == part or name.startswith(part + "."))
    return prefix + _PUBLISHED_PARTS[part] + name.removeprefix(part)


def _window(kernel_map: Tensor) -> Window:
    if kernel_map.dim() != 2:
        raise ValueError(f"a kernel_map of shape {tuple(kernel_map.shape)}")
    return Window.from_kernel_map(cast("list[list[int]]", kernel_map.tolist()))


def _infer_config(published: Mapping[str, Tensor]) -> LAMNetConfig:
    groups = next(g for g in range(len(published)) if f"deep_feature_extraction.{g}.mixers.0.alpha" not in published)
    halves = next(b for b in range(len(published)) if f"deep_feature_extraction.0.mixers.{b}.alpha" not in published)
    channels = published["shallow_feature_extraction.weight"].shape[0]
    hidden = published["deep_feature_extraction.0.mixers.1.fn.dwconv.weight"].shape[0] // 2
    window = _window(published[_FIRST + "kernel_map"])
    return LAMNetConfig(
        scale=math.isqrt(published["upsample.0.weight"].shape[0] // 3),
        channels=channels,
        groups=groups,
        blocks=halves // 2,
        heads=published[_FIRST + "h_kernel.1.weight"].shape[0] // window.taps,
        expansion=hidden / channels,
        window=window,
    )


def _translate(path: Path, published: Mapping[str, Tensor]) -> tuple[LAMNetConfig, dict[str, Tensor]]:
    """A published state dict -> our configuration and names; the configuration is read off the shapes."""
    try:
        config = _infer_config(published)
    except KeyError as error:
        raise BadWeightsError(f"{path}: expected a LAMNet checkpoint, found it without {error.args[0]}") from error
    except (ValueError, IndexError, ZeroDivisionError, StopIteration, LamnetError) as error:
        raise BadWeightsError(f"{path}: expected a LAMNet checkpoint, found {error}") from error
    maps = {name: tensor for name, tensor in published.items() if name.endswith("kernel_map")}
    _check_floating(path, {name: tensor for name, tensor in published.items() if name not in maps})
    for name, tensor in maps.items():
        if not torch.equal(tensor, published[_FIRST + "kernel_map"]):
            raise BadWeightsError(f"{path}: expected one window for all blocks, found another in {name}")
    ours = _empty_state(config)
    names = {name: _published_name(name, config.groups) for name in ours}
    _check_names(path, published.keys() - maps.keys(), set(names.values()))
    state: dict[str, Tensor] = {}
    for name, tensor in ours.items():
        found = published[names[name]]
        if [n for n in found.shape if n > 1] != [n for n in tensor.shape if n > 1]:
            raise BadWeightsError(
                f"{path}: expected {names[name]} to hold {tuple(tensor.shape)}, found {tuple(found.shape)}"
            )
        state[name] = found.reshape(tensor.shape)
    return config, state
