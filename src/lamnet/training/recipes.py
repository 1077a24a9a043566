"""How a network is trained: one frozen dataclass, and named functions that return it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal

from lamnet.base.errors import BadArgumentError
from lamnet.network.config import SIZES, LAMNetConfig
from lamnet.training import degradation


@dataclass(frozen=True)
class Recipe:
    """All that decides what a training computes, but for the photographs and the weights it starts from.

    Attributes:
        size, scale: the network.
        patch: side of an LR patch, pixels.
        batch: patches of one step, over all workers and micro-batches.
        lr: highest learning rate.
        steps: of the whole training; with `budget_s` not counted.
        budget_s: seconds of training time (0: none); the schedule then follows the time instead of the steps.
        schedule: "cosine" falls to zero; "steps" halves at 50, 80, 90 and 95 % (the paper's 250/400/450/475 k of 500 k).
        warmup: steps over which the learning rate rises at the start.
        clip: largest norm of the gradient (0: not limited).
        mse_from: share of the training after which the squared error replaces the absolute one (1: never).
        ema: decay of the weights' moving average, which is what is validated and shipped.
        precision: of the forward pass; parameters are always float32.
        degradation: how LR is made; "clean" reads the set's LR, any other name of `training.degradation` draws it anew.
        accumulate: micro-batches a step, for a batch that does not fit into memory at once.
        log_every, valid_every, save_every: steps between metrics lines, validations and checkpoints.
    """

    size: str
    scale: int
    patch: int
    batch: int
    lr: float
    steps: int
    budget_s: float = 0.0
    schedule: Literal["cosine", "steps"] = "cosine"
    warmup: int = 0
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 0.0
    mse_from: float = 1.0
    ema: float = 0.999
    precision: Literal["float32", "bfloat16"] = "float32"
    degradation: str = "clean"
    accumulate: int = 1
    seed: int = 0
    log_every: int = 100
    valid_every: int = 5000
    save_every: int = 1000

    def __post_init__(self) -> None:
        at_least = {
            "patch": 1,
            "batch": 1,
            "steps": 1,
            "accumulate": 1,
            "log_every": 1,
            "valid_every": 1,
            "save_every": 1,
            "seed": 0,
        }
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise BadArgumentError(f"{name}: expected at least {least}, got {getattr(self, name)}")
        for name, within, what in (
            ("lr", 0 < self.lr < math.inf, "a number above 0"),
            ("ema", 0 <= self.ema < 1, "a number from 0 to below 1"),
            ("budget_s", 0 <= self.budget_s < math.inf, "at least 0"),
            ("mse_from", 0 <= self.mse_from <= 1, "a number from 0 to 1"),
        ):
            if not within:
                raise BadArgumentError(f"{name}: expected {what}, got {getattr(self, name)}")
        if self.batch % self.accumulate:
            raise BadArgumentError(f"accumulate: expected a divisor of the batch {self.batch}, got {self.accumulate}")
        degradation.named(self.degradation)

    @property
    def config(self) -> LAMNetConfig:
        """The network that is trained."""
        return SIZES[self.size](self.scale)

    def progress(self, step: int, elapsed_s: float) -> float:
        """How much of the training lies behind, 0..1, after `step` steps and `elapsed_s` seconds."""
        return min(1.0, elapsed_s / self.budget_s if self.budget_s else step / self.steps)

    def rate(self, step: int, progress: float) -> float:
        """The learning rate of step `step` (from 0)."""
        rising = min(1.0, (step + 1) / (self.warmup + 1))
        if self.schedule == "cosine":
            return self.lr * rising * 0.5 * (1 + math.cos(math.pi * progress))
        return self.lr * rising * 0.5 ** sum(progress >= mark for mark in (0.5, 0.8, 0.9, 0.95))

    def averaging(self, step: int) -> float:
        """The decay of the moving average after step `step`: rises to `ema`, so that the start is soon forgotten."""
        return min(self.ema, (1 + step) / (10 + step))

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """Where a recorded recipe differs, as "name: here, there"."""
        mine = json.loads(json.dumps(asdict(self)))
        theirs = {**json.loads(json.dumps(_DEFAULTS)), **json.loads(json.dumps(dict(other)))}
        names = sorted(mine.keys() | theirs.keys())
        return [f"{n}: {mine.get(n)}, {theirs.get(n)}" for n in names if mine.get(n) != theirs.get(n)]


# What a record does not name, it left at the default: fields may be added without refusing older checkpoints.
_DEFAULTS = {field.name: field.default for field in fields(Recipe) if field.default is not MISSING}


def paper(size: str, scale: int) -> Recipe:
    """As the paper trains LAMNet (section 4): 64x64 patches, batch 64, Adam 1e-3, halved four times in 500 k steps."""
    return Recipe(size, scale, patch=64, batch=64, lr=1e-3, steps=500_000, schedule="steps")


def short(size: str, scale: int) -> Recipe:
    """The most from minutes to hours (LOG.md has the runs): small patches and batches, a high rate that falls to zero.

    The last quarter, when the rate is low, lowers the squared error, which is what PSNR measures.
    """
    return Recipe(
        size,
        scale,
        patch=32,
        batch=4,
        lr=3e-3,
        steps=20_000,
        warmup=100,
        clip=1.0,
        mse_from=0.75,
        valid_every=1000,
        save_every=200,
    )


def photo(size: str, scale: int) -> Recipe:
    """For photographs as people have them, degraded on the fly: `short` from weights that know clean pictures."""
    return replace(short(size, scale), patch=48, batch=8, lr=1.5e-3, degradation="photo")


def named(name: str) -> Recipe:
    """The recipe of a name: SIZE_xSCALE is the paper's, with _short for a small budget, with _photo for photographs.

    Raises BadArgumentError for any other name.
    """
    found = re.fullmatch(rf"({'|'.join(SIZES)})_x([234])(_short|_photo)?", name)
    if found is None:
        raise BadArgumentError(
            f"recipe: expected SIZE_xSCALE, SIZE_xSCALE_short or SIZE_xSCALE_photo with a SIZE of {', '.join(SIZES)}, "
            f"got {name}"
        )
    size, scale = found[1], int(found[2])
    make = {"_short": short, "_photo": photo}.get(found[3], paper)
    return make(size, scale)
