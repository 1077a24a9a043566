"""Words of the command line that Cyclopts would take for others: 3.9 is no 4, an empty one no file or time, and 2,4 two numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, get_args

from cyclopts import UNSET, CoercionError, Token, convert

_LISTS = ("--scales", "--output", "--region")
_NUMBERS = re.compile(r"[\d.]+(,\s*[\d.]*)+")


def with_lists_apart(arguments: list[str]) -> list[str]:
    """Return a command's arguments with each number of a list as a word of its own: --scales 2,4 is --scales 2 4."""
    words: list[str] = []
    in_list = False
    for argument in arguments:
        word = argument
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            in_list = name in _LISTS
            if in_list and equals:
                words.append(name)
                word = value
        words += re.findall(r"[\d.]+", word) if in_list and _NUMBERS.fullmatch(word) else [word]
    return words


def unrounded(hint: Any, tokens: Sequence[Token]) -> object:
    """Convert an option's words as Cyclopts does; raise CoercionError for empty ones, and for fractions where whole numbers are.

    An empty word is most often a variable of the shell that is not set. As a path it would be the folder that one is in.
    """
    for token in tokens:
        if _is_empty(token) and (token.keyword is not None or hint is Path):
            raise CoercionError("expected a value, got an empty word", token=token, target_type=str)
        if _is_whole(hint) and _is_fraction(token.value):
            raise CoercionError(f"expected a whole number, got {token.value}", token=token, target_type=int)
    return cast("object", convert(hint, tokens))


def _is_empty(token: Token) -> bool:
    return not token.value and token.implicit_value is UNSET  # of which a flag has another


def _is_whole(hint: Any) -> bool:
    """Tell whether an option takes whole numbers alone: int, a tuple of them, or some of them by Literal."""
    inner = [one for one in get_args(hint) if one not in (Ellipsis, type(None))]
    return all(map(_is_whole, inner)) if inner else hint is int or type(hint) is int


def _is_fraction(word: str) -> bool:
    try:
        return not float(word).is_integer()
    except ValueError:  # no number at all, which Cyclopts says
        return False
