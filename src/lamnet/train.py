"""The training loop."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lamnet import checkpoint, weights
from lamnet.data.pairs import PatchSampler
from lamnet.data.prepare import PreparedSet
from lamnet.distributed import Workers, join
from lamnet.errors import BadWeightsError, LamnetError
from lamnet.evaluate import evaluate
from lamnet.model import LAMNet
from lamnet.monitor import Monitor
from lamnet.recipes import Recipe


class DivergedError(LamnetError):
    """The loss or its gradient is no longer finite."""


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    valid: Path | None = None,
    start: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Path:
    """Train a network, or go on where the last checkpoint in `out` was; gives the path of the finished weights.

    The batch of a step depends on the seed and the step alone, and a checkpoint holds everything else, so on the CPU a
    training that was cut off ends with the same bits as one that was not (with a time budget: given the same times).
    Under torchrun the workers share each batch.

    Args:
        data: a prepared set.
        out: gets recipe.json, metrics.jsonl, checkpoint.pt and at the end weights.safetensors (moving average).
        valid: a benchmark folder or a folder of HR pictures, for PSNR-Y of the moving average.
        start: weights to start from; those of another scale give the body, and the tail starts anew.
        clock: seconds, for tests.

    Raises:
        BadDataError: the set does not fit, or a file cannot be written.
        BadWeightsError: `out` has a checkpoint of another recipe, or `start` is another network.
        DivergedError: the gradient is not finite; the last checkpoint is from before.
    """
    sampler = PatchSampler(PreparedSet.open(data), recipe.scale, recipe.patch, recipe.batch, recipe.seed)
    saved, finished = out / "checkpoint.pt", out / "weights.safetensors"
    with join(recipe.batch) as workers:
        run = _Run.begin(recipe, workers, start)
        if saved.exists():
            run.restore(checkpoint.load(saved, recipe))
        elif workers.first:
            out.mkdir(parents=True, exist_ok=True)
            (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1))
        workers.wait()
        with Monitor(out, run.step, silent=not workers.first) as monitor:
            _loop(run, sampler, saved, valid, monitor, clock)
        if workers.first:
            record = {
                "recipe": asdict(recipe),
                "steps": run.step,
                "seconds": round(run.elapsed, 1),
                "start": str(start or ""),
            }
            weights.save(finished, run.average, record)
        workers.wait()
    return finished


@dataclass
class _Run:
    """A training under way; `elapsed` counts the seconds of all its sessions, `loss` sums since the last metrics line."""

    recipe: Recipe
    workers: Workers
    network: LAMNet
    average: LAMNet
    optimiser: torch.optim.AdamW
    wrapped: nn.Module
    loss: Tensor
    step: int = 0
    elapsed: float = 0.0

    @classmethod
    def begin(cls, recipe: Recipe, workers: Workers, start: Path | None) -> _Run:
        torch.manual_seed(recipe.seed)
        network = LAMNet(recipe.config)
        if start is not None:
            _start_from(network, start)
        network.to(workers.device, memory_format=torch.channels_last)
        average = copy.deepcopy(network).eval().requires_grad_(False)
        optimiser = torch.optim.AdamW(
            network.parameters(), recipe.lr, recipe.betas, weight_decay=recipe.weight_decay, fused=True
        )
        return cls(
            recipe, workers, network, average, optimiser, workers.wrap(network), torch.zeros((), device=workers.device)
        )

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "elapsed": self.elapsed,
            "loss": self.loss,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.step, self.elapsed = state["step"], state["elapsed"]
        self.loss.copy_(state["loss"])
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])

    def advance(self, lr: Tensor, hr: Tensor, rate: float) -> None:
        """One step on uint8 patches."""
        parts = self.recipe.accumulate
        for index, (x, y) in enumerate(zip(lr.chunk(parts), hr.chunk(parts), strict=True)):
            with self._syncing(index == parts - 1):
                with torch.autocast(x.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
                    out = self.wrapped(x.float() / 255)
                loss = F.l1_loss(out.float(), y.float() / 255) / parts
                loss.backward()
            self.loss += loss.detach()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip or math.inf)
        if not torch.isfinite(norm):
            raise DivergedError(f"the gradient of step {self.step} is not finite")
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad()
        mix = get_ema_multi_avg_fn(self.recipe.averaging(self.step))
        mix(list(self.average.parameters()), list(self.network.parameters()), self.step)
        self.step += 1

    def _syncing(self, last: bool) -> Any:
        wrapped = self.wrapped
        return nullcontext() if last or not isinstance(wrapped, DistributedDataParallel) else wrapped.no_sync()


def _loop(
    run: _Run, sampler: PatchSampler, saved: Path, valid: Path | None, monitor: Monitor, clock: Callable[[], float]
) -> None:
    recipe, workers = run.recipe, run.workers

    def load(step: int) -> tuple[Tensor, Tensor]:
        lr, hr = (torch.from_numpy(side) for side in sampler.draw(step, workers.rank, workers.world))
        return lr, hr

    begun, before = clock() - run.elapsed, (run.step, run.elapsed)
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(load, run.step)
        while (done := recipe.progress(run.step, run.elapsed)) < 1:
            lr, hr = (side.to(workers.device, non_blocking=True) for side in upcoming.result())
            upcoming = pool.submit(load, run.step + 1)
            try:
                run.advance(lr, hr, rate := recipe.rate(run.step, done))
            except DivergedError as error:
                raise DivergedError(f"{error}; {_last_good(saved)}") from None
            run.elapsed = workers.agreed(clock() - begun)
            ended = recipe.progress(run.step, run.elapsed) >= 1
            if run.step % recipe.log_every == 0 or ended:
                count, seconds = run.step - before[0], run.elapsed - before[1]
                metrics = {
                    "loss": workers.mean(run.loss).item() / (run.step % recipe.log_every or recipe.log_every),
                    "lr": rate,
                }
                metrics |= {"images_per_s": recipe.batch * count / max(seconds, 1e-9), "elapsed_s": run.elapsed}
                run.loss.zero_()
                if valid is not None and workers.first and (run.step % recipe.valid_every == 0 or ended):
                    metrics["psnr_y"] = _validate(run.average, valid)
                monitor.show(run.step, recipe.progress(run.step, run.elapsed), metrics)
                before = (run.step, clock() - begun)
            if workers.first and (run.step % recipe.save_every == 0 or ended):
                checkpoint.save(saved, recipe, run.state())


def _validate(network: LAMNet, folder: Path) -> float:
    """Mean PSNR-Y over the sets of a folder, dB."""
    sets = evaluate(network, network.config.scale, folder)["sets"]
    return sum(one["psnr_y"] for one in sets.values()) / len(sets)


def _start_from(network: LAMNet, path: Path) -> None:
    contents = weights.read(path)
    expected = network.state_dict()
    body = {name for name in expected if not name.startswith("tail.")}
    for name in body:
        if name not in contents.state or contents.state[name].shape != expected[name].shape:
            raise BadWeightsError(f"{path}: expected the body of {network.config}, found {contents.config}")
    same_scale = contents.config.scale == network.config.scale
    network.load_state_dict({n: t for n, t in contents.state.items() if same_scale or n in body}, strict=same_scale)


def _last_good(saved: Path) -> str:
    if not saved.exists():
        return "there is no checkpoint yet"
    return f"the last good checkpoint is {saved}, of step {torch.load(saved, weights_only=True)['step']}"
