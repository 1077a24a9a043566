"""A training step in several forms: as it is, as a CUDA graph, its blocks compiled; which is fastest."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gpu.call import SCALE, Call
from lamnet.base.errors import BadArgumentError
from lamnet.network import layers
from lamnet.network.model import Block
from lamnet.ops.backend import use_backend
from lamnet.training import recipe_files, recipes
from lamnet.training.distributed import Workers
from lamnet.training.learner import Learner
from lamnet.training.recipes import Recipe

PLAIN = "eager"
# On an H100 1.46, 1.00 and 1.42 million LR pixels a second, where the plain step made 0.63 (docs/log/kernels.md, training.md).
FASTER = "compile+graph", "graph", "compile"
BATCH = 16  # of 48x48; the gradient's noise scale is 6 to 13 such patches, beyond which more of them teach little
ALIKE = 0.98  # least cosine between a form's gradient and the plain one's
_MEASURED_S = 2.0


@dataclass(frozen=True)
class Row:
    """A form at a batch: LR pixels a second, and the cosine of its gradient with the plain one's; or why there is none."""

    way: str
    batch: int
    pixels_per_s: float = 0.0
    cosine: float = 0.0
    problem: str = ""

    @property
    def good(self) -> bool:
        return not self.problem and self.cosine >= ALIKE


def recipe_for(call: Call, batch: int) -> Recipe:
    """The stable phase as a GPU runs it: the fed recipe, else base x4's, with this batch and one average, in bfloat16.

    A second average would make the checkpoint larger than what comes back, 16 MiB.
    """
    changes: dict[str, Any] = {
        "longer_ema": (),
        "save_every": 10**9,
        "valid_every": 10**9,
        "log_every": 50,
        "warmup": 200,
        "batch": batch,
    }
    changes |= {"patch": 8, "log_every": 2, "save_every": 5} if call.dry else {"precision": "bfloat16"}
    if not call.recipe.exists():
        stable = recipes.stable("tiny" if call.dry else "base", SCALE)
        return replace(stable, **changes)
    return replace(fed(call.recipe), **changes)


def fed(path: Path) -> Recipe:
    """Read a recipe of a stable phase. Raises BadArgumentError for another, and for a file that is none."""
    recipe = recipe_files.from_toml(path)
    if recipe.schedule != "stable":
        raise BadArgumentError(
            f"{path}: schedule: expected stable, as from which a cool-down branches off, got {recipe.schedule}"
        )
    return recipe


def backend(call: Call) -> str | None:
    """The backend that the check has found to be needed; None for the usual one."""
    return "reference" if not call.dry and call.findings("check").get("backend") != "triton" else None


def try_all(call: Call) -> None:
    """Record the speed of every form, and where the time of a plain step goes."""
    torch.backends.cudnn.benchmark = True  # the fastest convolutions, found in the first steps
    device = torch.device("cpu" if call.dry else "cuda")
    if asked := backend(call):
        with use_backend(asked):
            return _try_all(call, device)
    return _try_all(call, device)


def _try_all(call: Call, device: torch.device) -> None:
    rows: list[Row] = []
    profile: dict[str, str] = {}

    def say() -> None:
        call.say("ways", {"rows": [vars(row) for row in rows], **profile, **choice(rows)})

    def measured(way: str, batch: int) -> Row:
        rows.append(_measured(recipe_for(call, batch), way, device))
        say()
        print(f"{way}, batch {batch}: {rows[-1].problem or f'{rows[-1].pixels_per_s / 1e6:.3f} M LR pixels/s'}")
        return rows[-1]

    if call.dry:
        measured(PLAIN, 2)
        return
    measured(PLAIN, BATCH)
    next((way for way in FASTER if measured(way, BATCH).good), None)
    profile["profile"] = _profile(recipe_for(call, BATCH), device)
    say()


def choice(rows: Sequence[Row]) -> dict[str, Any]:
    """The fastest good form and its batch; the plain one where none is good."""
    best = max((row for row in rows if row.good), key=lambda row: row.pixels_per_s, default=Row(PLAIN, BATCH))
    return {"way": best.way, "batch": best.batch}


def prepare(learner: Learner, way: str, lr: Tensor, hr: Tensor) -> None:
    """Bring a learner into a form, with a step's patches to try it on; only its gradients are touched."""
    loss = learner.loss.clone()
    if "compile" in way:
        compile_blocks(learner.network)
    learner.gradients(lr, hr, False)
    if "graph" in way:
        learner.gradients = Graphed(learner, lr, hr)
    for parameter in learner.network.parameters():
        parameter.grad = None
    learner.loss.copy_(loss)


def compile_blocks(network: nn.Module) -> None:
    """Have the blocks of a network compiled when they are first used."""
    # The usual answer depends on the very layer, and the compiler would begin anew for every block; here no layer is changed.
    layers._is_plain = _always
    for block in network.modules():
        if isinstance(block, Block):
            block.compile(dynamic=False)


def _always(layer: nn.Module) -> bool:
    return True


class Graphed:
    """Forward and backward of a learner as one CUDA graph, which saves the way of thousands of kernels through Python.

    The absolute and the squared error have a graph each, captured at the first step that lowers it.
    """

    def __init__(self, learner: Learner, lr: Tensor, hr: Tensor) -> None:
        self._lr, self._hr, self._plain = lr.clone(), hr.clone(), learner.gradients
        self._loss, self._parameters = learner.loss, list(learner.network.parameters())
        self._graphs = {False: self._captured(False)}

    def __call__(self, lr: Tensor, hr: Tensor, squared: bool) -> None:
        if lr.shape != self._lr.shape:
            return self._plain(lr, hr, squared)
        self._lr.copy_(lr)
        self._hr.copy_(hr)
        if squared not in self._graphs:
            self._graphs[squared] = self._captured(squared)
        graph, gradients = self._graphs[squared]
        graph.replay()
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient  # which a learner drops after each step
        return None

    def _captured(self, squared: bool) -> tuple[torch.cuda.CUDAGraph, list[Tensor | None]]:
        """Return a graph, and the gradients that its replay sets; the sum of errors stays as it was."""
        loss, side = self._loss.clone(), torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._without_gradients()
                self._plain(self._lr, self._hr, squared)
        torch.cuda.current_stream().wait_stream(side)
        self._without_gradients()  # so that the graph sets them instead of adding to them
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # another thread brings patches meanwhile
            self._plain(self._lr, self._hr, squared)
        self._loss.copy_(loss)
        return graph, [parameter.grad for parameter in self._parameters]

    def _without_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None


def _measured(recipe: Recipe, way: str, device: torch.device) -> Row:
    gc.collect()  # the learner before
    if device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        learner, (lr, hr) = Learner(recipe, Workers(0, 1, device)), _random(recipe, device)
        learner.gradients(lr, hr, False)
        expected = _gradient(learner)
        prepare(learner, way, lr, hr)
        learner.gradients(lr, hr, False)
        cosine = torch.nn.functional.cosine_similarity(_gradient(learner), expected, 0).item()
        for _ in range(3):
            learner.advance(lr, hr, 0.0)
        steps, begun = 0, time.perf_counter()
        while (
            time.perf_counter() - begun < _MEASURED_S
        ):  # a step ends with a look at its gradient, so the clock is right
            learner.advance(lr, hr, 0.0)
            steps += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
        speed = steps * recipe.batch * recipe.patch**2 / (time.perf_counter() - begun)
        return Row(way, recipe.batch, speed, 0.0 if math.isnan(cosine) else cosine)
    except Exception as error:  # no memory, a compiler's complaint, an operator that no graph can hold
        return Row(way, recipe.batch, problem=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _random(recipe: Recipe, device: torch.device) -> tuple[Tensor, Tensor]:
    """Smooth patches and noise on them."""
    coarse = torch.rand(recipe.batch, 3, 4, 4, device=device)
    hr = torch.nn.functional.interpolate(coarse, size=recipe.patch * recipe.scale, mode="bicubic")
    hr = (hr + 0.05 * torch.randn_like(hr)).clamp(0, 1)
    lr = torch.nn.functional.avg_pool2d(hr, recipe.scale)
    return (lr * 255).round().byte(), (hr * 255).round().byte()


def _gradient(learner: Learner) -> Tensor:
    """All gradients in one row, which are then forgotten."""
    row = torch.cat([p.grad.flatten() for p in learner.network.parameters() if p.grad is not None])
    for parameter in learner.network.parameters():
        parameter.grad = None
    return row


def _profile(recipe: Recipe, device: torch.device) -> str:
    """A table of the kernels that take most of a plain step."""
    try:
        learner, (lr, hr) = Learner(recipe, Workers(0, 1, device)), _random(recipe, device)
        learner.advance(lr, hr, 0.0)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            learner.advance(lr, hr, 0.0)
            torch.cuda.synchronize()
        return profile.key_averages().table(sort_by="self_device_time_total", row_limit=15, max_name_column_width=60)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
