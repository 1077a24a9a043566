"""`lamnet prepare` and `lamnet train`: photographs to a prepared set, a set to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from lamnet.base import interrupts
from lamnet.base.errors import BadArgumentError
from lamnet.base.extras import require
from lamnet.cli import terminal


def prepare(
    photos: Path,
    out: Path,
    *,
    scales: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (2, 3, 4),
) -> None:
    """Make a training set of a folder of photographs: HR and bicubic LR, in memory-mapped files.

    Parameters
    ----------
    photos
        A folder of pictures of any format that `upscale` reads; those in folders below it count too.
    out
        The folder for the set; the same command goes on where it was cut off.
    scales
        Scales that LR is made for.
    """
    from lamnet.training.preparation import preparing

    prepared = terminal.shown(preparing(photos, out, scales))
    for photo in prepared.skipped:
        terminal.note(f"skipped {photo.name}: {photo.reason}")
    terminal.say(f"{out}: {len(prepared.photos)} photographs, {len(prepared.skipped)} skipped")


def train(
    recipe: str,
    /,
    *,
    data: Path,
    out: Path,
    valid: Path | None = None,
    budget: str | None = None,
    steps: int | None = None,
    batch: int | None = None,
    patch: int | None = None,
    lr: float | None = None,
    start: Annotated[str | None, Parameter(name="--from")] = None,
    seed: int = 0,
    precision: Literal["float32", "bfloat16"] = "float32",
    accumulate: int = 1,
    tensorboard: bool = False,
) -> None:
    """Train a network; the same command goes on where the last checkpoint was. Under torchrun, on many workers.

    Parameters
    ----------
    recipe
        tiny_x4, base_x2, large_x3, ...: as the paper trains; tiny_x4_short, ...: for a small budget.
    data
        A set made by `lamnet prepare`.
    out
        The run's folder: recipe.json, metrics.jsonl, checkpoint.pt, at the end weights.safetensors and card.md.
    valid
        A benchmark folder or a folder of photographs, for PSNR-Y during the training.
    budget
        Time for the whole training, such as 25m or 1h30m: the schedule ends with it.
    steps
        Number of steps of the whole training; the recipe's when left out.
    batch
        Number of patches a step, over all workers and micro-batches; the recipe's when left out.
    patch
        Side of an LR patch in pixels; the recipe's when left out.
    lr
        Highest learning rate; the recipe's when left out.
    start
        Weights to start from, a file or tiny, base, large for those that ship; of another scale, the body is taken.
    seed
        Seed of the first weights and the patches.
    precision
        Number format of the network's arithmetic in training; parameters stay float32.
    accumulate
        Number of micro-batches a step, for a batch that does not fit into memory.
    tensorboard
        Write curves and validation pictures for TensorBoard into the run's folder; needs the extra "tensorboard".
    """
    require("torch", "torch", "train")
    from dataclasses import replace

    from lamnet.cli import values
    from lamnet.network import shipped
    from lamnet.training import recipes
    from lamnet.training.loop import train as run

    if steps is not None and budget is not None:
        raise BadArgumentError("steps: expected it without budget, got both")
    chosen = replace(recipes.named(recipe), seed=seed, precision=precision, accumulate=accumulate)
    given = {"steps": steps, "batch": batch, "patch": patch, "lr": lr}
    chosen = replace(chosen, **{name: value for name, value in given.items() if value is not None})
    chosen = replace(chosen, budget_s=values.seconds(budget) if budget else 0.0)
    first = shipped.path_of(start, chosen.scale) if start is not None else None
    with interrupts.by_exception():
        terminal.say(run(chosen, data, out, valid, first, tensorboard=tensorboard))
