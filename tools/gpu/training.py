"""Training for the rest of a call: the stable phase from where it is, then a cool-down if one is asked for.

The loop, its checkpoints and results are lamnet's own (`lamnet.training.loop.Run`). What is other here is where patches come from
(the card's memory), how a step is run (`ways`) and who watches (`Watcher`, which needs no packages).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from gpu import ways
from gpu.call import Call
from gpu.pack import Pack
from gpu.patches import Ahead, Degraded, Resident
from gpu.watcher import Watcher, watched_pairs
from lamnet.base import interrupts, locks
from lamnet.base.errors import BadDataError
from lamnet.base.files import appearing
from lamnet.core import shipped
from lamnet.ops.backend import use_backend
from lamnet.training import recipe_files
from lamnet.training.distributed import Workers, join
from lamnet.training.folder import CHECKPOINT, RunFolder
from lamnet.training.loop import Run
from lamnet.training.pairs import PatchSampler
from lamnet.training.prepared import PreparedSet
from lamnet.training.recipes import Recipe

ENDS_S = 12.0  # for the weights, the card and the report
DRY_S = 8.0  # of a stable phase on a processor, which only shows that it goes
SHORTEST_S = 3.0  # of a stable phase in front of a cool-down


@dataclass(frozen=True)
class Ground:
    """Ground that both phases of a call stand on: device, patches, workers."""

    call: Call
    pack: Pack
    data: PreparedSet
    workers: Workers
    way: str
    pairs: list[tuple[torch.Tensor, Any]]
    loader: Ahead

    def origin(self, start: str) -> dict[str, str]:
        return {"photographs": self.pack.fingerprint, "start": start}


def train(call: Call, plain: bool) -> None:
    """Train what the call was fed: one recipe, or a fleet of them."""
    if call.fleet:
        from gpu import fleet

        fleet.train(call, plain)
    else:
        _train_one(call, plain)


def _train_one(call: Call, plain: bool) -> None:
    """Go on with the stable phase, then cool down; `plain`: without graphs, compilers and Triton, since they have failed."""
    found = call.findings("ways")
    way = ways.PLAIN if plain else found.get("way", ways.PLAIN)
    recipe = _recipe(call, found.get("batch", 2 if call.dry else ways.BATCH))
    asked = "reference" if plain and not call.dry else ways.backend(call)
    torch.backends.cudnn.benchmark = True
    pack, data = Pack.open(call.photos), PreparedSet.open(call.set)
    with use_backend(asked) if asked else nullcontext(), join(recipe.batch) as workers:
        pairs = watched_pairs(pack, recipe.scale, workers.device)
        ground = Ground(call, pack, data, workers, way, pairs, _loader(data, recipe, workers.device))
        if call.dry:
            call = replace(call, until=min(call.until, time.time() + DRY_S + call.cooldown + ENDS_S))
        stable = None
        if call.left - ENDS_S - call.cooldown > SHORTEST_S or not (call.state / CHECKPOINT).exists():
            stable = _opened(ground, recipe, call.state)
            _go(ground, stable, call.until - ENDS_S - call.cooldown)
        if call.cooldown:
            shutil.rmtree(call.cool, ignore_errors=True)  # of an earlier call; it branched off an earlier state
            cooled = recipe.cooldown(1.0)
            run = _branched(ground, stable, cooled) if stable else _opened(ground, cooled, call.cool)
            _go(ground, run, call.until - ENDS_S)


def _loader(data: PreparedSet, recipe: Recipe, device: torch.device) -> Ahead:
    sizes = recipe.scale, recipe.patch, recipe.batch, recipe.seed
    if recipe.reads_lr:
        return Ahead(Resident(data, PatchSampler(data, *sizes), device), device)
    from lamnet.training.degraded import DegradedSampler  # it needs Pillow

    return Ahead(Degraded(DegradedSampler(data, recipe.ranges, *sizes), device), device)


def _recipe(call: Call, batch: int) -> Recipe:
    """The recipe of the phase that is under way, else of one that begins."""
    if (call.state / CHECKPOINT).exists():
        return recipe_files.chosen(str(call.state))
    return ways.recipe_for(call, batch)


def _opened(ground: Ground, recipe: Recipe, folder: Path) -> Run:
    """Open a phase from its folder, the state or the start, and bring its learner into form."""
    call, cools = ground.call, recipe.schedule == "cooldown"
    state = call.state / CHECKPOINT if cools else None
    start = call.start if call.start.exists() and not cools else None
    came = shipped.called(state) if state else call.start.name if call.start.exists() else "scratch"
    run_folder = RunFolder(folder, ground.origin(came))
    folder.mkdir(parents=True, exist_ok=True)
    run = Run.open(recipe, run_folder, ground.workers, None, start, state, time.perf_counter)
    _in_form(run, ground.way, ground.loader)
    return run


def _branched(ground: Ground, stable: Run, recipe: Recipe) -> Run:
    """Begin the cool-down of a stable phase that has just ended: its learner is in form, which takes half a minute."""
    folder, learner = ground.call.cool, stable.learner
    folder.mkdir(parents=True, exist_ok=True)
    learner.recipe = recipe
    learner.branch(learner.state())
    run = replace(stable, folder=RunFolder(folder, ground.origin(shipped.called(ground.call.state / CHECKPOINT))))
    run.folder.begin(recipe)
    return run


def _go(ground: Ground, run: Run, until: float) -> None:
    """Train until a time, and write the results. Raises Stopped where a signal ended it before."""
    learner, folder = run.learner, run.folder.path
    recipe, cools = learner.recipe, learner.recipe.schedule == "cooldown"
    with locks.exclusive(folder), interrupts.noted() as request:
        lasts = max(1.0, until - time.time())
        learner.recipe = replace(recipe, budget_s=lasts if cools else learner.elapsed + lasts)
        watcher = Watcher(folder, learner, ground.pairs, lambda facts: ground.call.say("train", facts))
        watcher.say(
            f"{recipe.schedule}, {ground.way}, batch {recipe.batch} of {recipe.patch}x{recipe.patch}, {lasts:.0f} s"
        )
        watcher.look(0)
        run.loop(cast("Any", ground.loader), cast("Any", watcher), request)
        watcher.look(learner.step)
        write_results(run, ground.data)
    if request.number:
        raise interrupts.Stopped(request.number)


def _in_form(run: Run, way: str, loader: Ahead) -> None:
    """Bring the learner into its form; a form that fails is said and left, the plain one stays."""
    plain: Callable[..., None] = run.learner.gradients
    try:
        ways.prepare(run.learner, way, *loader.take(run.learner.step))
    except Exception as error:  # what was good in a trial may still not find its memory here
        if way == ways.PLAIN:
            raise
        print(f"{way}: {type(error).__name__}: {error}; the plain step is taken")
        run.learner.gradients = plain


def write_results(run: Run, data: PreparedSet) -> None:
    """Weights and card as any training has them; where safetensors is not there to write them, a state dict in weights.pth."""
    try:
        run.folder.write_results(run.learner, 0, data, None, 1)
    except ModuleNotFoundError as error:
        print(f"weights.pth instead of weights.safetensors: {error}")
        state = {name: tensor.cpu() for name, tensor in run.learner.average.state_dict().items()}
        with appearing(run.folder.path / "weights.pth", BadDataError) as partial:
            torch.save(state, partial)
