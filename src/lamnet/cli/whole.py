"""Whole numbers on the command line, which Cyclopts would round: 3.9 is no 4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast, get_args

from cyclopts import CoercionError, Token, convert


def unrounded(hint: Any, tokens: Sequence[Token]) -> object:
    """Convert an option's words as Cyclopts does; raise CoercionError for a fraction where whole numbers are expected."""
    if _is_whole(hint):
        for token in tokens:
            if _is_fraction(token.value):
                raise CoercionError(f"expected a whole number, got {token.value}", token=token, target_type=int)
    return cast("object", convert(hint, tokens))


def _is_whole(hint: Any) -> bool:
    """Tell whether an option takes whole numbers alone: int, a tuple of them, or some of them by Literal."""
    inner = [one for one in get_args(hint) if one not in (Ellipsis, type(None))]
    return all(map(_is_whole, inner)) if inner else hint is int or type(hint) is int


def _is_fraction(word: str) -> bool:
    try:
        return not float(word).is_integer()
    except ValueError:  # no number at all, which Cyclopts says
        return False
