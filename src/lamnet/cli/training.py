"""`lamnet prepare` and `lamnet train`: photographs to a prepared set, a set to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from lamnet.base import interrupts
from lamnet.base.errors import BadArgumentError
from lamnet.base.extras import require
from lamnet.cli import terminal

_MAX_NOTES = 20  # lines of a kind about photographs


def prepare(
    photos: Path,
    out: Path,
    *,
    scales: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (2, 3, 4),
    lr: Path | None = None,
) -> None:
    """Make a training set of a folder of photographs: HR and bicubic LR, in memory-mapped files.

    Parameters
    ----------
    photos
        A folder of pictures of any format that `upscale` reads; those in folders below it count too.
    out
        The folder for the set; the same command goes on where it was cut off.
    scales
        Scales that LR is made for, such as 2,4; with --lr the one that it has.
    lr
        A folder of LR pictures, in pairs with the photographs by their names (a.png with a.png, ax4.png, a_LR.png, X4/a.png,
        ...), to be taken instead of making LR. Pairs that do not fit are skipped, with their reason.
    """
    from lamnet.training.listing import MANIFEST, other_files
    from lamnet.training.preparation import preparing
    from lamnet.training.prepared import INDEX

    prepared = terminal.shown(preparing(photos, out, scales, lr))
    skipped = [f"skipped {photo.name}: {photo.reason}" for photo in prepared.skipped]
    unpaired = [f"{name}: LR without HR, or beside another LR" for name in prepared.unpaired]
    notes = [f"{photo.name}: {photo.note}" for photo in prepared.photos if photo.note]
    for lines in (skipped, unpaired, notes):
        for line in lines[:_MAX_NOTES]:
            terminal.note(line)
        if len(lines) > _MAX_NOTES:
            terminal.note(f"and {len(lines) - _MAX_NOTES} more such lines; {out / INDEX} has all")
    folders = [photos] if lr is None else [photos, lr]
    for folder in folders:
        if (others := other_files(folder, [out, *(one for one in folders if one != folder)])).total:
            terminal.note(f"{folder}: left out what by its name is no picture: {others}")
    manifest, unlicensed = photos / MANIFEST, [photo.name for photo in prepared.photos if not photo.licence]
    if manifest.is_file() and unlicensed:
        terminal.note(f"{manifest}: has no licence for {len(unlicensed)} photographs, the first: {unlicensed[0]}")
    terminal.say(f"{out}: {len(prepared.photos)} photographs, {len(prepared.skipped)} skipped")


train_app = App(name="train", help_format="markdown")
_HELP_RECIPE = "--help-recipe"


@train_app.default
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
    cooldown: str | None = None,
    state: Path | None = None,
    seed: int | None = None,
    precision: Literal["float32", "bfloat16"] | None = None,
    accumulate: int | None = None,
    tensorboard: bool = False,
) -> None:
    """Train a network; the same command goes on where the last checkpoint was. Under torchrun, on many workers.

    Parameters
    ----------
    recipe
        tiny_x4, base_x2, large_x3, ...: as the paper trains; tiny_x4_short, ...: for a small budget; ..._photo: for
        photographs as people have them; ..._stable: a rate without end, see --cooldown. A TOML file of your own, see
        --help-recipe. A run's folder: the recipe of that run.
    data
        A set made by `lamnet prepare`.
    out
        The run's folder: recipe.json, metrics.jsonl, checkpoint.pt, at the end weights.safetensors and card.md.
    valid
        A benchmark folder or a folder of photographs, for PSNR-Y during the training; at scale 1, of JPEGs of quality 50.
    budget
        Time for the whole training, such as 25m or 1h30m: the schedule ends with it. A stable phase rests after it.
    steps
        Number of steps of the whole training; the recipe's when left out.
    batch
        Number of patches a step, over all workers and micro-batches; the recipe's when left out.
    patch
        Side of an LR patch in pixels; the recipe's when left out.
    lr
        Highest learning rate; the recipe's when left out.
    start
        Weights to start from, a file or tiny, base, tiny:photo, ... for those that ship. Those of another scale give the
        body (the nearest that ships, where the recipe's does not), and a network of fewer groups, such as base for large,
        gives its own.
    cooldown
        Branch off the state of a stable phase and let the rate fall to zero in this time, such as 30m; the recipe's own
        length where that is of a cool-down. The state is only read: the phase can go on, and others can branch off it.
    state
        The stable phase to branch off, its folder or checkpoint; when left out, the run's folder that is the recipe.
    seed
        Seed of the first weights and the patches; the recipe's when left out.
    precision
        Number format of the network's arithmetic in training; parameters stay float32. The recipe's when left out.
    accumulate
        Number of micro-batches a step, for a batch that does not fit into memory; the recipe's when left out. With
        several, metrics.jsonl gets the gradient noise: the number of patches from which on a larger batch brings little.
    tensorboard
        Write curves and validation pictures for TensorBoard into the run's folder; needs the extra "tensorboard".
    """
    require("torch", "torch", "train")
    from dataclasses import replace

    from lamnet.cli import values
    from lamnet.training import recipe_files
    from lamnet.training.loop import train as run

    if steps is not None and budget is not None:
        raise BadArgumentError("steps: expected it without budget, got both")
    given = {
        "steps": steps,
        "batch": batch,
        "patch": patch,
        "lr": lr,
        "seed": seed,
        "precision": precision,
        "accumulate": accumulate,
    }
    chosen = recipe_files.chosen(recipe)
    if budget is not None or steps is not None:
        chosen = replace(chosen, budget_s=0.0 if budget is None else values.seconds(budget))
    chosen = replace(chosen, **{name: value for name, value in given.items() if value is not None})
    if cooldown is not None:
        for name, option in (("budget", budget), ("steps", steps), ("from", start)):
            if option is not None:
                raise BadArgumentError(f"cooldown: expected it without {name}, got both")
        chosen = chosen.cooldown(values.seconds(cooldown, "cooldown"))
        state = _state_of(recipe, state)
    elif chosen.schedule == "cooldown":
        if state is None:
            raise BadArgumentError(
                f"recipe: expected --state with the stable phase beside that of a cool-down, got {recipe} alone"
            )
        if start is not None:
            raise BadArgumentError("from: expected it without a cool-down, got both")
        chosen, state = chosen.cooldown(chosen.budget_s, chosen.steps), _state_of(recipe, state)
    elif state is not None:
        raise BadArgumentError("state: expected a cooldown with it, got none")
    first = _first_weights(start, chosen.scale) if start is not None else None
    with interrupts.by_exception():
        terminal.say(run(chosen, data, out, valid, first, state=state, tensorboard=tensorboard))


def _state_of(recipe: str, state: Path | None) -> Path:
    """Find the checkpoint of a stable phase, which --state names or the run's folder that is the recipe."""
    from lamnet.training.folder import CHECKPOINT

    given = Path(recipe) if state is None else state
    if state is None and not given.is_dir():
        raise BadArgumentError(
            f"state: expected the folder or checkpoint of a stable phase, here or in place of the recipe, got {recipe} alone"
        )
    found = given / CHECKPOINT if given.is_dir() else given
    if not found.is_file():
        raise BadArgumentError(f"state: expected the folder or checkpoint of a stable phase, found none at {found}")
    return found


def _first_weights(start: str, scale: int) -> Path:
    """Find the weights to start from; where a name's do not ship at this scale, those of the nearest one, which a line names."""
    from lamnet.core import shipped

    if not shipped.is_name(start):
        return shipped.path_of(start, scale)
    size, variant = shipped.size_and_variant(start)
    scales = [one.scale for one in shipped.shipped() if (one.size, one.variant) == (size, variant or "clean")]
    nearest = min(scales, key=lambda one: (abs(one - scale), one), default=scale)
    found = shipped.path_of(start, nearest)
    if nearest != scale:
        terminal.note(
            f"{start}: has no weights for x{scale}; the training starts from the body of those for x{nearest}"
        )
    return found


@train_app.command(name=_HELP_RECIPE)
def help_recipe(recipe: str = "short", /) -> None:
    """Print a whole recipe as TOML, each field with what it means: a start for one of your own.

    Parameters
    ----------
    recipe
        paper, short, photo, stable: the kind whose values are printed; or a recipe by its name, such as base_x2_photo.
    """
    from lamnet.training import recipe_help

    for line in recipe_help.of_name(recipe).splitlines():
        terminal.say(line)


def with_help_first(arguments: list[str]) -> list[str]:
    """Return a command's arguments with --help-recipe, which Cyclopts takes for a command, before the recipe's name."""
    if arguments[:1] == ["train"] and arguments[2:3] == [_HELP_RECIPE]:
        return ["train", _HELP_RECIPE, arguments[1], *arguments[3:]]
    return arguments
