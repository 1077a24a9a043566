"""The values that the fields of a recipe may have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lamnet.base import records
from lamnet.base.errors import BadArgumentError
from lamnet.core.config import SIZES
from lamnet.training import degradation

if TYPE_CHECKING:
    from lamnet.training.recipes import Recipe

_SCHEDULES, _PRECISIONS = ("cosine", "steps", "stable", "cooldown"), ("float32", "bfloat16")
_LARGEST = 2**63 - 1  # of PyTorch's seeds, and more than a training counts
_PATCHES = 2**31 - 1  # such that positions in pictures are whole numbers of 64 bits


def check(recipe: Recipe) -> None:
    """Raise BadArgumentError, which begins with the name of the field, for a value that a training cannot have."""
    for name, least, most in _counts(recipe):
        value = getattr(recipe, name)
        if not least <= value <= most:
            bound = f"at most {most}" if value > most else f"at least {least}"
            raise BadArgumentError(f"{name}: expected {bound}, got {records.short(value)}")
    for name, within, what in (*_numbers(recipe), *_choices(recipe)):
        if not within:
            raise BadArgumentError(f"{name}: expected {what}, got {getattr(recipe, name)}")
    if recipe.batch % recipe.accumulate:
        raise BadArgumentError(f"accumulate: expected a divisor of the batch {recipe.batch}, got {recipe.accumulate}")
    degradation.degradation_named(recipe.degradation)


def _counts(recipe: Recipe) -> Iterator[tuple[str, int, int]]:
    """Yield the whole numbers, each with the least and the most that it may be."""
    yield from ((name, 1, _PATCHES) for name in ("patch", "batch", "accumulate"))
    yield from ((name, 1, _LARGEST) for name in ("log_every", "valid_every", "save_every"))
    yield "steps", 0 if recipe.schedule == "stable" else 1, _LARGEST
    yield from ((name, 0, _LARGEST) for name in ("seed", "warmup"))


def _numbers(recipe: Recipe) -> Iterator[tuple[str, bool, str]]:
    """Yield the other numbers, each with whether it is one that may be, and what it may be."""
    yield "lr", 0 < recipe.lr < math.inf, "a number above 0"
    yield from ((name, 0 <= getattr(recipe, name) < math.inf, "at least 0, and finite") for name in _FINITE)
    yield "ema", 0 <= recipe.ema < 1, "a number from 0 to below 1"
    longer = all(0 <= one < 1 and one != recipe.ema for one in recipe.longer_ema)
    yield "longer_ema", longer, "other numbers than ema from 0 to below 1"
    yield "longer_ema", len(set(recipe.longer_ema)) == len(recipe.longer_ema), "each decay once"
    yield "betas", all(0 <= one < 1 for one in recipe.betas), "two numbers from 0 to below 1"
    yield "cooldown_beta2", 0 <= recipe.cooldown_beta2 < 1, "a number from 0 to below 1"
    yield "mse_from", 0 <= recipe.mse_from <= 1, "a number from 0 to 1"
    yield "negative", 0 <= recipe.negative <= 1, "a share from 0 to 1"
    yield "psnr_share", 0 <= recipe.psnr_share < 1, "a number from 0 to below 1"


_FINITE = ("budget_s", "clip", "weight_decay")


def _choices(recipe: Recipe) -> Iterator[tuple[str, bool, str]]:
    """Yield the fields that are one of a few, as `_numbers` does."""
    yield "size", recipe.network is not None or recipe.size in SIZES, f"one of {', '.join(SIZES)}"
    yield "network", recipe.network is None or recipe.network.scale == recipe.scale, f"one for x{recipe.scale}"
    yield "schedule", recipe.schedule in _SCHEDULES, f"{', '.join(_SCHEDULES[:-1])} or {_SCHEDULES[-1]}"
    yield "precision", recipe.precision in _PRECISIONS, " or ".join(_PRECISIONS)
