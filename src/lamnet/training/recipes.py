"""Recipes of trainings: one frozen dataclass, and named functions that return it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal

from lamnet.base.errors import BadArgumentError
from lamnet.core.config import SIZES, LAMNetConfig
from lamnet.training import bounds, degradation
from lamnet.training.degradation import Degradation


@dataclass(frozen=True)
class Recipe:
    """All that decides what a training computes, but for the photographs and the weights it starts from.

    Attributes:
        size, scale: the network; a size of `core.config.SIZES`, or "own" with `network`.
        patch: side of an LR patch, pixels.
        batch: patches of one step, over all workers and micro-batches.
        lr: highest learning rate.
        steps: of the whole training; with `budget_s` not counted. 0 for "stable": until it is stopped.
        budget_s: seconds of training time (0: none); the schedule then follows the time instead of the steps.
        schedule: "cosine" falls to zero; "steps" halves at 50, 80, 90 and 95 % (the paper's 250/400/450/475 k of 500 k);
            "stable" keeps the rate, and its steps or its time say only where it rests; "cooldown", which goes on from a
            state of "stable", falls to zero as 1 minus the square root of its share that is over.
        warmup: steps over which the learning rate rises at the start; not in a cool-down.
        betas: decays of AdamW's means of the gradient and of its square.
        weight_decay: of AdamW.
        clip: largest norm of the gradient (0: not limited).
        mse_from: share of the training after which the squared error replaces the absolute one (1: never).
        psnr_share: share of the loss that is the PSNR on Y, a mean over the patches (PSNR loss, arXiv:2105.06086); the
            rest is the error on RGB, without which nothing holds the colours.
        cooldown_beta2, cooldown_squared: the second of `betas` in a cool-down, and whether it lowers the squared error.
        ema: decay of the weights' moving average, which is what is validated and shipped.
        longer_ema: decays of further averages of the weights, 0 for the weights themselves; the best validated one of all
            is what ships.
        precision: of the forward pass; parameters are always float32.
        degradation: how LR is made; "clean" reads the set's LR, any other name of `training.degradation` draws it anew.
        own_degradation: ranges that differ from those of the name; None where none do.
        network: a network that is no size; None for a size.
        negative: share of patches that are taken as negatives, 255 less every value, once their LR is made.
        accumulate: micro-batches a step, for a batch that does not fit into memory at once.
        seed: of the first weights and the patches.
        log_every, valid_every, save_every: steps between metrics lines, validations and checkpoints.
    """

    size: str
    scale: int
    patch: int
    batch: int
    lr: float
    steps: int
    budget_s: float = 0.0
    schedule: Literal["cosine", "steps", "stable", "cooldown"] = "cosine"
    warmup: int = 0
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 0.0
    mse_from: float = 1.0
    psnr_share: float = 0.0
    cooldown_beta2: float = 0.999
    cooldown_squared: bool = False
    ema: float = 0.999
    longer_ema: tuple[float, ...] = ()
    precision: Literal["float32", "bfloat16"] = "float32"
    degradation: str = "clean"
    own_degradation: Degradation | None = None
    network: LAMNetConfig | None = None
    negative: float = 0.0
    accumulate: int = 1
    seed: int = 0
    log_every: int = 100
    valid_every: int = 5000
    save_every: int = 1000

    def __post_init__(self) -> None:
        bounds.check(self)

    @property
    def config(self) -> LAMNetConfig:
        """The network that is trained."""
        return self.network or SIZES[self.size](self.scale)

    @property
    def ranges(self) -> Degradation:
        """Degradation that LR is made by."""
        return self.own_degradation or degradation.degradation_named(self.degradation)

    @property
    def reads_lr(self) -> bool:
        """True where LR is the set's, not drawn from its HR."""
        return self.degradation == "clean" and self.own_degradation is None

    @property
    def decays(self) -> tuple[float, ...]:
        """Decays of all moving averages, `ema` first."""
        return (self.ema, *self.longer_ema)

    def cooldown(self, seconds: float = 0.0, steps: int = 1) -> Recipe:
        """The recipe of a cool-down from a state of this one, for some time or, with 0 seconds, some steps."""
        return replace(
            self,
            schedule="cooldown",
            budget_s=seconds,
            steps=steps,
            betas=(self.betas[0], self.cooldown_beta2),
            mse_from=0.0 if self.cooldown_squared else 1.0,
        )

    def progress(self, step: int, elapsed_s: float) -> float:
        """Compute the share of the training that lies behind, 0..1, after `step` steps and `elapsed_s` seconds; 0 without an end."""
        if self.budget_s:
            return min(1.0, elapsed_s / self.budget_s)
        return min(1.0, step / self.steps) if self.steps else 0.0

    def rate(self, step: int, progress: float) -> float:
        """The learning rate of step `step` (from 0)."""
        if self.schedule == "cooldown":
            return self.lr * (1 - math.sqrt(progress))
        rising = min(1.0, (step + 1) / (self.warmup + 1))
        if self.schedule == "stable":
            return self.lr * rising
        if self.schedule == "cosine":
            return self.lr * rising * 0.5 * (1 + math.cos(math.pi * progress))
        return self.lr * rising * 0.5 ** sum(progress >= mark for mark in (0.5, 0.8, 0.9, 0.95))

    def averaging(self, step: int) -> list[float]:
        """The decays of all moving averages after step `step`: they rise to `decays`, so that the start is soon forgotten.

        Until then the weights in an average are a tenth of the steps so far old, on average, in a longer one a quarter.
        """
        shares = [9] + [3] * len(self.longer_ema)
        return [min(decay, (1 + step) / (1 + step + share)) for decay, share in zip(self.decays, shares, strict=True)]

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """List how a recorded recipe differs, as "name: here, there". The place where a stable phase rests makes no difference."""
        mine, theirs = _flat(asdict(self)), _flat(other)
        rests = {"steps", "budget_s"} if self.schedule == "stable" else set[str]()
        names = sorted((mine.keys() | theirs.keys()) - rests)
        return [f"{n}: {mine.get(n)}, {theirs.get(n)}" for n in names if mine.get(n) != theirs.get(n)]


_NESTED = {"own_degradation": Degradation, "network": LAMNetConfig}


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe as JSON has it, with the fields of its degradation and network as "own_degradation.blur".

    What a record does not name, it left at the default: fields may be added without refusing older checkpoints.
    """
    whole = json.loads(json.dumps(_defaults(Recipe) | dict(record)))
    for name, kind in _NESTED.items():
        if isinstance(whole[name], dict):
            own = json.loads(json.dumps(_defaults(kind), default=asdict)) | whole.pop(name)
            whole |= {f"{name}.{field}": value for field, value in own.items()}
    return whole


def _defaults(kind: type[Recipe | Degradation | LAMNetConfig]) -> dict[str, Any]:
    return {field.name: field.default for field in fields(kind) if field.default is not MISSING}


def paper(size: str, scale: int) -> Recipe:
    """Return the recipe by which the paper trains LAMNet (section 4): 64x64 patches, batch 64, Adam 1e-3, halved four times in 500 k steps."""
    return Recipe(size, scale, patch=64, batch=64, lr=1e-3, steps=500_000, schedule="steps")


def short(size: str, scale: int) -> Recipe:
    """The most from minutes to hours (docs/log/training.md has the runs): small patches and batches, a high rate that falls to zero.

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
    """Return the recipe for photographs as people have them, degraded on the fly: `short` from weights that know clean pictures.

    Most of the loss is the PSNR on Y (docs/log/training.md, 2026-11-27), and the rest never the squared error, beside which
    colours would weigh little. Negatives keep it from sharpening what is dark on white more than what is bright on black.
    At scale 1 the network restores and does not enlarge, and few patches are blurred: one that saw many sharpens what is soft.
    """
    own = replace(degradation.photo(), blur=0.1) if scale == 1 else None
    return replace(
        short(size, scale),
        patch=48,
        batch=8,
        lr=1.5e-3,
        mse_from=1.0,
        psnr_share=0.8,
        negative=0.4,
        degradation="photo",
        own_degradation=own,
    )


def stable(size: str, scale: int) -> Recipe:
    """A constant rate without end, from which cool-downs branch off (warm-up, stable, decay: arXiv:2405.18392).

    The rate is half of the highest one of `short`, the patches are larger, and two averages of the weights are kept.
    """
    one = short(size, scale)
    return replace(
        one,
        patch=48,
        batch=8,
        lr=1.5e-3,
        steps=0,
        schedule="stable",
        mse_from=1.0,
        longer_ema=(0.9999,),
        save_every=500,
    )


KINDS = {"paper": paper, "short": short, "photo": photo, "stable": stable}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of a name: SIZE_xSCALE is the paper's, with _short for a small budget, _photo for photographs, _stable
    for a phase that always goes on. Scale 1 is only for photographs.

    Raises BadArgumentError for any other name.
    """
    kind, size, scale = parts_of(name)
    return KINDS[kind](size, scale)


def parts_of(name: str) -> tuple[str, str, int]:
    """Return (kind, size, scale) of the recipe of a name. Raises BadArgumentError."""
    kinds = [kind for kind in KINDS if kind != "paper"]
    found = re.fullmatch(rf"({'|'.join(SIZES)})_x([1-4])(?:_({'|'.join(kinds)}))?", name)
    if found is not None and found[2] == "1" and found[3] != "photo":
        raise BadArgumentError(
            f"recipe: expected {found[1]}_x1_photo at scale 1, where only degraded pictures differ from HR, got {name}"
        )
    if found is None:
        raise BadArgumentError(
            f"recipe: expected SIZE_xSCALE, {', '.join(f'SIZE_xSCALE_{kind}' for kind in kinds)} with a SIZE of "
            f"{', '.join(SIZES)} and a SCALE of 2 to 4 (1 with _photo), a TOML file, or a run's folder or recipe.json, got {name}"
        )
    return found[3] or "paper", found[1], int(found[2])
