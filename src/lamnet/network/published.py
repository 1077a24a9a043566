"""Published checkpoints (.pth): read without running code, and turned into our names and shapes."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from lamnet.base.errors import BadWeightsError, LamnetError
from lamnet.core.parameters import check_names
from lamnet.network.checks import check_floating, empty_state
from lamnet.network.config import LAMNetConfig
from lamnet.ops.window import Window

# Published names of the parts of a network and of a block; `fn` is what stands behind the norm.
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
_FIRST_MIXER = "deep_feature_extraction.0.mixers.0.fn."
_KERNEL_MAP = "kernel_map"  # the window, which every mixer repeats


def read_published(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint's state dict, which lies under `params_ema`, under `params`, or bare.

    Raises BadWeightsError for a damaged file, one that would run code, or one that holds anything but tensors.
    """
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


def translate(path: Path, published: Mapping[str, Tensor]) -> tuple[LAMNetConfig, dict[str, Tensor]]:
    """Turn a published state dict into our configuration, read off the shapes, and our tensors by name.

    Raises BadWeightsError, which names `path`, when the tensors are not those of one LAMNet.
    """
    config = _inferred_config(path, published)
    maps = {name: tensor for name, tensor in published.items() if name.endswith(_KERNEL_MAP)}
    check_floating(path, {name: tensor for name, tensor in published.items() if name not in maps})
    for name, tensor in maps.items():
        if not torch.equal(tensor, published[_FIRST_MIXER + _KERNEL_MAP]):
            raise BadWeightsError(f"{path}: expected one window for all blocks, found another in {name}")
    expected = empty_state(config)
    names = {name: published_name(name, config.groups) for name in expected}
    check_names(path, published.keys() - maps.keys(), set(names.values()))
    state = {name: _reshaped(path, names[name], published[names[name]], one) for name, one in expected.items()}
    return config, state


def published_name(name: str, groups: int) -> str:
    """The name that a published checkpoint of `groups` groups gives to our tensor `name`."""
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


def _only_tensors(content: object) -> dict[str, Tensor] | None:
    if not isinstance(content, dict):
        return None
    entries = cast("dict[object, object]", content)
    for key in ("params_ema", "params"):
        if key in entries:
            return _only_tensors(entries[key])
    plain = all(isinstance(name, str) and isinstance(value, Tensor) for name, value in entries.items())
    return cast("dict[str, Tensor]", entries) if plain else None


def _inferred_config(path: Path, published: Mapping[str, Tensor]) -> LAMNetConfig:
    try:
        return _config_of_shapes(published)
    except KeyError as error:
        raise BadWeightsError(f"{path}: expected a LAMNet checkpoint, found it without {error.args[0]}") from error
    except (ValueError, IndexError, ZeroDivisionError, StopIteration, LamnetError) as error:
        raise BadWeightsError(f"{path}: expected a LAMNet checkpoint, found {error}") from error


def _config_of_shapes(published: Mapping[str, Tensor]) -> LAMNetConfig:
    groups = next(g for g in range(len(published)) if f"deep_feature_extraction.{g}.mixers.0.alpha" not in published)
    halves = next(b for b in range(len(published)) if f"deep_feature_extraction.0.mixers.{b}.alpha" not in published)
    channels = published["shallow_feature_extraction.weight"].shape[0]
    hidden = published["deep_feature_extraction.0.mixers.1.fn.dwconv.weight"].shape[0] // 2
    window = _window(published[_FIRST_MIXER + _KERNEL_MAP])
    return LAMNetConfig(
        scale=math.isqrt(published["upsample.0.weight"].shape[0] // 3),
        channels=channels,
        groups=groups,
        blocks=halves // 2,
        heads=published[_FIRST_MIXER + "h_kernel.1.weight"].shape[0] // window.taps,
        expansion=hidden / channels,
        window=window,
    )


def _window(kernel_map: Tensor) -> Window:
    if kernel_map.dim() != 2:
        raise ValueError(f"a kernel_map of shape {tuple(kernel_map.shape)}")
    return Window.from_kernel_map(cast("list[list[int]]", kernel_map.tolist()))


def _reshaped(path: Path, name: str, found: Tensor, expected: Tensor) -> Tensor:
    """A published tensor in our shape; sides of 1 may come and go."""
    if [n for n in found.shape if n > 1] != [n for n in expected.shape if n > 1]:
        raise BadWeightsError(f"{path}: expected {name} to hold {tuple(expected.shape)}, found {tuple(found.shape)}")
    return found.reshape(expected.shape)
