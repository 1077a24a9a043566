"""The state of a training on disk: written atomically, read without running code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from lamnet.base import records
from lamnet.base.errors import BadDataError, BadWeightsError
from lamnet.base.files import appearing
from lamnet.core import config
from lamnet.network import pickles
from lamnet.training.recipe_files import from_record
from lamnet.training.recipes import Recipe


def save(path: Path, recipe: Recipe, state: dict[str, Any]) -> None:
    """Replace the checkpoint by a state of tensors and numbers, its "step" among them.

    It reaches the disk before it takes its name. Raises BadDataError when the disk is full; the earlier one stays.
    """
    content = io.BytesIO()  # torch, which would write in pieces, does not say why it cannot
    torch.save({"recipe": asdict(recipe), **state}, content)
    try:
        with appearing(path, BadDataError, durable=True) as partial:
            partial.write_bytes(content.getbuffer())
    except BadDataError as error:
        reason = error.__cause__ or error
        kept = "the one before is kept" if path.exists() else "there is none before"
        raise BadDataError(
            f"{path}: the checkpoint of step {state['step']} cannot be written ({reason}); {kept}"
        ) from error


def load(path: Path, recipe: Recipe) -> dict[str, Any]:
    """Read the state that `save` wrote, on the CPU.

    Raises BadWeightsError when it is not a checkpoint, or one of another recipe; names the difference.
    """
    content = _content(path)
    if differences := recipe.differences(content.pop("recipe")):
        raise BadWeightsError(
            f"{path}: expected a checkpoint of this recipe (in another folder --from begins anew with the weights of this "
            f"one), found one of another (here, there): {'; '.join(differences)}"
        )
    return content


def load_branch(path: Path, recipe: Recipe) -> dict[str, Any]:
    """Read the state of a stable phase of a recipe's network, from which a cool-down branches off.

    Raises BadWeightsError when it is not a checkpoint, or one of another schedule or network.
    """
    content = _content(path)
    recorded = from_record(content.pop("recipe"), str(path))
    if recorded.schedule != "stable":
        raise BadWeightsError(
            f"{path}: expected the state of a stable phase, found one of the schedule {recorded.schedule}"
        )
    if other := config.differences(recipe.config, recorded.config):
        raise BadWeightsError(
            f"{path}: expected a state of this network, found one of another (here, there): {'; '.join(other)}"
        )
    return content


def _content(path: Path) -> dict[str, Any]:
    if damaged := _damaged(path):
        raise BadWeightsError(f"{path}: expected a whole checkpoint, found {damaged} in it damaged")
    content = pickles.read(path)
    try:
        _ = json.dumps(content["recipe"]), content["recipe"].items(), content["step"] + 1
    except Exception as error:  # anything may stand in the place of a checkpoint
        raise BadWeightsError(f"{path}: expected a checkpoint of a training, found something else") from error
    return cast("dict[str, Any]", content)


def _damaged(path: Path) -> str | None:
    """Name the first part of a checkpoint that has other bytes than were written, which PyTorch does not look for."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip()
    except Exception:  # of all kinds, for what is no ZIP; reading it says so
        return None


def fitted(path: Path, state: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Check that a state has the parts, shapes and number formats of another one, and valid counts.

    The optimiser's settings belong to the recipe, so the returned state has those of the new learner.

    Args:
        path: the file of the state, for messages.
        like: a new learner's state; its optimiser keeps no moments yet.

    Raises BadWeightsError, which names the first part that does not fit.
    """
    try:
        for name in ("step", "elapsed", "begin", "before_s", "summed"):
            count = records.number if name in ("elapsed", "before_s") else records.whole
            optional = None if name in ("step", "elapsed") else 0
            if count(state.get(name, optional), name) < 0:
                raise ValueError(f"{name}: expected at least 0, found {records.short(state[name])}")
        _check_alike(state["loss"], like["loss"], "loss")
        for name, part in (
            {name: state[name] for name in ("network", "average")} | dict(state.get("longer", {}))
        ).items():
            _check_tensors(part, like["network"], name)
        moments = records.mapping(records.mapping(state["optimiser"], "optimiser")["state"], "optimiser")
        _check_moments(moments, like["network"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise BadWeightsError(f"{path}: expected a checkpoint of this network, found another: {reason}") from error
    return {**state, "optimiser": {**like["optimiser"], "state": moments}}


def _check_alike(found: Any, like: Tensor, what: str) -> None:
    if not isinstance(found, Tensor) or (found.shape, found.dtype) != (like.shape, like.dtype):
        raise ValueError(f"{what}: expected {_described(like)}, found {_described(found)}")


def _check_tensors(found: Any, like: Mapping[str, Tensor], what: str) -> None:
    parts = records.mapping(found, what)
    for name, tensor in like.items():
        _check_alike(parts[name], tensor, f"{what}, {name}")
    if parts.keys() != like.keys():
        raise ValueError(f"{what}: expected {len(like)} parts, found {len(parts)}")


def _check_moments(moments: Mapping[Any, Any], like: Mapping[str, Tensor]) -> None:
    """Check the optimiser's moments: none before its first step, then a mean and a mean square for each parameter."""
    if len(moments) not in (0, len(like)):
        raise ValueError(f"optimiser: expected parts for {len(like)} parameters, found {len(moments)}")
    for number, parameter in enumerate(like.values() if moments else ()):
        kept = records.mapping(moments[number], f"optimiser, {number}")
        for name in ("exp_avg", "exp_avg_sq"):
            _check_alike(kept[name], parameter, f"optimiser, {number}, {name}")
        _check_alike(kept["step"], torch.zeros(()), f"optimiser, {number}, step")


def _described(found: Any) -> str:
    return f"{found.dtype} of {list(found.shape)}" if isinstance(found, Tensor) else records.short(found)
