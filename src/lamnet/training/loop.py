"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamnet.base import interrupts, locks
from lamnet.base.errors import BackendError, BadArgumentError, BadDataError
from lamnet.core import shipped
from lamnet.network.devices import is_out_of_memory
from lamnet.training import checkpoint
from lamnet.training.distributed import Workers, join
from lamnet.training.folder import RunFolder
from lamnet.training.learner import DivergedError, Learner
from lamnet.training.loader import Loader
from lamnet.training.pairs import PatchSampler
from lamnet.training.prepared import PreparedSet
from lamnet.training.recipes import Recipe

if TYPE_CHECKING:  # they need a terminal and pictures, which the loop does not
    from lamnet.training.degraded import DegradedSampler
    from lamnet.training.monitor import Monitor
    from lamnet.training.validation import Validation

_FEW_PHOTOS = 20
_SAVED_AFTER_S = 60  # at the latest, however many steps that are


def train(
    recipe: Recipe,
    data: Path | str,
    out: Path | str,
    valid: Path | str | None = None,
    start: Path | str | None = None,
    *,
    state: Path | str | None = None,
    tensorboard: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Path:
    """Train a network, or continue from the checkpoint in `out`; returns the path of the finished weights.

    The batch of a step depends on the seed and the step alone, and a checkpoint holds everything else. On the CPU an
    interrupted training therefore ends with the same bits as one in one go (with a time budget: given the same times).
    Under torchrun the workers share each batch. A first SIGINT or SIGTERM lets the step end and its state be saved.

    Args:
        data: a prepared set.
        out: gets recipe.json, metrics.jsonl, checkpoint.pt and at the end weights.safetensors (the moving average),
            card.md and, with `valid`, evaluation.json. Of several moving averages the best validated one is taken.
        valid: benchmark folder or folder of HR pictures, for PSNR-Y of the moving average; at scale 1, where LR would be
            HR, of JPEGs of quality 50. Where its pictures are no longer those that it had at the start, the training goes on
            without figures, and says so.
        start: weights to start from; those of another scale give the body.
        state: a checkpoint of a stable phase, from which a recipe of `Recipe.cooldown` branches off; it is only read.
        tensorboard: also write curves and validation pictures for TensorBoard (extra "tensorboard").
        clock: seconds, for tests.

    Raises:
        BadArgumentError: a cool-down without a state, or a state without a cool-down.
        BadDataError: the set or `valid` does not fit, `out` is in use by another training, or a file cannot be written.
        BadWeightsError: `out` has a checkpoint of another recipe, set or start, or `start` or `state` is another network.
        DivergedError: the gradient is not finite; the last checkpoint is from before.
        BackendError: memory ran out in a step.
        LostWorkerError: another worker is gone.
        interrupts.Stopped: a signal asked for the end; the state is saved.
    """
    from lamnet.training.monitor import Monitor

    data, out = Path(data), Path(out)
    valid, start, state = (None if path is None else Path(path) for path in (valid, start, state))
    if (state is not None) != (recipe.schedule == "cooldown"):
        raise BadArgumentError("state: expected a checkpoint of a stable phase with a cool-down, and only then")
    prepared = PreparedSet.open(data)
    sampler = _sampler(prepared, recipe)
    watched = None
    if valid is not None:
        from lamnet.training.validation import Validation

        watched = Validation.open(valid, recipe.scale)
    source = state or start
    started = shipped.called(source) if source else "scratch"
    origin = {"photographs": prepared.fingerprint, "start": started, "set": prepared.folder.name}
    with join(recipe.batch // recipe.accumulate) as workers, locks.exclusive(out) if workers.first else nullcontext():
        run = Run.open(recipe, RunFolder(out, origin), workers, watched, start, state, clock)
        loader = Loader(sampler, workers.rank, workers.world, workers.device)
        # Workers that torchrun stops end each in another step.
        signals = interrupts.noted() if workers.world == 1 else nullcontext(interrupts.Request())
        learner = run.learner
        board = Monitor(out, learner.step, learner.progress, workers.first, tensorboard)
        with board as monitor, loader, signals as request:
            _greet(run, prepared, monitor)
            if learner.step == 0 and start is not None:
                run.validate_start(monitor)
            run.loop(loader, monitor, request)
            if request.number:
                run.leave(prepared, monitor)
                raise interrupts.Stopped(request.number)
        run.finish(prepared, monitor)
    return run.folder.weights


@dataclass(frozen=True)
class Run:
    """One worker's part of a training: opened from its folder, looped to the end, finished.

    Attributes:
        learner: the network as far as it is trained.
        folder: which the first worker alone reads and writes.
        valid: None for no validation.
        clock: seconds.
    """

    learner: Learner
    folder: RunFolder
    workers: Workers
    valid: Validation | None
    clock: Callable[[], float]

    @classmethod
    def open(
        cls,
        recipe: Recipe,
        folder: RunFolder,
        workers: Workers,
        valid: Validation | None,
        start: Path | None,
        state: Path | None,
        clock: Callable[[], float],
    ) -> Run:
        """Continue from the folder's checkpoint, branch off a state, or begin; all workers get the first one's state.

        Raises BadWeightsError for a checkpoint of another training, or a start or state that is another network.
        """
        resumes = workers.first and folder.checkpoint.exists()
        learner = Learner(recipe, workers, start if workers.first and not resumes else None)
        if resumes:
            learner.restore(folder.saved_state(recipe, learner.state()))
        elif workers.first:
            if state is not None:
                before = checkpoint.load_branch(state, recipe)
                learner.branch(checkpoint.fitted(state, before, learner.state()))
                learner.other_set = folder.other_set(before)
            folder.begin(recipe)
        if workers.world > 1:  # other machines need not see the first one's files
            learner.restore(workers.shared(learner.state()))
        return cls(learner, folder, workers, valid, clock)

    def loop(self, loader: Loader, monitor: Monitor, request: interrupts.Request) -> None:
        """Train until the recipe's steps or its time are over, or a signal asks to end; the last step is saved.

        Raises DivergedError and, where memory runs out, BackendError, which name the checkpoint; and BadDataError where a
        file cannot be written.
        """
        learner, recipe = self.learner, self.learner.recipe
        begun = self.clock() - learner.elapsed
        logged_step, logged_at, saved_at = learner.step, learner.elapsed, learner.elapsed
        saved_step = learner.step if self.folder.checkpoint.exists() else None
        while (done := learner.progress) < 1 and not request.number:
            rate = recipe.rate(learner.step, done)
            self._advance(loader, done)
            learner.elapsed = self.workers.agreed(self.clock() - begun)
            done = learner.progress
            validates = done == 1 or learner.step % recipe.valid_every == 0
            if validates or learner.step % recipe.log_every == 0:
                images = recipe.batch * (learner.step - logged_step)
                speeds = {
                    "images_per_s": round(images / max(learner.elapsed - logged_at, 1e-9), 2),
                    "loader_images_per_s": round(loader.images_per_s * self.workers.world, 1),
                }
                metrics: dict[str, float | str] = {
                    "loss": learner.take_loss(),
                    "lr": rate,
                    **speeds,
                    "elapsed_s": round(learner.elapsed, 3),
                }
                if learner.noise is not None and (noise := learner.noise.take()) is not None:
                    metrics["gradient_noise"] = round(noise, 1)
                if validates:
                    metrics |= self._validate(monitor)
                monitor.show(learner.step, done, metrics)
                logged_step, logged_at = learner.step, self.clock() - begun
            due = learner.step % recipe.save_every == 0 or learner.elapsed - saved_at >= _SAVED_AFTER_S
            if self.workers.first and due:
                self.folder.save(learner)
                saved_at, saved_step = learner.elapsed, learner.step
        if self.workers.first and saved_step != learner.step:
            self.folder.save(learner)

    def validate_start(self, monitor: Monitor) -> None:
        """Record the PSNR-Y of the weights that the training starts from, as that of step 0."""
        if self.valid is not None and self.workers.first:
            monitor.show(0, 0.0, {"elapsed_s": 0.0} | self._validate(monitor))

    def leave(self, data: PreparedSet, monitor: Monitor) -> None:
        """Say that the state is saved. A stable phase leaves weights too, for it has no other end."""
        if self.learner.recipe.schedule == "stable":
            self.folder.write_results(self.learner, 0, data, None, self.workers.world)
        step = self.learner.step
        monitor.say(f"{self.folder.checkpoint}: stopped at step {step}, which is saved; the same command goes on")

    def finish(self, data: PreparedSet, monitor: Monitor) -> None:
        """Write the results of a training whose loop is over; returns when they are there, on all workers."""
        if self.workers.first:
            which, evaluation = self._best(monitor, "the weights are not measured")
            self.folder.write_results(self.learner, which, data, evaluation, self.workers.world)
        self.workers.wait()

    def _best(self, monitor: Monitor, otherwise: str) -> tuple[int, dict[str, Any] | None]:
        """The moving average of the highest PSNR-Y, by its place, and its evaluation; the first and None without a validation.

        Pictures may be lost in a long training. Then there is no evaluation, and `otherwise` is said with the reason; which
        average is the best, the others still tell.
        """
        which = 0
        if self.valid is None:
            return which, None
        try:
            which, evaluation = self.valid.best(self.learner.averages)
            self.valid.check_whole(evaluation)
        except (BadDataError, OSError) as error:
            monitor.say(f"{otherwise}, as the pictures for it are no longer the same: {error}")
            return which, None
        return which, evaluation

    def _advance(self, loader: Loader, done: float) -> None:
        try:
            self.learner.advance(*loader.take(self.learner.step), done)
        except DivergedError as error:
            kept = self.folder.last_saved(self.learner.recipe)
            raise DivergedError(
                f"{error}: the training has diverged; {kept}; the same command would come here again, "
                f"a lower rate than {self.learner.recipe.lr:g} (--lr) in a new folder may not"
            ) from None
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise BackendError(
                f"memory: expected enough for step {self.learner.step} on {self.workers.device}, found less free; "
                f"{self.folder.last_saved(self.learner.recipe)}, and the same command goes on once more is free; "
                "a training in a new folder needs less with more micro-batches (--accumulate) or a smaller --patch"
            ) from error

    def _validate(self, monitor: Monitor) -> dict[str, float | str]:
        """The figures of the best moving average, and its decay as "ema" where there are several; none where nothing is validated."""
        if self.valid is None or not self.workers.first:
            return {}
        from lamnet.training import validation

        learner = self.learner
        which, evaluation = self._best(monitor, f"step {learner.step} is not validated and the training goes on")
        if evaluation is None:
            return {}
        if monitor.wants_pictures:
            monitor.picture(learner.step, *self.valid.picture(learner.averages[which]))
        best = {"ema": learner.recipe.decays[which]} if learner.recipe.longer_ema else {}
        return {**validation.figures(evaluation), **best}


def _sampler(data: PreparedSet, recipe: Recipe) -> PatchSampler | DegradedSampler:
    if recipe.reads_lr:
        return PatchSampler(data, recipe.scale, recipe.patch, recipe.batch, recipe.seed)
    from lamnet.training.degraded import DegradedSampler

    return DegradedSampler(data, recipe.ranges, recipe.scale, recipe.patch, recipe.batch, recipe.seed)


def _greet(run: Run, data: PreparedSet, monitor: Monitor) -> None:
    """Say where the training continues, or that its set is small; and what of the set it never uses."""
    learner = run.learner
    if learner.step > learner.begin:
        monitor.say(f"{run.folder.checkpoint}: continues from step {learner.step}")
    elif learner.begin:
        monitor.say(f"{run.folder.origin['start']}: cools down from step {learner.step}")
    elif len(data.photos) < _FEW_PHOTOS:
        monitor.say(f"{data.folder}: {len(data.photos)} photographs; a network for other pictures needs hundreds")
    if learner.other_set:
        monitor.say(f"{data.folder}: other photographs than those of the stable phase, which were {learner.other_set}")
    for line in data.unused(learner.recipe.patch * learner.recipe.scale, learner.recipe.reads_lr):
        monitor.say(line)
