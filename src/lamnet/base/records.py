"""Records from JSON that anybody may have written or damaged: whatever does not fit is one ValueError."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, NoReturn, TypeVar, cast

Record = TypeVar("Record")

_LARGEST = 2**53  # whole numbers above it are not the same everywhere


def parsed(text: str) -> Any:
    """Parse JSON. Raises ValueError with the reason, for NaN and for brackets nested too deep as well."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("brackets nested too deep") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no number")


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """Take a value as an object. Raises ValueError with what it should be, as do the functions below."""
    if not isinstance(value, dict):
        raise ValueError(f"{what}: expected an object, found {short(value)}")
    return cast("dict[str, Any]", value)


def items(value: Any, what: str) -> list[Any]:
    """Take a value as a list."""
    if not isinstance(value, list):
        raise ValueError(f"{what}: expected a list, found {short(value)}")
    return cast("list[Any]", value)


def text(value: Any, what: str) -> str:
    """Take a value as text that every file can hold."""
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{what}: expected text, found {short(value)}")
    return value


def whole(value: Any, what: str, minimum: int = -_LARGEST, maximum: int = _LARGEST) -> int:
    """Take a value as a whole number within bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        bounds = f" from {minimum} to {maximum}" if (minimum, maximum) != (-_LARGEST, _LARGEST) else ""
        raise ValueError(f"{what}: expected a whole number{bounds}, found {short(value)}")
    return value


def number(value: Any, what: str) -> float:
    """Take a value as a number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e300:
        raise ValueError(f"{what}: expected a number, found {short(value)}")
    return float(value)


def record(kind: type[Record], value: Any, what: str) -> Record:
    """Make a dataclass from an object whose fields are numbers, text, tuples of them, or None.

    Raises ValueError for fields that are missing, unknown or of another type.
    """
    entries = mapping(value, what)
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in fields(cast("Any", kind))}
    if unknown := entries.keys() - known.keys():
        raise ValueError(f"{what}: expected {', '.join(known)}, found {short(min(unknown))}")
    for name, field in known.items():
        if name not in entries and field.default is MISSING:
            raise ValueError(f"{what}: expected {name}, found none")
    return kind(**{name: _typed(hints[name], entry, f"{what}, {name}") for name, entry in entries.items()})


def _typed(hint: Any, value: Any, what: str) -> Any:
    if isinstance(hint, types.UnionType):
        if value is None and types.NoneType in hint.__args__:
            return None
        (hint,) = (one for one in hint.__args__ if one is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return tuple(_typed(typing.get_args(hint)[0], one, what) for one in items(value, what))
    if hint is int:
        return whole(value, what)
    if hint is float:
        return number(value, what)
    if not isinstance(value, hint):
        raise ValueError(f"{what}: expected {hint.__name__}, found {short(value)}")
    return value


def short(value: Any) -> str:
    """Shorten a value for a message."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    shown = ascii(value) if not isinstance(value, int) or abs(value) < 10**40 else "a very large number"
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def finite(content: Any) -> Any:
    """Return content for JSON, which knows no infinity: null in its place."""
    if isinstance(content, Mapping):
        return {key: finite(value) for key, value in cast("Mapping[str, Any]", content).items()}
    if isinstance(content, list):
        return [finite(value) for value in cast("list[Any]", content)]
    return None if isinstance(content, float) and not math.isfinite(content) else content
