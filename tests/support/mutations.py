"""Damaged and hostile versions of files: bytes changed, cut and repeated, values of JSON replaced."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 1.5, -0.0, 1e300, 2**31, 2**63, -(2**63), 10**400, float("inf"), float("nan")),
    *("", "x", "\ud800", "\x00", "../..", "9" * 5000, "ä" * 1000, "\n|", [], [[]], {}, {"": {}}, [None], [0] * 1000),
)
# How many of them: a few each time, many where there is time.
COUNTS = (200, pytest.param(10_000, marks=pytest.mark.slow))


def mutated(content: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Some changed versions of a file's content."""
    chance = random.Random(seed)
    for _ in range(count):
        change = chance.choice([_with_other_bytes, _shortened, _repeated, _with_other_value, _with_other_value])
        yield change(content, chance)


def _with_other_bytes(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 3, 20])):
        changed[chance.randrange(len(changed))] = chance.choice([0, 10, 34, 45, 48, 57, 91, 93, 123, 125, 255])
    return bytes(changed)


def _shortened(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return chance.choice([content[:start], content[start:], content[:start] + content[end:]])


def _repeated(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:end] + content[start:end] * chance.choice([1, 2, 50]) + content[end:]


def _with_other_value(content: bytes, chance: random.Random) -> bytes:
    """One line of JSON with another value somewhere in it, or a key left out."""
    lines = content.split(b"\n")
    at = chance.randrange(len(lines))
    try:
        nested: Any = [json.loads(lines[at])]
    except ValueError:
        try:
            lines, at, nested = [b""], 0, [json.loads(content)]
        except ValueError:
            return _with_other_bytes(content, chance)
    place, key = chance.choice(list(_places(nested)))
    if isinstance(place, dict) and chance.random() < 0.2:
        del place[key]
        place.update({"other": 1} if chance.random() < 0.5 else {})
    else:
        place[key] = chance.choice(HOSTILE)
    lines[at] = json.dumps(nested[0]).encode()
    return b"\n".join(lines)


def _places(nested: Any) -> Iterator[tuple[Any, Any]]:
    keys = nested.keys() if isinstance(nested, dict) else range(len(nested)) if isinstance(nested, list) else ()
    for key in keys:
        yield nested, key
        yield from _places(nested[key])
