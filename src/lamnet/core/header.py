"""The JSON in the header of our weights files: a configuration within bounds, and the record of a training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, cast

from lamnet.base.errors import LamnetError
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window

_FORMAT = "lamnet"  # the value under "format"
_MAX_LENGTH = 1_000_000  # characters of an entry
# Far above any network that makes sense, far below what would take a machine's memory.
_MAX = {"scale": 64, "channels": 4096, "groups": 1024, "blocks": 1024, "heads": 1024}
_MAX_EXPANSION = 64
_MAX_TAPS, _MAX_REACH = 1024, 4096  # taps of a window, pixels that they reach


def header(config: LAMNetConfig, record: Mapping[str, Any]) -> dict[str, str]:
    """Make the header of a file, which `read` reads."""
    return {"format": _FORMAT, "config": json.dumps(asdict(config)), "record": json.dumps(dict(record))}


def is_ours(metadata: Mapping[str, str]) -> bool:
    """Tell whether a header is that of a weights file of ours."""
    return metadata.get("format") == _FORMAT


def read(metadata: Mapping[str, str]) -> tuple[LAMNetConfig, dict[str, Any]]:
    """Read the configuration and the record from a header.

    Raises:
        ValueError: it has none that is valid; the message is one line.
    """
    try:
        entries = _object(metadata.get("config", ""), "config")
        expected = {field.name for field in fields(LAMNetConfig)}
        if differing := sorted(entries.keys() ^ expected):
            raise ValueError(f"a config that differs in {differing[0]!r:.40}")
        if type(entries["expansion"]) not in (int, float):
            raise ValueError(f"expansion {entries['expansion']!r:.40}")
        entries["window"] = _window(entries["window"])
        config = LAMNetConfig(**entries)
        check_bounds(config)
        return config, _object(metadata.get("record", "{}"), "record")
    except (LamnetError, TypeError, OverflowError) as error:
        raise ValueError(f"{error}"[:200]) from error


def check_bounds(config: LAMNetConfig) -> None:
    """Refuse a network too large to be meant. Raises ValueError."""
    for name, maximum in _MAX.items():
        if getattr(config, name) > maximum:
            raise ValueError(f"{name} {getattr(config, name):.6g}, more than {maximum}")
    if not 0 < config.expansion <= _MAX_EXPANSION:
        raise ValueError(f"expansion {config.expansion:g}, not within {_MAX_EXPANSION}")
    if config.window.taps > _MAX_TAPS or config.window.reach > _MAX_REACH:
        raise ValueError(f"a window of {config.window.taps} taps that reach {config.window.reach:.6g} pixels")


def _window(entry: object) -> Window:
    sides = cast("dict[str, object]", entry) if isinstance(entry, dict) else {}
    if sides.keys() != {"starts", "lengths"}:
        raise ValueError("a window without starts and lengths")
    lists: list[tuple[int, ...]] = []
    for side in (sides["starts"], sides["lengths"]):
        numbers = cast("list[object]", side) if isinstance(side, list) else [None]
        if len(numbers) > _MAX_TAPS or any(type(one) is not int or abs(one) > _MAX_REACH for one in numbers):
            raise ValueError("a window of other than whole numbers of pixels")
        lists.append(tuple(cast("list[int]", numbers)))
    return Window(*lists)


def _object(text: str, name: str) -> dict[str, Any]:
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"a {name} of {len(text)} characters")
    try:
        entry: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a {name} that is no JSON ({type(error).__name__})") from error
    if not isinstance(entry, dict):
        raise ValueError(f"a {name} that is no object")
    return cast("dict[str, Any]", entry)
