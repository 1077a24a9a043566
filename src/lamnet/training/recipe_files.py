"""Recipes in files: TOML that people write, and recipe.json in a run's folder. Every field is checked.

A TOML file has the tables network, data, degradation and schedule; `recipe_help` writes one with all their fields.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from lamnet.base import records
from lamnet.base.errors import BadArgumentError, LamnetError
from lamnet.base.files import read_text
from lamnet.core.config import SIZES, LAMNetConfig
from lamnet.core.window import Window
from lamnet.training import degradation, idle
from lamnet.training.degradation import Degradation
from lamnet.training.recipes import KINDS, Recipe, recipe_named

RECIPE = "recipe.json"  # in a run's folder

DATA = ("patch", "batch", "negative", "accumulate", "seed")
SCHEDULE = tuple(
    field.name
    for field in fields(Recipe)
    if field.name not in (*DATA, "size", "scale", "degradation", "own_degradation", "network")
)
_TABLES = ("network", "data", "degradation", "schedule")
_OWN = "own"  # the size of a network that is none of SIZES


def chosen(recipe: str) -> Recipe:
    """Read the recipe of the command line: SIZE_xSCALE_KIND, a TOML file, a run's folder, or its recipe.json.

    Raises BadArgumentError, which names the file and the field, for anything else.
    """
    path = Path(recipe)
    if path.suffix == ".toml":
        return from_toml(path)
    if path.suffix == ".json":
        return _from_json(path)
    if (path / RECIPE).is_file():
        return _from_json(path / RECIPE)
    return recipe_named(recipe)


def from_toml(path: Path) -> Recipe:
    """Read a recipe; fields that are left out are as in the named recipe of its kind, `based_on`, and of its network.

    Raises BadArgumentError, which names the file and the field, what was expected and what was found.
    """
    content = _toml(path)
    _check_places(content, path)
    top = _checked(content, {"based_on": Literal[*KINDS], **dict.fromkeys(_TABLES, dict)}, f"{path}: ")
    network, data, ranges, schedule = (cast("dict[str, Any]", top.get(table, {})) for table in _TABLES)
    data = _checked(data, _hints(Recipe, DATA), f"{path}: data.")
    schedule = _checked(schedule, _hints(Recipe, SCHEDULE), f"{path}: schedule.")
    try:
        size, config = _network(network, f"{path}: network.")
        first = KINDS[top.get("based_on", "short")](size or "base", config.scale)
        of_kind = asdict(first.ranges) if ranges.get("name", first.degradation) == first.degradation else {}
        name, own = _ranges({"name": first.degradation, **of_kind, **ranges}, f"{path}: degradation.")
        if own is not None:
            _check_idle(name, own, ranges, f"{path}: degradation.")
        return replace(
            first,
            size=size or _OWN,
            network=None if size else config,
            degradation=name,
            own_degradation=own,
            **data,
            **schedule,
        )
    except LamnetError as error:
        if str(error).startswith(f"{path}: "):
            raise
        name = str(error).partition(":")[0]
        table = f"{place}." if (place := _places().get(name)) else ""
        raise BadArgumentError(f"{path}: {table}{error}") from error


def to_record(recipe: Recipe) -> dict[str, Any]:
    """Write a recipe as JSON, with the whole network and degradation, also where names stand for them."""
    return {**asdict(recipe), "network": asdict(recipe.config), "own_degradation": asdict(recipe.ranges)}


def from_record(record: object, where: str) -> Recipe:
    """Read the recipe from a record that `to_record` or an earlier version made; newer fields have their defaults.

    Raises BadArgumentError, which starts with `where`, for anything else.
    """
    if not isinstance(record, Mapping):
        raise BadArgumentError(f"{where}: expected a recipe, found {_shown(record)}")
    content = dict(cast("Mapping[str, Any]", record))
    network, own = content.pop("network", None), content.pop("own_degradation", None)
    plain = [field.name for field in fields(Recipe) if field.name not in ("network", "own_degradation")]
    values = _checked(content, _hints(Recipe, plain), f"{where}: ")
    try:
        if network is not None:
            size, config = _network(network, f"{where}: network.")
            values |= {"size": size or _OWN, "network": None if size else config}
        if own is not None:
            name = values.get("degradation", "clean")
            values["own_degradation"] = _ranges({"name": name, **own}, f"{where}: own_degradation.")[1]
        return Recipe(**values)
    except (TypeError, LamnetError) as error:
        raise BadArgumentError(str(error) if str(error).startswith(where) else f"{where}: {error}") from error


def _from_json(path: Path) -> Recipe:
    try:
        return from_record(records.parsed(read_text(path)), str(path))
    except (OSError, ValueError) as error:
        if isinstance(error, BadArgumentError):
            raise
        raise BadArgumentError(f"{path}: expected a recipe as training writes it, found {error}") from error


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except OSError as error:
        raise BadArgumentError(f"{path}: expected a recipe, found {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadArgumentError(f"{path}: expected TOML, found {error}") from error


def _places() -> dict[str, str]:
    """Return the table of each field."""
    fields_of = (
        ("network", ("size", *_hints(LAMNetConfig))),
        ("data", DATA),
        ("degradation", _hints(Degradation)),
        ("schedule", SCHEDULE),
    )
    return {name: table for table, names in fields_of for name in names}


def _check_places(content: Mapping[str, Any], path: Path) -> None:
    """Check that no field stands outside its table."""
    places = _places()
    found = [("no table", name) for name in content if name not in _TABLES]
    for table in _TABLES:
        if isinstance(given := content.get(table), dict):
            found += [(f"[{table}]", name) for name in cast("dict[str, Any]", given)]
    for where, name in found:
        if name in places and where != f"[{places[name]}]":
            raise BadArgumentError(f"{path}: {name}: expected it in [{places[name]}], found it in {where}")


def _network(given: object, where: str) -> tuple[str | None, LAMNetConfig]:
    """Read the size and the configuration of a network; the size is None where it is none of SIZES."""
    hints = {"size": Literal[*SIZES], **_hints(LAMNetConfig), "window": dict}
    values = _checked(given, hints, where)
    if "window" in values:
        window = _checked(values["window"], _hints(Window), f"{where}window.")
        if missing := _hints(Window).keys() - window.keys():
            raise BadArgumentError(f"{where}window.{min(missing)}: expected it beside the other one, found nothing")
        values["window"] = Window(**window)
    start = SIZES[values.pop("size", "base")](values.pop("scale", 4))
    config = replace(start, **values)
    size = next((size for size, make in SIZES.items() if make(config.scale) == config), None)
    return size, config


def _ranges(given: object, where: str) -> tuple[str, Degradation | None]:
    """Read the name of a degradation, and its ranges where they differ from those of the name."""
    values = _checked(given, {"name": Literal["clean", "photo"], **_hints(Degradation)}, where)
    name = values.pop("name", "clean")
    by_name = degradation.degradation_named(name)
    own = replace(by_name, **values)
    return name, None if own == by_name else own


def _check_idle(name: str, own: Degradation, given: Mapping[str, Any], where: str) -> None:
    """Check that the fields of a table that differ from those of the degradation's name change something."""
    by_name = degradation.degradation_named(name)
    for field in [one for one in given if one != "name"]:
        takes = idle.lacking(own, field)
        if takes is not None and getattr(own, field) != getattr(by_name, field):
            share, bound = takes
            photo = ', or name = "photo",' if name == "clean" else ""
            raise BadArgumentError(
                f"{where}{field}: expected {share} {bound}{photo} beside it, since it changes nothing otherwise, "
                f"found {share} = {getattr(own, share):g}"
            )


def _hints(kind: type, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the types of a dataclass's fields, of all without names."""
    hints = get_type_hints(kind)
    return {name: hints[name] for name in names or [field.name for field in fields(kind)]}


def _checked(given: object, hints: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check the values of a table and convert them to their types; messages start with `where`."""
    if not isinstance(given, Mapping):
        raise BadArgumentError(f"{where.rstrip('.')}: expected a table, found {_shown(given)}")
    values: dict[str, Any] = {}
    for name, value in cast("Mapping[str, Any]", given).items():
        if name not in hints:
            near = difflib.get_close_matches(name, hints, 1, 0.5)
            nearest = f"; the nearest is {near[0]}" if near else ""
            raise BadArgumentError(f"{where}{name}: expected one of {', '.join(hints)}, found no such field{nearest}")
        try:
            values[name] = _as(value, hints[name])
        except TypeError:
            raise BadArgumentError(
                f"{where}{name}: expected {_described(hints[name])}, found {_shown(value)}"
            ) from None
    return values


def _as(value: Any, hint: Any) -> Any:
    """Convert a value to a type. Raises TypeError where it does not fit."""
    if get_origin(hint) is Literal:
        if value in get_args(hint) and isinstance(value, str):
            return value
    elif get_origin(hint) is tuple:
        kinds = get_args(hint)
        if isinstance(value, (list, tuple)):
            parts = cast("list[Any]", value)
            if kinds[-1] is ... or len(parts) == len(kinds):
                return tuple(_as(part, kinds[0]) for part in parts)
    elif hint is float:
        if isinstance(value, float) or (type(value) is int and abs(value) <= 1e300):
            return float(value)
    elif isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    raise TypeError


def _described(hint: Any) -> str:
    kinds = get_args(hint)
    if get_origin(hint) is Literal:
        return f"one of {', '.join(kinds)}"
    if get_origin(hint) is tuple:
        count = "" if kinds[-1] is ... else f"{len(kinds)} "
        return f"a list of {count}{'whole ' * (kinds[0] is int)}numbers"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(hint, "a table")


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) < 60 else f"{text[:57]}..."
