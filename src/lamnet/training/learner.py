"""A network in training: one step, and the state that a checkpoint needs to continue with the same bits."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lamnet.base import memory
from lamnet.base.errors import BadArgumentError, BadWeightsError, LamnetError
from lamnet.core import parameters
from lamnet.network import weights
from lamnet.network.model import Group, LAMNet
from lamnet.training.distributed import Workers
from lamnet.training.gradient_noise import GradientNoise
from lamnet.training.recipes import Recipe

_Averaging = Callable[[list[Tensor], list[Tensor], int], None]


_OF_ADAM = 4  # of each parameter: itself, its gradient, two moments
_BYTES = 4  # of a number
_KEPT = 4  # images of a block for its backward; it is 8 to 11 on a processor
_STEPS_AHEAD = 2  # whose patches are held: this one's and the next one's
_OF_PATCH = 1000  # bytes of Python's for each
_LIKE_ABSOLUTE = 0.025  # makes the gradient of a logarithm about as large as that of an absolute error of 0.05
_OF_NEGATIVES = 2**31  # in the seed: no patch has this number, so that the choice depends on none of theirs
_SMALL = 1e-4  # squared error: patches above 40 dB count less and less


class DivergedError(LamnetError):
    """The gradient is no longer finite."""


class Learner:
    """The network, its moving averages and its optimiser after `step` steps and `elapsed` seconds of all sessions.

    Attributes:
        averages: a network for each of the recipe's decays, in their order; `average` is the first.
        begin: the step of the state that a cool-down branched off, else 0.
        before_s: seconds of training before that state.
        other_set: the photographs of the phase before that state, as text; "" where they are those of the cool-down.
        gradients: forward and backward of (lr, hr), which leaves the gradients at the parameters and adds the error to `loss`;
            the same work in a faster form may take its place.
        optimiser: Adam.
        squared: whether the squared error is lowered by now, see `Recipe.mse_from`.
        loss: the sum of the mean absolute errors of the last `summed` steps, each over all workers.
        summed: the steps since `take_loss`, also of earlier sessions.
        noise: of the gradient, measured where a step has several micro-batches; else None.
    """

    def __init__(self, recipe: Recipe, workers: Workers, start: Path | None = None) -> None:
        """Begin at step 0, from the weights in `start` if given: of another scale all but the tail, fewer groups at rest.

        Raises BadArgumentError when memory holds no such network with what its training needs, or no such step.
        """
        _check_fits(recipe, workers)
        torch.manual_seed(recipe.seed)
        network = LAMNet(recipe.config)
        if start is not None:
            _start_from(network, start)
        self.recipe, self.step, self.elapsed = recipe, 0, 0.0
        self.begin, self.before_s, self.squared, self.summed = 0, 0.0, recipe.mse_from == 0, 0
        self.other_set = ""
        network.to(workers.device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (not in the stub)
        self.network = network
        self.averages = [copy.deepcopy(self.network).eval().requires_grad_(False) for _ in recipe.decays]
        # Listed once: it takes PyTorch as long as a block.
        self._learned: list[Tensor] = list(network.parameters())
        self._averaged: list[list[Tensor]] = [list(average.parameters()) for average in self.averages]
        self.loss = torch.zeros((), device=workers.device)
        small = recipe.batch // recipe.accumulate // workers.world
        self.noise = GradientNoise(small, recipe.batch) if recipe.accumulate > 1 else None
        self._first = 0.0  # squared norm of the gradient of a step's first micro-batch
        self.gradients: Callable[[Tensor, Tensor, bool], None] = self._backward
        self._workers = workers
        # Adam is AdamW without weight decay.
        self.optimiser = torch.optim.AdamW(
            self._learned, recipe.lr, recipe.betas, weight_decay=recipe.weight_decay, fused=True
        )

    @property
    def average(self) -> LAMNet:
        """The moving average of the recipe's `ema`."""
        return self.averages[0]

    @property
    def progress(self) -> float:
        """The share of the training that is done, 0..1."""
        return self.recipe.progress(self.step - self.begin, self.elapsed)

    def state(self) -> dict[str, Any]:
        """Return all that changes in training, for `checkpoint.save`."""
        longer = zip(self.recipe.longer_ema, self.averages[1:], strict=True)
        return {
            "step": self.step,
            "elapsed": self.elapsed,
            "loss": self.loss,
            "summed": self.summed,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "longer": {str(decay): network.state_dict() for decay, network in longer},
            "optimiser": self.optimiser.state_dict(),
            "begin": self.begin,
            "before_s": self.before_s,
            "other_set": self.other_set,
            "squared": self.squared,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state; averages that it lacks begin as its first one."""
        self.step, self.elapsed = state["step"], state["elapsed"]
        self.begin, self.before_s = state.get("begin", 0), state.get("before_s", 0.0)
        self.other_set = str(state.get("other_set", ""))
        self.squared = bool(state.get("squared", self.progress >= self.recipe.mse_from))
        self.loss.copy_(state["loss"])
        self.summed = state.get("summed", self._counted())
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for decay, network in zip(self.recipe.longer_ema, self.averages[1:], strict=True):
            network.load_state_dict(state.get("longer", {}).get(str(decay), state["average"]))
        self.optimiser.load_state_dict(state["optimiser"])
        for group in self.optimiser.param_groups:  # a cool-down has others than the state that it branches off
            group["betas"], group["weight_decay"] = self.recipe.betas, self.recipe.weight_decay
            # Those of a step that was a CUDA graph are others.
            group["lr"], group["capturable"] = float(group["lr"]), False

    def branch(self, state: dict[str, Any]) -> None:
        """Begin a cool-down at the state of a stable phase."""
        self.restore(state)
        self.begin, self.before_s, self.elapsed = self.step, self.before_s + self.elapsed, 0.0
        self.squared = bool(state.get("squared", False))
        self.loss.zero_()
        self.summed = 0

    def advance(self, lr: Tensor, hr: Tensor, progress: float) -> None:
        """Make one step on this worker's patches, (b, 3, p, p) and (b, 3, s*p, s*p) uint8, at this share of the training.

        Raises DivergedError before a gradient that is not finite reaches the weights.
        """
        if self.recipe.negative:
            inverted = self._negatives(len(lr)).to(lr.device)
            lr, hr = lr ^ inverted, hr ^ inverted
        if progress >= self.recipe.mse_from and not self.squared:
            self.turn_to_squared(lr, hr)
        self.gradients(lr, hr, self.squared)
        norm = self.clipped()
        if not torch.isfinite(norm):
            raise DivergedError(f"the gradient of step {self.step} is not finite")
        if self.noise is not None:
            self.noise.add(self._first, norm.item() ** 2)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.step, progress)
        self.update(self.recipe.averaging(self.step))
        self.step += 1
        self.summed += 1

    def update(self, decays: Sequence[float]) -> None:
        """Make Adam's step by the gradients at the parameters, which are then gone, and bring the averages up to it."""
        self.optimiser.step()
        self.optimiser.zero_grad()
        with torch.no_grad():
            for decay, average in zip(decays, self._averaged, strict=True):
                into: _Averaging = cast("Any", get_ema_multi_avg_fn(decay))
                into(average, self._learned, self.step)

    def clipped(self) -> Tensor:
        """Limit the gradient as the recipe says, and return its norm before."""
        if self.recipe.clip:
            return nn.utils.clip_grad_norm_(self._learned, self.recipe.clip)
        return nn.utils.get_total_norm(self._gradients())

    def _negatives(self, count: int) -> Tensor:
        """Draw which of this worker's patches are taken as negatives: 255 where they are, else 0, (count, 1, 1, 1) uint8."""
        generator = np.random.default_rng((self.recipe.seed, self.step, _OF_NEGATIVES))
        chosen = generator.random(count * self._workers.world) < self.recipe.negative
        own = chosen[count * self._workers.rank :][:count]
        return torch.from_numpy(own.astype(np.uint8) * np.uint8(255)).view(-1, 1, 1, 1)

    def take_loss(self) -> float:
        """Return the mean absolute error of the steps since the last call, over all workers."""
        mean = self.loss.item() / self.summed
        self.loss.zero_()
        self.summed = 0
        return mean

    def _counted(self) -> int:
        """Count the steps in the loss of a state that does not say it: those since the last line, which may also come at a rest."""
        return min(self.step % self.recipe.log_every, self.step - self.begin) if self.loss else 0

    def turn_to_squared(self, lr: Tensor, hr: Tensor) -> None:
        """Make Adam's means as much smaller as the squared error's gradient is than the absolute one's.

        It is about a sixteenth. As they were, the means would be too large for it, and the steps too small, for some
        thousand steps where beta2 is 0.999.
        """
        self.squared = True
        if not self.optimiser.state:
            return
        loss, norms = self.loss.clone(), list[float]()
        for squared in (False, True):
            self.gradients(lr, hr, squared)
            norms.append(nn.utils.get_total_norm(self._gradients()).item())
            self.optimiser.zero_grad()
        self.loss.copy_(loss)
        if all(0 < norm < math.inf for norm in norms):
            ratio = norms[1] / norms[0]
            for means in self.optimiser.state.values():
                means["exp_avg"] *= ratio
                means["exp_avg_sq"] *= ratio**2

    def _backward(self, lr: Tensor, hr: Tensor, squared: bool) -> None:
        parts, of_step = self.recipe.accumulate, torch.zeros_like(self.loss)
        for index, (x, y) in enumerate(zip(lr.chunk(parts), hr.chunk(parts), strict=True)):
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
                out = self.network(x.float() / 255)
            error = out.float() - y.float() / 255
            absolute = error.abs().mean() / parts
            loss = error.square().mean() / parts if squared else absolute
            if share := self.recipe.psnr_share:
                loss = (1 - share) * loss + share * _psnr_loss(error) / parts
            loss.backward()
            of_step += absolute.detach()
            if index == 0 and self.noise is not None:
                self._first = nn.utils.get_total_norm(self._gradients()).item() ** 2 * parts**2
        self._workers.average([*self._gradients(), of_step])
        self.loss += of_step

    def _gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self._learned if parameter.grad is not None]


def _start_from(network: LAMNet, path: Path) -> None:
    """Load weights into a network; of another scale the body alone, and groups beyond theirs begin as doing nothing."""
    contents = weights.read(path)
    here, there = asdict(network.config), asdict(contents.config)
    deeper = here["groups"] > there["groups"]
    other = [
        name for name in here if here[name] != there[name] and name != "scale" and not (deeper and name == "groups")
    ]
    if other:
        differing = "; ".join(f"{name} {here[name]}, {there[name]}" for name in other)
        raise BadWeightsError(f"{path}: expected the body of this network, found another (here, there): {differing}")
    own_tail = network.config.scale != contents.config.scale
    taken = {name: tensor for name, tensor in contents.state.items() if not (own_tail and name.startswith("tail."))}
    network.load_state_dict(network.state_dict() | taken)
    for group in list(network.groups)[contents.config.groups :]:
        nn.init.zeros_(cast("Group", group).scale)


def _psnr_loss(error: Tensor) -> Tensor:
    """Compute minus the PSNR on Y, a mean over patches, from the error (b, 3, h, w), scaled as the absolute error is."""
    red, green, blue = error.unbind(1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return _LIKE_ABSOLUTE * (y.square().mean((1, 2)) + _SMALL).log().mean()


def _check_fits(recipe: Recipe, workers: Workers) -> None:
    """Check that memory holds the network with its averages, and at least what a step takes that PyTorch does not spare."""
    free, config, count = _free(workers.device), recipe.config, parameters.count(recipe.config)
    needed = count * _BYTES * (_OF_ADAM + len(recipe.decays))
    if free is not None and needed > free:
        raise BadArgumentError(
            f"network: expected one whose training fits into {free / 1e9:.1f} GB of free memory, got {count:,} parameters, "
            f"which need {needed / 1e9:,.1f} GB"
        )
    own, pixels = recipe.batch // workers.world, recipe.patch**2
    kept = _KEPT * (2 if recipe.precision == "bfloat16" else 4) * config.channels * config.groups * config.blocks
    features = max(1, own // recipe.accumulate) * pixels * kept
    patches = _STEPS_AHEAD * own * (3 * pixels * (1 + recipe.scale**2) + _OF_PATCH)
    for needed, there in ((features, free), (patches, memory.available())):
        if there is not None and needed > there:
            raise BadArgumentError(
                f"batch, patch: expected a step that fits into {there / 1e9:.1f} GB of free memory, got {recipe.batch:,} patches "
                f"of {recipe.patch:,}x{recipe.patch:,} in {recipe.accumulate:,} micro-batches, which need more than "
                f"{needed / 1e9:,.0f} GB"
            )


def _free(device: torch.device) -> int | None:
    """Return the bytes that are free where a network is trained; on a GPU with what PyTorch holds there without need."""
    if device.type != "cuda":
        return memory.available()
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
