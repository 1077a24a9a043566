"""Names that programs import: what `lamnet` has, with signatures, its errors, and the operators' schemas."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cached_property
from typing import Any

import torch

from frozen.held import hold
from frozen.surface import PUBLIC

# Public by their names alone: what other modules of lamnet call, and free to move.
_INNER = {"Upscaler": {"bands", "beside", "identity", "plan", "planner_for", "seconds_per_pixel", "steps"}}


def test_public_names() -> None:
    assert set(PUBLIC.__all__) <= set(dir(PUBLIC))
    hold("api.txt", "\n".join([*_names(), "", *_errors(), "", *_operators(), ""]))


def _names() -> Iterator[str]:
    for name in sorted(dir(PUBLIC)):
        found = getattr(PUBLIC, name)
        if not inspect.isclass(found):
            yield f"{name}{inspect.signature(found)}" if callable(found) else f"{name}: {type(found).__name__}"
            continue
        bases = ", ".join(base.__name__ for base in found.__bases__ if base is not object)
        made = "" if issubclass(found, Exception) else inspect.signature(found)
        yield f"class {name}({bases}){' frozen' if _is_frozen(found) else ''}: {made}".removesuffix(": ")
        yield from (f"    {member}" for member in _members(found))


def _is_frozen(found: type) -> bool:
    return is_dataclass(found) and found.__dataclass_params__.frozen  # pyright: ignore


def _members(found: type) -> Iterator[str]:
    """Yield the members of a class and those it inherits from others of lamnet, without private names."""
    shown: dict[str, Any] = {}
    for base in reversed(found.__mro__):
        if base.__module__.partition(".")[0] == "lamnet":
            shown |= vars(base)
    for name in sorted(shown):
        member = shown[name]
        if (name.startswith("_") and name != "__call__") or name in _INNER.get(found.__name__, ()):
            continue
        if isinstance(member, (property, cached_property)):
            yield f"{name}: property"
        elif isinstance(member, (classmethod, staticmethod)) or inspect.isfunction(member):
            prefix = "" if inspect.isfunction(member) else f"{type(member).__name__} "
            yield f"{prefix}{name}{inspect.signature(getattr(found, name))}"
        else:
            yield f"{name} = {member!r}"


def _errors() -> Iterator[str]:
    """All that stand beside the one that is public."""
    base = PUBLIC.LamnetError
    for name, found in sorted(vars(sys.modules[base.__module__]).items()):
        if inspect.isclass(found) and issubclass(found, base):
            yield f"error {name}({', '.join(one.__name__ for one in found.__bases__)})"


def _operators() -> Iterator[str]:
    for name in PUBLIC.__all__:
        getattr(PUBLIC, name)  # whose modules define them
    schemas = map(str, torch._C._jit_get_all_schemas())  # pyright: ignore
    yield from sorted({schema for schema in schemas if schema.startswith("lamnet::")})
