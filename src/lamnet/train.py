"""The training loop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lamnet import card, checkpoint, contenders, weights
from lamnet.data.benchmarks import find_sets
from lamnet.data.loader import Loader
from lamnet.data.pairs import PatchSampler
from lamnet.data.prepare import PreparedSet
from lamnet.distributed import Workers, join
from lamnet.errors import BadWeightsError
from lamnet.evaluate import DEFAULT, evaluate, low_resolution
from lamnet.learner import DivergedError, Learner
from lamnet.monitor import Monitor
from lamnet.recipes import Recipe
from lamnet.training import degradation
from lamnet.training.degraded import DegradedSampler

RECIPE, CHECKPOINT, WEIGHTS = "recipe.json", "checkpoint.pt", "weights.safetensors"
CARD, EVALUATION = "card.md", "evaluation.json"
_FEW_PHOTOS = 20
_SAVED_AFTER_S = 300  # at the latest, however many steps that are


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    valid: Path | None = None,
    start: Path | None = None,
    *,
    tensorboard: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Path:
    """Train a network, or go on where the last checkpoint in `out` was; gives the path of the finished weights.

    The batch of a step depends on the seed and the step alone, and a checkpoint holds everything else, so on the CPU a
    training that was cut off ends with the same bits as one that was not (with a time budget: given the same times).
    Under torchrun the workers share each batch.

    Args:
        data: a prepared set.
        out: gets recipe.json, metrics.jsonl, checkpoint.pt and at the end weights.safetensors (the moving average),
            card.md and, with `valid`, evaluation.json.
        valid: benchmark folder or folder of HR pictures, for PSNR-Y of the moving average.
        start: weights to start from; those of another scale give the body.
        tensorboard: also write curves and validation pictures for TensorBoard (extra "tensorboard").
        clock: seconds, for tests.

    Raises:
        BadDataError: the set or `valid` does not fit, or a checkpoint cannot be written.
        BadWeightsError: `out` has a checkpoint of another recipe, set or start, or `start` is another network.
        DivergedError: the gradient is not finite; the last checkpoint is from before.
        LostWorkerError: another worker is gone.
    """
    prepared = PreparedSet.open(data)
    sampler = _sampler(prepared, recipe)
    if valid is not None:
        find_sets(valid, recipe.scale, None, DEFAULT.smallest_at(recipe.scale))
    saved = out / CHECKPOINT
    with join(recipe.batch // recipe.accumulate) as workers:
        origin = {"photographs": prepared.fingerprint, "start": weights.called(start) if start else "scratch"}
        goes_on = workers.first and saved.exists()
        learner = Learner(recipe, workers, start if workers.first and not goes_on else None)
        if goes_on:
            learner.restore(_state_of(saved, recipe, origin))
        elif workers.first:
            out.mkdir(parents=True, exist_ok=True)
            (out / RECIPE).write_text(json.dumps(asdict(recipe), indent=1))
        if workers.world > 1:  # other machines need not see the first one's files
            learner.restore(workers.shared(learner.state()))
        with (
            Monitor(out, learner.step, workers.first, tensorboard) as monitor,
            Loader(sampler, workers.rank, workers.world, workers.device) as loader,
        ):
            if goes_on:
                monitor.say(f"{saved}: goes on from step {learner.step}")
            if learner.step == 0 and len(prepared.photos) < _FEW_PHOTOS:
                monitor.say(f"{data}: {len(prepared.photos)} photographs; a network for other pictures needs hundreds")
            _Run(learner, loader, workers, monitor, saved, origin, valid, clock).loop()
        if workers.first:
            _finish(learner, prepared, out, valid, origin["start"], workers.world)
        workers.wait()
    return out / WEIGHTS


def _sampler(data: PreparedSet, recipe: Recipe) -> PatchSampler | DegradedSampler:
    if recipe.degradation == "clean":
        return PatchSampler(data, recipe.scale, recipe.patch, recipe.batch, recipe.seed)
    how = degradation.named(recipe.degradation)
    return DegradedSampler(data, how, recipe.scale, recipe.patch, recipe.batch, recipe.seed)


@dataclass
class _Run:
    """The parts of a training under way."""

    learner: Learner
    loader: Loader
    workers: Workers
    monitor: Monitor
    saved: Path
    origin: dict[str, str]
    valid: Path | None
    clock: Callable[[], float]

    def loop(self) -> None:
        learner, recipe = self.learner, self.learner.recipe
        begun = self.clock() - learner.elapsed
        last_step, last_time, last_saved = learner.step, learner.elapsed, learner.elapsed
        while (done := recipe.progress(learner.step, learner.elapsed)) < 1:
            rate = recipe.rate(learner.step, done)
            try:
                learner.advance(*self.loader.take(learner.step), done)
            except DivergedError as error:
                raise DivergedError(f"{error}; {self._last_good()}") from None
            learner.elapsed = self.workers.agreed(self.clock() - begun)
            done = recipe.progress(learner.step, learner.elapsed)
            if learner.step % recipe.log_every == 0 or done == 1:
                speed = recipe.batch * (learner.step - last_step) / max(learner.elapsed - last_time, 1e-9)
                self.monitor.show(learner.step, done, self._metrics(rate, speed, done == 1))
                last_step, last_time = learner.step, self.clock() - begun
            due = learner.step % recipe.save_every == 0 or learner.elapsed - last_saved >= _SAVED_AFTER_S
            if self.workers.first and (due or done == 1):
                checkpoint.save(self.saved, recipe, {"origin": self.origin, **learner.state()})
                last_saved = learner.elapsed

    def _metrics(self, rate: float, speed: float, last: bool) -> dict[str, float]:
        learner, recipe = self.learner, self.learner.recipe
        metrics = {
            "loss": self.workers.mean(learner.loss).item() / (learner.step % recipe.log_every or recipe.log_every),
            "lr": rate,
            "images_per_s": round(speed, 2),
            "loader_images_per_s": round(self.loader.images_per_s * self.workers.world, 1),
            "elapsed_s": round(learner.elapsed, 3),
        }
        learner.loss.zero_()
        if self.valid is not None and self.workers.first and (learner.step % recipe.valid_every == 0 or last):
            sets = evaluate(learner.average, recipe.scale, self.valid)["sets"].values()
            metrics["psnr_y"] = sum(one["psnr_y"] for one in sets) / len(sets)
            if self.monitor.wants_pictures:
                self._show_picture(self.valid)
        return metrics

    def _show_picture(self, valid: Path) -> None:
        scale = self.learner.recipe.scale
        pair = find_sets(valid, scale)[0].pairs[0]
        upscaled = contenders.load(self.learner.average, scale).upscale(low_resolution(pair, scale))
        self.monitor.picture(self.learner.step, pair.name, upscaled)

    def _last_good(self) -> str:
        if not self.saved.exists():
            return "there is no checkpoint yet"
        state = checkpoint.load(self.saved, self.learner.recipe)
        return f"the last good checkpoint is {self.saved}, of step {state['step']}"


def _state_of(path: Path, recipe: Recipe, origin: dict[str, str]) -> dict[str, Any]:
    """The learner's state in a checkpoint of this training. Raises BadWeightsError for one of another."""
    state = checkpoint.load(path, recipe)
    recorded: dict[str, str] = state.pop("origin", origin)
    if others := [f"{name}: {origin[name]}, {recorded[name]}" for name in origin if origin[name] != recorded[name]]:
        raise BadWeightsError(
            f"{path}: expected a checkpoint of this training, found one of another (here, there): {'; '.join(others)}"
        )
    return state


def _finish(learner: Learner, data: PreparedSet, out: Path, valid: Path | None, start: str, workers: int) -> None:
    recipe, average = learner.recipe, learner.average
    record = {"recipe": asdict(recipe), "steps": learner.step, "seconds": round(learner.elapsed), "start": start}
    record["degradation"] = asdict(degradation.named(recipe.degradation))
    weights.save(out / WEIGHTS, average, record)
    evaluation = None if valid is None else evaluate(average, recipe.scale, valid)
    if evaluation is not None:
        (out / EVALUATION).write_text(json.dumps(evaluation, indent=1))
    (out / CARD).write_text(card.write(record, data, average, evaluation, workers))
