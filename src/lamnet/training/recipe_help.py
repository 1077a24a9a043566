"""A whole recipe as TOML; every field has the line of its class's docstring, so that the help is never out of date."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lamnet.base.errors import BadArgumentError
from lamnet.core.config import SIZES, LAMNetConfig
from lamnet.training.degradation import Degradation
from lamnet.training.recipe_files import DATA, SCHEDULE
from lamnet.training.recipes import KINDS, Recipe, parts_of

_HEAD = """\
# A recipe for `lamnet train RECIPE.toml --data SET --out RUN`. Every field may be left out: it is then as in the recipe
# that this one is based on. Options of the command, such as --steps or --lr, come before what the file says.
"""
_WINDOW = "taps of the focal attention: tap k averages the lengths[k] pixels from starts[k] on, counted from the centre"


def of_name(name: str) -> str:
    """Write the recipe of a kind, for tiny at x4, or of a name such as base_x2_photo. Raises BadArgumentError for others."""
    if name in KINDS:
        return example(name)
    try:
        kind, size, scale = parts_of(name)
    except BadArgumentError as error:
        raise BadArgumentError(
            f"help-recipe: expected {', '.join(KINDS)}, or a recipe's name such as base_x2_photo, got {name}"
        ) from error
    return example(kind, size, scale)


def example(kind: str = "short", size: str = "tiny", scale: int = 4) -> str:
    """Write a named recipe as TOML, with a comment for every field."""
    recipe = KINDS[kind](size, scale)
    network = asdict(recipe.config)
    window = network.pop("window")
    values = asdict(recipe)
    parts = [
        _HEAD,
        *_commented({"based_on": kind}, {"based_on": f"one of {', '.join(KINDS)}"}),
        "",
        "[network]",
        *_commented({"size": size}, {"size": f"{', '.join(SIZES)}; the fields below change it, for an ablation"}),
        *_commented(network, _documented(LAMNetConfig)),
        "",
        "[network.window]",
        *_commented(window, {"starts, lengths": _WINDOW}),
        "",
        "[data]",
        *_commented({name: values[name] for name in DATA}, _documented(Recipe)),
        "",
        "[degradation]",
        *_commented(
            {"name": recipe.degradation},
            {"name": "clean or photo; the fields below change its ranges, beside clean with a clean below 1"},
        ),
        *_commented(asdict(recipe.ranges), _documented(Degradation)),
        "",
        "[schedule]",
        *_commented({name: values[name] for name in SCHEDULE}, _documented(Recipe)),
    ]
    return "\n".join(parts) + "\n"


def _commented(values: Mapping[str, Any], documented: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each value, after the comment for it or for a group of values that begins with it."""
    written: set[str] = set()
    for name, value in values.items():
        entry = next((names for names in documented if name in names.split(", ")), None)
        if entry is not None and entry not in written:
            yield from textwrap.wrap(
                f"{entry}: {documented[entry]}",
                width=110,
                initial_indent="# ",
                subsequent_indent="#   ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            written.add(entry)
        yield f"{name} = {_literal(value)}"


def _literal(value: Any) -> str:
    """Write a value as TOML, whose numbers, booleans, lists and plain strings are those of JSON."""
    return json.dumps(value)


def _documented(kind: type) -> dict[str, str]:
    """Read the documentation of fields from a class's docstring, by "name" or "name, name"."""
    found: dict[str, list[str]] = {}
    section: Sequence[str] = re.split(r"^(?:Args|Attributes):$", inspect.getdoc(kind) or "", flags=re.MULTILINE)[1:2]
    for line in "".join(section).splitlines():
        if line and not line.startswith(" "):
            break
        if start := re.match(r"    (\w+(?:, \w+)*): (.*)", line):
            found[start[1]] = [start[2]]
        elif found and line.startswith(" " * 8):
            next(reversed(found.values())).append(line.strip())
    return {names: " ".join(lines) for names, lines in found.items()}
