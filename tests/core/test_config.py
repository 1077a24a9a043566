"""What a configuration and a window refuse."""

from __future__ import annotations

import pytest

from lamnet import LAMNetConfig, Window
from lamnet.base.errors import BadArgumentError


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("groups", 0, "groups: expected at least 1, got 0"),
        ("blocks", -1, "blocks: expected at least 1, got -1"),
        ("heads", -1, "heads: expected at least 1, got -1"),
        ("channels", 0, "channels: expected at least 1, got 0"),
        ("channels", 12, r"channels: expected a positive multiple of 2\*heads = 8, got 12"),
        ("channels", 2**31, "channels: expected at most 2147483647, got 2147483648"),
        ("groups", 10**4000, "groups: expected at most 2147483647, got a very large number"),
        ("groups", 1.0, "groups: expected a whole number, got 1.0"),
        ("expansion", 1e308, "expansion: expected a number up to 2147483647, got 1e\\+308"),
        ("expansion", 10**400, "expansion: expected a number up to 2147483647, got a very large number"),
        ("expansion", float("nan"), "expansion: expected a number up to 2147483647, got nan"),
        ("expansion", float("inf"), "expansion: expected a number up to 2147483647, got inf"),
        ("expansion", "1", "expansion: expected a number up to 2147483647, got '1'"),
        ("expansion", None, "expansion: expected a number up to 2147483647, got None"),
        ("expansion", 0.01, r"expansion: expected a multiple of 1/64 \(channels\) above 0, got 0.01"),
        ("expansion", -1, r"expansion: expected a multiple of 1/64 \(channels\) above 0, got -1"),
        ("window", None, "window: expected a Window, got None"),
        ("window", [0], "window: expected a Window, got a list"),
    ],
)
def test_a_configuration_names_the_field_that_is_wrong(field: str, value: object, message: str) -> None:
    with pytest.raises(BadArgumentError, match=message):
        LAMNetConfig(**{"scale": 2, field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("lists", [(None, None), ([0], [1]), ((0,), None), ("0", "1")])
def test_a_window_is_two_tuples(lists: tuple[object, object]) -> None:
    with pytest.raises(BadArgumentError, match="window: expected starts and lengths as tuples of whole numbers"):
        Window(*lists)  # type: ignore[arg-type]
