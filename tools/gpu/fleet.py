"""Several trainings at the same time on one card.

A step of 8 patches is thousands of small kernels one after the other, which leave most of a card idle. Here the whole step of
each training, the drawing of its patches and Adam's part included, is a CUDA graph on a stream of its own: kernels of several
trainings run at once, and none waits for Python. On a processor, in a dry call, the trainings take turns.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gpu import training, ways
from gpu.call import Call
from gpu.pack import Pack
from gpu.patches import Drawn
from gpu.watcher import Watcher
from lamnet.base import interrupts
from lamnet.base.errors import BadDataError
from lamnet.core import shipped
from lamnet.ops.backend import use_backend
from lamnet.training import recipe_files
from lamnet.training.distributed import Workers
from lamnet.training.folder import CHECKPOINT, RunFolder
from lamnet.training.learner import DivergedError, Learner
from lamnet.training.loop import Run
from lamnet.training.prepared import PreparedSet
from lamnet.training.recipes import Recipe

_AHEAD = 2  # steps of a training that the card is given at a time
_PAUSE_S = 0.0003
_HEARD_S, _SAVED_S = 10.0, 60.0
_TRIED = 3  # steps before a graph is captured, which change no weights


class Member:
    """One training of a fleet.

    Attributes:
        problem: why it has ended before the others; "" while it goes on.
    """

    def __init__(self, name: str, run: Run, data: PreparedSet, tell: Callable[[Any], None]) -> None:
        self.name, self.run, self.problem = name, run, ""
        self._data, self._device = data, run.workers.device
        self._drawn = Drawn(data, run.learner.recipe, self._device)
        self._watcher = Watcher(run.folder.path, run.learner, [], tell, name)
        self._stream = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._rate, self._norm = (torch.zeros((), device=self._device) for _ in range(2))
        self._under_way: deque[torch.cuda.Event] = deque()
        self._told = run.learner.step, time.monotonic()

    @property
    def learner(self) -> Learner:
        return self.run.learner

    def branch(self, recipe: Recipe, folder: RunFolder) -> None:
        """Begin the cool-down of the stable phase."""
        self.settle()
        self.learner.recipe = recipe
        self.learner.branch(self.learner.state())
        if recipe.mse_from == 0 and not self.learner.squared:
            self.learner.turn_to_squared(*self._drawn.take())
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.begin(recipe)
        self.run = replace(self.run, folder=folder)
        self._watcher = Watcher(folder.path, self.learner, [], self._watcher.tell, self.name)
        if self._graph is not None:
            self.capture()

    def compile(self) -> None:
        """Compile the blocks. It takes half a minute for the first training, and little for others whose blocks are alike."""
        if self._stream is not None:
            ways.compile_blocks(self.learner.network)

    def capture(self) -> None:
        """Make the step a CUDA graph; on a processor there is none."""
        if self._stream is None:
            return
        for group in self.learner.optimiser.param_groups:
            group["lr"], group["capturable"] = self._rate, True
        loss = self.learner.loss.clone()
        self._rate.zero_()
        torch.cuda.synchronize()
        with torch.cuda.stream(self._stream):
            for _ in range(_TRIED):
                self._work()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._drawn.generator)
        with torch.cuda.graph(graph, stream=self._stream):
            self._work()
        self.learner.loss.copy_(loss)
        torch.cuda.synchronize()
        self._graph = graph

    def ready(self) -> bool:
        """Tell whether another step may be given to the card."""
        while self._under_way and self._under_way[0].query():
            self._under_way.popleft()
        return len(self._under_way) < _AHEAD

    def advance(self, progress: float) -> None:
        """Make a step, or have it made, at this share of the phase."""
        learner = self.learner
        rate = learner.recipe.rate(learner.step, progress)
        if self._graph is None:
            for group in learner.optimiser.param_groups:
                group["lr"] = rate
            self._work()
        else:
            with torch.cuda.stream(self._stream):
                self._rate.fill_(rate)
                self._graph.replay()
                event = torch.cuda.Event()
                event.record()
            self._under_way.append(event)
        learner.step += 1
        learner.summed += 1

    def _work(self) -> None:
        """Do what a step does, all of it on the device."""
        learner = self.learner
        learner.gradients(*self._drawn.take(), learner.squared)
        self._norm.copy_(learner.clipped())
        learner.update(learner.recipe.decays)

    def settle(self) -> None:
        """Wait until all steps are made. Raises DivergedError where the last one's gradient was not finite."""
        if self._stream is not None:
            self._stream.synchronize()
        self._under_way.clear()
        if not torch.isfinite(self._norm):
            raise DivergedError(f"the gradient of a step before {self.learner.step} is not finite")

    def tell(self, progress: float) -> None:
        """Record loss and speed since it was last told."""
        self.settle()
        learner, (step, at), now = self.learner, self._told, time.monotonic()
        if learner.summed:
            speed = learner.recipe.batch * (learner.step - step) / max(now - at, 1e-9)
            rate = learner.recipe.rate(learner.step, progress)
            facts = {"loss": learner.take_loss(), "lr": rate, "images_per_s": round(speed, 2)}
            self._watcher.show(learner.step, progress, {**facts, "elapsed_s": round(learner.elapsed, 1)})
        if self._stream is not None:
            torch.cuda.synchronize()  # the sum of errors is zero before the next step adds to it
        self._told = learner.step, now

    def save(self) -> None:
        """Save the state and the weights of now, and say how far it is."""
        self.settle()
        self._watcher.look(self.learner.step)
        self.run.folder.save(self.learner)
        training.write_results(self.run, self._data)


def train(call: Call, plain: bool) -> None:
    """Train all recipes of the call until its end, the stable phases first, then their cool-downs if one is asked for.

    A training that cannot begin or diverges is left where it last was, and the others go on; `plain`: without graphs,
    compiler and Triton, since they have failed. Raises BadDataError where none of them is left.
    """
    pack, data = Pack.open(call.photos), PreparedSet.open(call.set)
    device = torch.device("cpu" if call.dry else "cuda")
    if call.dry:
        call = replace(call, until=min(call.until, time.time() + training.DRY_S + call.cooldown + training.ENDS_S))
    found: dict[str, Any] = {"fleet": {}}

    def say(name: str, facts: Any) -> None:
        found["fleet"][name] = {**found["fleet"].get(name, {}), **facts}
        call.say("train", found)

    asked = "reference" if plain and not call.dry else ways.backend(call)
    with use_backend(asked) if asked else nullcontext(), interrupts.noted() as request:
        members: list[Member] = []
        for path in call.fleet:
            try:
                member = _opened(call, path, pack, data, device, say)
                if not plain:
                    member.compile()
                    member.capture()
                members.append(member)
            except Exception as error:
                _leave(path.stem, error, say)
        ends = call.until - training.ENDS_S
        _go(members, ends - call.cooldown, request, say)
        if call.cooldown and not request.number:
            shutil.rmtree(call.cool, ignore_errors=True)
            for member in members:
                came = shipped.called(member.run.folder.path / CHECKPOINT)
                folder = RunFolder(call.cool / member.name, {**member.run.folder.origin, "start": came})
                _try(member, say, member.branch, member.learner.recipe.cooldown(1.0), folder)
            _go(members, ends, request, say)
    if request.number:
        raise interrupts.Stopped(request.number)
    if all(member.problem for member in members):
        raise BadDataError(f"{call.folder}: expected a training that goes on, found none; results.json says why")


def recipe_for(path: Path, dry: bool) -> Recipe:
    """Read the recipe of a training, as a fleet runs it: one average, or the state would not come back."""
    changes: dict[str, Any] = {"patch": 8, "batch": 2} if dry else {"precision": "bfloat16"}
    return replace(ways.fed(path), longer_ema=(), warmup=200, **changes)


def _opened(
    call: Call, path: Path, pack: Pack, data: PreparedSet, device: torch.device, say: Callable[[str, Any], None]
) -> Member:
    folder = call.folder / "fleet" / path.stem
    start = path.with_suffix(".pth")
    origin = {"photographs": pack.fingerprint, "start": start.name, "set": data.folder.name}
    recipe = recipe_files.chosen(str(folder)) if (folder / CHECKPOINT).exists() else recipe_for(path, call.dry)
    folder.mkdir(parents=True, exist_ok=True)
    run = Run.open(recipe, RunFolder(folder, origin), Workers(0, 1, device), None, start, None, time.perf_counter)
    return Member(path.stem, run, data, lambda facts: say(path.stem, facts))


def _go(members: Sequence[Member], until: float, request: interrupts.Request, say: Callable[[str, Any], None]) -> None:
    """Let all trainings go on until a time or a signal, and save them."""
    begun = heard = saved = time.time()
    before = [member.learner.elapsed for member in members]
    while (now := time.time()) < until and not request.number:
        going = [member for member in members if not member.problem]
        if not going:
            return
        progress = (now - begun) / (until - begun)
        free = [member for member in going if member.ready()]
        for member in free:
            _try(member, say, member.advance, progress)
        if not free:
            time.sleep(_PAUSE_S)
        for member, elapsed in zip(members, before, strict=True):
            member.learner.elapsed = elapsed + now - begun
        if now - heard >= _HEARD_S:
            heard = now
            for member in going:
                _try(member, say, member.tell, progress)
        if now - saved >= _SAVED_S:
            saved = now
            for member in going:
                _try(member, say, member.save)
    for member in members:
        if not member.problem:
            _try(member, say, member.tell, 1.0)
            _try(member, say, member.save)


def _try(member: Member, say: Callable[[str, Any], None], work: Callable[..., None], *given: Any) -> None:
    """Do a part of a training's work; where that fails, it has ended."""
    if member.problem:
        return
    try:
        work(*given)
    except Exception as error:
        member.problem = _leave(member.name, error, say)


def _leave(name: str, error: Exception, say: Callable[[str, Any], None]) -> str:
    problem = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    print(f"{name}: {problem}", flush=True)
    say(name, {"problem": problem})
    return problem
