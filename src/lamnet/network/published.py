"""Conversion between our tensors and those of published checkpoints, by names and shapes; and ours without a header."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from lamnet.base.errors import BadWeightsError, LamnetError
from lamnet.core import parameters
from lamnet.core.config import LAMNetConfig
from lamnet.core.header import check_bounds
from lamnet.core.window import PAPER_WINDOW, Window
from lamnet.network.checks import check_floating, empty_state
from lamnet.network.model import LAMNet

# Published names of the parts of a network and of a block; `fn` is the part after the norm.
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


def translate(path: Path, published: Mapping[str, Tensor]) -> tuple[LAMNetConfig, dict[str, Tensor]]:
    """Turn a published state dict into our configuration, read off the shapes, and our tensors by name.

    Raises BadWeightsError, which names `path`, when the tensors are not those of one LAMNet.
    """
    config = _inferred_config(path, published)
    maps = {name: tensor for name, tensor in published.items() if name.endswith(_KERNEL_MAP)}
    if not maps:
        raise BadWeightsError(f"{path}: expected a LAMNet checkpoint, found it without {_FIRST_MIXER}{_KERNEL_MAP}")
    check_floating(path, {name: tensor for name, tensor in published.items() if name not in maps})
    for name, tensor in maps.items():
        if not torch.equal(tensor, published[_FIRST_MIXER + _KERNEL_MAP]):
            raise BadWeightsError(f"{path}: expected one window for all blocks, found another in {name}")
    expected = empty_state(config)
    names = {name: published_name(name, config.groups) for name in expected}
    parameters.check_names(path, published.keys() - maps.keys(), set(names.values()))
    state = {name: _reshaped(path, names[name], published[names[name]], one) for name, one in expected.items()}
    return config, state


def infer_config(path: Path, state: Mapping[str, Tensor]) -> tuple[LAMNetConfig, dict[str, Tensor]]:
    """Read the configuration of tensors by our names, which come without one, off their shapes; return the tensors too.

    Of the window the shapes give the reach alone: it is taken for the paper's where that has the same.

    Raises BadWeightsError, which names `path`, when it has not, or the tensors are not those of one LAMNet.
    """
    config = _inferred_config(path, {published_name(name, _groups(state)): one for name, one in state.items()})
    check_floating(path, state)
    parameters.check(path, config, {name: tuple(tensor.shape) for name, tensor in state.items()})
    return config, dict(state)


def publish(network: LAMNet) -> dict[str, Tensor]:
    """Turn a network into a published state dict: published names and shapes, with its windows."""
    config, state = network.config, dict[str, Tensor]()
    for name, tensor in network.state_dict().items():
        new = published_name(name, config.groups)
        shape = (1, -1, 1, 1) if new.endswith(("alpha", "beta")) else (*tensor.shape, 1, 1)
        is_ready = tensor.dim() == 4 or new.endswith("bias")
        state[new] = tensor.detach().cpu() if is_ready else tensor.detach().cpu().reshape(shape)
    taps = zip(config.window.starts, config.window.lengths, strict=True)
    rows = torch.tensor([[start if start >= 0 else start + n - 1, n] for start, n in taps], dtype=torch.int32)
    for group in range(config.groups):
        for block in range(config.blocks):
            state[f"deep_feature_extraction.{group}.mixers.{2 * block}.fn.{_KERNEL_MAP}"] = rows.clone()
    return state


def published_name(name: str, groups: int) -> str:
    """Return the name that a published checkpoint of `groups` groups gives to our tensor `name`."""
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
    part = next((part for part in _PUBLISHED_PARTS if name == part or name.startswith(part + ".")), None)
    if part is None:
        return prefix + name  # none of LAMNet's
    return prefix + _PUBLISHED_PARTS[part] + name.removeprefix(part)


def _inferred_config(path: Path, published: Mapping[str, Tensor]) -> LAMNetConfig:
    try:
        return _config_of_shapes(published)
    except KeyError as error:
        raise BadWeightsError(f"{path}: expected a LAMNet checkpoint, found it without {error.args[0]}") from error
    except (
        ValueError,
        IndexError,
        ZeroDivisionError,
        OverflowError,
        RuntimeError,
        StopIteration,
        LamnetError,
    ) as error:
        raise BadWeightsError(f"{path}: expected a LAMNet checkpoint, found {error}") from error


def _config_of_shapes(published: Mapping[str, Tensor]) -> LAMNetConfig:
    groups = next(g for g in range(len(published)) if f"deep_feature_extraction.{g}.mixers.0.alpha" not in published)
    halves = next(b for b in range(len(published)) if f"deep_feature_extraction.0.mixers.{b}.alpha" not in published)
    channels = published["shallow_feature_extraction.weight"].shape[0]
    hidden = published["deep_feature_extraction.0.mixers.1.fn.dwconv.weight"].shape[0] // 2
    window = _window(published)
    config = LAMNetConfig(
        scale=math.isqrt(published["upsample.0.weight"].shape[0] // 3),
        channels=channels,
        groups=groups,
        blocks=halves // 2,
        heads=published[_FIRST_MIXER + "h_kernel.1.weight"].shape[0] // window.taps,
        expansion=hidden / channels,
        window=window,
    )
    check_bounds(config)
    return config


def _groups(state: Mapping[str, Tensor]) -> int:
    return next(group for group in range(len(state) + 1) if f"groups.{group}.scale" not in state)


def _window(published: Mapping[str, Tensor]) -> Window:
    kernel_map = published.get(_FIRST_MIXER + _KERNEL_MAP)
    if kernel_map is None:
        span = published[_FIRST_MIXER + "h_kernel.0.weight"].shape[-1]
        if span != PAPER_WINDOW.span:
            raise ValueError(
                f"a window of {span} pixels that it does not describe; LAMNet(LAMNetConfig(..., window=...)) takes the tensors "
                "with load_state_dict, and lamnet.save writes a file that says its window"
            )
        return PAPER_WINDOW
    if kernel_map.dim() != 2 or kernel_map.shape[1] != 2 or kernel_map.shape[0] > 1024:
        raise ValueError(f"a kernel_map of shape {tuple(kernel_map.shape)}")
    return Window.from_kernel_map(cast("list[list[int]]", kernel_map.tolist()))


def _reshaped(path: Path, name: str, found: Tensor, expected: Tensor) -> Tensor:
    """Reshape a published tensor to our shape; only sides of 1 may be added or removed."""
    if [n for n in found.shape if n > 1] != [n for n in expected.shape if n > 1]:
        raise BadWeightsError(f"{path}: expected {name} to hold {tuple(expected.shape)}, found {tuple(found.shape)}")
    return found.reshape(expected.shape)
