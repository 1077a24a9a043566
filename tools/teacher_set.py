"""Make a prepared set whose HR is what a network makes of degraded patches: a small network learns from a larger one by it.

    python tools/teacher_set.py base:photo PREPARED OUT --recipe tiny.toml --patches 3000
    lamnet train small.toml --data OUT --out RUN

LR patches are drawn as in a training by the recipe's degradation; of several recipes, each `--recipe FILE` is used in turn.
The target is the mean that the larger network has learned instead of one photograph. Whether that helps, and where it did not,
is in docs/log/training.md. `--ensemble` takes the mean over eight flips and rotations, with which a network teaches itself.
OUT has to be new or empty: a call that was interrupted is given another one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError, BadDataError, LamnetError
from lamnet.base.files import write_text
from lamnet.core import weights
from lamnet.core.ensemble import self_ensemble
from lamnet.core.network import Network
from lamnet.training import recipe_files
from lamnet.training.degraded import DegradedSampler
from lamnet.training.prepared import INDEX, PreparedSet
from lamnet.training.recipes import Recipe

PATCH = 64  # LR pixels: more than a training takes, so that it finds other places each time
BORDER = 16  # LR pixels around a patch, where the teacher sees the zeros beyond: 4 levels off, within 16 still 0.4
SEED = 1000  # another than a training's

Pixels = NDArray[np.uint8]


def patches(data: PreparedSet, recipes: list[Recipe], count: int) -> Iterator[Pixels]:
    """Yield degraded LR patches of PATCH and BORDER, (S, S, 3), of each recipe in turn."""
    samplers = [DegradedSampler(data, one.ranges, one.scale, PATCH + 2 * BORDER, 1, SEED) for one in recipes]
    for number in range(count):
        lr, _ = samplers[number % len(samplers)].draw(number)
        yield np.ascontiguousarray(lr[0].transpose(1, 2, 0))


def taught(network: Network, lr: Pixels, ensemble: bool) -> tuple[Pixels, Pixels]:
    """Return a patch without its border, and what a network makes of it, or the mean over its flips and rotations."""
    if ensemble:
        mean = self_ensemble(network, lr.astype(np.float32) / np.float32(255))
        hr = np.floor(mean.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    else:
        hr = network(lr)
    return _inner(lr, BORDER), _inner(hr, BORDER * network.config.scale)


def _inner(pixels: Pixels, border: int) -> Pixels:
    return pixels[border:-border, border:-border]


def make(
    out: Path, scale: int, teacher: str, pairs: Iterator[tuple[Pixels, Pixels]], said: Callable[[int], None]
) -> None:
    """Write (LR, HR) patches as a prepared set in a new or empty folder; its index appears last."""
    if out.exists() and any(out.iterdir()):
        raise BadDataError(f"{out}: expected a new or empty folder, found files in it")
    out.mkdir(parents=True, exist_ok=True)
    photos: list[dict[str, object]] = []
    made = PreparedSet(out, (scale,), (), ())
    with made.file(1).open("wb") as hr_file, made.file(scale).open("wb") as lr_file:
        for number, (lr, hr) in enumerate(pairs):
            lr_file.write(lr.tobytes())
            hr_file.write(hr.tobytes())
            photos.append({"name": f"{number:06}", "height": hr.shape[0], "width": hr.shape[1]})
            said(number + 1)
    origin = f"given: degraded patches; HR is what {teacher} makes of them"
    write_text(out / INDEX, json.dumps({"scales": [scale], "lr": origin, "photos": photos, "skipped": []}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", help="tiny, base, base:photo, ... or a weights file")
    parser.add_argument("data", type=Path, help="a prepared set of photographs")
    parser.add_argument("out", type=Path, help="the folder for the set")
    parser.add_argument("--recipe", action="append", required=True, help="with a degradation; may be repeated")
    parser.add_argument("--patches", type=int, default=3000, help="LR patches to draw")
    parser.add_argument("--ensemble", action="store_true", help="the mean over eight flips and rotations")
    asked = parser.parse_args()
    try:
        recipes = [recipe_files.chosen(one) for one in asked.recipe]
        scale, *others = {one.scale for one in recipes}
        if others:
            raise BadArgumentError(f"recipe: expected recipes of one scale, got x{scale} and x{others[0]}")
        file = weights.load(asked.teacher, scale)
        network = Network(file.config, file.state, "bfloat16")
        drawn = patches(PreparedSet.open(asked.data), recipes, asked.patches)
        pairs = (taught(network, lr, asked.ensemble) for lr in drawn)
        make(asked.out, scale, asked.teacher, pairs, lambda done: print(f"{done} of {asked.patches}", end="\r"))
    except LamnetError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
