"""Records from text that anybody may have written."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pytest

from lamnet.base import records


@dataclass(frozen=True)
class Point:
    """Every kind of field that there is."""

    name: str
    x: int
    y: float = 0.5
    note: str | None = None
    near: tuple[int, ...] = ()
    good: bool = True


def test_a_dataclass_survives_json() -> None:
    assert records.record(Point, {"name": "a", "x": 3}, "line 1") == Point("a", 3)
    one = Point("a", 3, 2.0, "text", (1, 2), False)
    assert records.record(Point, {**asdict(one), "near": [1, 2], "y": 2}, "line 1") == one


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "line 1: expected an object, found a list"),
        ({"name": "a"}, "line 1: expected x, found none"),
        ({"name": "a", "x": 1, "z": 1}, "line 1: expected name, x, y, note, near, good, found 'z'"),
        ({"name": 1, "x": 1}, "line 1, name: expected str, found 1"),
        ({"name": None, "x": 1}, "line 1, name: expected str, found None"),
        ({"name": "a", "x": True}, "line 1, x: expected a whole number, found True"),
        ({"name": "a", "x": 1.0}, "line 1, x: expected a whole number, found 1.0"),
        ({"name": "a", "x": 10**400}, "line 1, x: expected a whole number, found a very large number"),
        ({"name": "a", "x": 1, "y": 10**400}, "line 1, y: expected a number, found a very large number"),
        ({"name": "a", "x": 1, "near": [1, "b"]}, "line 1, near: expected a whole number, found 'b'"),
        ({"name": "a", "x": 1, "note": 5}, "line 1, note: expected str, found 5"),
    ],
)
def test_what_does_not_fit_is_named(entries: object, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + reason):
        records.record(Point, entries, "line 1")


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "[" * 100_000, "9" * 5000, '{"a": [' * 50_000])
def test_text_that_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        records.parsed(text)


def test_text_that_no_file_can_hold() -> None:
    with pytest.raises(ValueError, match="model: expected text, found"):
        records.text(records.parsed('"\\ud800"'), "model")
    assert records.text("ä", "model") == "ä"
