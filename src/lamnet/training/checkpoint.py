"""The state of a training on disk: written atomically, read without running code."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch

from lamnet.base.errors import BadDataError, BadWeightsError
from lamnet.base.files import appearing
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
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
        recorded = content.pop("recipe")
    except Exception as error:  # torch.load does not say which errors a malformed file may raise
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise BadWeightsError(f"{path}: expected a checkpoint of a training, found {reason}") from error
    if differences := recipe.differences(recorded):
        raise BadWeightsError(
            f"{path}: expected a checkpoint of this recipe, found one of another (here, there): {'; '.join(differences)}"
        )
    return cast("dict[str, Any]", content)
