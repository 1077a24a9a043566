"""The files of a training: recipe, checkpoint, weights, evaluation, card. All appear whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from lamnet.base import records
from lamnet.base.errors import BadArgumentError, BadDataError, BadWeightsError
from lamnet.base.files import write_text
from lamnet.network import weights
from lamnet.training import card, checkpoint
from lamnet.training.learner import Learner
from lamnet.training.prepared import BICUBIC, PreparedSet
from lamnet.training.recipe_files import RECIPE, chosen, to_record
from lamnet.training.recipes import Recipe

CHECKPOINT, WEIGHTS, METRICS = "checkpoint.pt", "weights.safetensors", "metrics.jsonl"
CARD, EVALUATION = "card.md", "evaluation.json"
_ONE = ("photographs", "start")  # what stays the same in a training's origin


@dataclass(frozen=True)
class RunFolder:
    """A training's folder.

    Attributes:
        path: of the folder.
        origin: of the training, "photographs" (a set's fingerprint) and "start" (weights, or "scratch"); a checkpoint of
            another origin is refused. "set", the name of the set's folder, may change.
    """

    path: Path
    origin: Mapping[str, str]

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT

    @property
    def weights(self) -> Path:
        return self.path / WEIGHTS

    def begin(self, recipe: Recipe) -> None:
        """Make the folder and write the recipe into it, with the whole network and degradation.

        Raises BadDataError where results lie there without a checkpoint: the training would replace them.
        """
        self._check_free()
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / RECIPE, json.dumps(to_record(recipe), indent=1))

    def _check_free(self) -> None:
        """Refuse to replace what is not left by a training that saved nothing yet: its recipe, and metrics beside it."""
        recipe, found = self.path / RECIPE, self.weights if self.weights.exists() else None
        if found is None and recipe.exists():
            try:
                chosen(str(recipe))
            except BadArgumentError:
                found = recipe
        elif found is None:
            found = next((path for name in (METRICS, CARD, EVALUATION) if (path := self.path / name).exists()), None)
        if found is not None:
            raise BadDataError(
                f"{found}: expected a new folder, or one with the checkpoint of a training, found this file without one, "
                "which a training would replace"
            )

    def save(self, learner: Learner) -> None:
        """Replace the checkpoint by the learner's state. Raises BadDataError where it cannot be written."""
        checkpoint.save(self.checkpoint, learner.recipe, {"origin": dict(self.origin), **learner.state()})

    def saved_state(self, recipe: Recipe, like: Mapping[str, Any]) -> dict[str, Any]:
        """Read the learner's state from the checkpoint, and check that it fits the state of a new learner.

        Raises BadWeightsError for a checkpoint of another training, or one with a part that does not fit.
        """
        state = checkpoint.load(self.checkpoint, recipe)
        recorded = state.pop("origin", self.origin)
        there: Mapping[str, Any] = cast("dict[str, Any]", recorded) if isinstance(recorded, dict) else {}
        others = [f"{key}: {self.origin[key]}, {there.get(key)}" for key in _ONE if self.origin[key] != there.get(key)]
        if others:
            raise BadWeightsError(
                f"{self.checkpoint}: expected a checkpoint of this training, found one of another (here, there): "
                f"{'; '.join(others)}"
            )
        return checkpoint.fitted(self.checkpoint, state, like)

    def other_set(self, state: Mapping[str, Any]) -> str:
        """Describe the photographs of the stable phase that a cool-down branches off; "" where they are the cool-down's own."""
        there: object = state.get("origin")
        if (
            not isinstance(there, dict)
            or "photographs" not in there
            or there["photographs"] == self.origin["photographs"]
        ):
            return ""
        known = cast("dict[str, object]", there)
        named = f", folder {known['set']}" if "set" in known else ""
        return " ".join(f"{known['photographs']}{named}".split())

    def last_saved(self, recipe: Recipe) -> str:
        """Describe the checkpoint and its step, as text for a message."""
        if not self.checkpoint.exists():
            return "there is no checkpoint yet"
        step = checkpoint.load(self.checkpoint, recipe)["step"]
        return f"{self.checkpoint} of step {step} is kept"

    def write_results(
        self, learner: Learner, which: int, data: PreparedSet, evaluation: Mapping[str, Any] | None, workers: int
    ) -> None:
        """Write one of the moving averages as weights with a record of the training, the evaluation and the card.

        The record has recipe, steps, seconds, start and degradation of the training; the average's decay as ema; of its data
        photographs, megapixels, set (its name) and low_resolution (the origin of LR, before a degradation); of a cool-down, the
        step of the state that it branched off as stable, and where the photographs of the phase were others, these as
        stable_photographs.
        """
        recipe, average = learner.recipe, learner.averages[which]
        record = {
            "recipe": asdict(recipe),
            "steps": learner.step,
            "seconds": round(learner.before_s + learner.elapsed),
            "start": self.origin["start"],
            "degradation": asdict(recipe.ranges),
            "ema": recipe.decays[which],
            "photographs": len(data.photos),
            "megapixels": round(data.megapixels),
            "set": data.folder.name,
            "low_resolution": data.lr if recipe.reads_lr else BICUBIC,
            **({"stable": learner.begin} if learner.begin else {}),
            **({"stable_photographs": learner.other_set} if learner.other_set else {}),
        }
        weights.save(average, self.weights, record)
        if evaluation is not None:
            write_text(self.path / EVALUATION, json.dumps(records.finite(evaluation), indent=1, allow_nan=False))
        else:  # one that lies there is of other weights
            (self.path / EVALUATION).unlink(missing_ok=True)
        write_text(self.path / CARD, card.write(record, data, average, evaluation, workers))
