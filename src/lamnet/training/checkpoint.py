"""The state of a training on disk: written atomically, read without running code."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch

from lamnet.base.errors import BadDataError, BadWeightsError
from lamnet.base.files import appearing
from lamnet.training.recipe_files import from_record
from lamnet.training.recipes import Recipe


def save(path: Path, recipe: Recipe, state: dict[str, Any]) -> None:
    """Replace the checkpoint by a state of tensors and numbers, its "step" among them.

    It reaches the disk before it takes its name. Raises BadDataError when the disk is full: the one before stays.
    """
    try:
        with appearing(path, BadDataError, durable=True) as partial, partial.open("wb") as file:
            torch.save({"recipe": asdict(recipe), **state}, file)
    except (BadDataError, RuntimeError) as error:  # torch reports a failed write as RuntimeError
        cause = error.__cause__ or error
        reason = " ".join(str(cause).split("\n", 1)[0].split())
        kept = "the one before is kept" if path.exists() else "there is none before"
        raise BadDataError(
            f"{path}: the checkpoint of step {state['step']} cannot be written ({reason}); {kept}"
        ) from error


def load(path: Path, recipe: Recipe) -> dict[str, Any]:
    """Read the state that was given to `save`, on the CPU.

    Raises BadWeightsError when it is not a checkpoint, or one of another recipe: the difference is named.
    """
    content = _content(path)
    if differences := recipe.differences(content.pop("recipe")):
        raise BadWeightsError(
            f"{path}: expected a checkpoint of this recipe (in another folder --from begins anew with the weights of this "
            f"one), found one of another (here, there): {'; '.join(differences)}"
        )
    return content


def load_branch(path: Path, recipe: Recipe) -> dict[str, Any]:
    """Read the state of any training of a recipe's network, from which a cool-down branches off.

    Raises BadWeightsError when it is not a checkpoint, or one of another network.
    """
    content = _content(path)
    recorded = from_record(content.pop("recipe"), str(path))
    if recorded.config != recipe.config:
        raise BadWeightsError(f"{path}: expected a state of {recipe.config}, found one of {recorded.config}")
    return content


def _content(path: Path) -> dict[str, Any]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
        _ = content["recipe"], content["step"]
    except Exception as error:  # torch.load does not say which errors a malformed file may raise
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise BadWeightsError(f"{path}: expected a checkpoint of a training, found {reason}") from error
    return cast("dict[str, Any]", content)
