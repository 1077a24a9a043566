"""The learned parameters of a network: names and shapes, in the order in which the C library reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadWeightsError
from lamnet.core.config import LAMNetConfig

Shape = tuple[int, ...]


def shapes(config: LAMNetConfig) -> dict[str, Shape]:
    """List the shapes of all parameters of a network, by their names in weights files."""
    channels, outputs = config.channels, 3 * config.scale**2
    ends = [
        *_layer("head", channels, 3, 3, 3),
        *_layer("fuse", channels, channels, 3, 3),
        ("fuse_scale", (channels,)),
        *_layer("tail", outputs, channels, 3, 3),
    ]
    blocks = [
        (f"groups.{group}.blocks.{block}.{name}", shape)
        for group in range(config.groups)
        for block in range(config.blocks)
        for name, shape in _block(config)
    ]
    return dict([*ends, *blocks, *((f"groups.{group}.scale", (channels,)) for group in range(config.groups))])


def count(config: LAMNetConfig) -> int:
    """Count the numbers in all parameters of a network, however many groups and blocks it has."""

    def of(groups: int, blocks: int) -> int:
        return sum(math.prod(shape) for shape in shapes(replace(config, groups=groups, blocks=blocks)).values())

    block = of(1, 2) - of(1, 1)
    group = of(2, 1) - of(1, 1)
    return of(1, 1) + (config.groups - 1) * group + config.groups * (config.blocks - 1) * block


def _block(config: LAMNetConfig) -> Iterator[tuple[str, Shape]]:
    channels, half, both = config.channels, config.channels // 2, 2 * config.hidden
    span, gates = config.window.span, config.heads * config.window.taps
    yield from _layer("mixer_norm", channels)
    yield from _layer("mixer.project_in", channels, channels)
    yield from _layer("mixer.channel_in", half // 2, half)
    yield from _layer("mixer.channel_out", half, half // 2)
    yield from _layer("mixer.horizontal.depthwise", half, 1, 1, span)
    yield from _layer("mixer.horizontal.project", gates, half)
    yield from _layer("mixer.vertical.depthwise", half, 1, span, 1)
    yield from _layer("mixer.vertical.project", gates, half)
    yield from _layer("mixer.project_out", channels, channels)
    yield "mixer_scale", (channels,)
    yield from _layer("ffn_norm", channels)
    yield from _layer("ffn.project_in", both, channels)
    yield from _layer("ffn.depthwise", both, 1, 3, 3)
    yield from _layer("ffn.project_out", channels, both)
    yield "ffn_scale", (channels,)


def _layer(name: str, *shape: int) -> list[tuple[str, Shape]]:
    return [(f"{name}.weight", shape), (f"{name}.bias", shape[:1])]


def check(source: Path | str, config: LAMNetConfig, found: Mapping[str, Shape]) -> None:
    """Refuse parameters that are not those of the configuration; the message begins with `source`.

    Raises:
        BadWeightsError: a name is missing, a name is unknown, or a shape differs.
    """
    expected = shapes(config)
    check_names(source, found.keys(), expected.keys())
    for name, shape in expected.items():
        if tuple(found[name]) != shape:
            raise BadWeightsError(f"{source}: expected {name} of shape {shape}, found {tuple(found[name])}")


def check_names(source: Path | str, found: Set[str], expected: Set[str]) -> None:
    """Refuse names other than those expected. Raises BadWeightsError."""
    for kind, names in (("without", expected - found), ("with an unexpected", found - expected)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise BadWeightsError(
                f"{source}: expected the {len(expected)} tensors of its network, found it {kind} {min(names)}{more}"
            )


def flattened(config: LAMNetConfig, state: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Put all parameters into one array, one after the other, as the C library reads them.

    Raises:
        BadWeightsError: they are not those of the configuration, or not finite.
    """
    arrays = {name: np.asarray(array) for name, array in state.items()}
    check("weights", config, {name: array.shape for name, array in arrays.items()})
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            found = "others" if array.dtype.kind == "f" else array.dtype
            raise BadWeightsError(f"weights: expected finite floating-point numbers in {name}, found {found}")
    return np.concatenate([arrays[name].ravel() for name in shapes(config)]).astype(np.float32)
