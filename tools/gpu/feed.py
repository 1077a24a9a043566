"""Data for the GPU's machine: a pack of photographs and the weights to start from, within what a tree may weigh."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from gpu import pack, ways
from gpu.call import SCALE, Call
from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.base.files import appearing, write_text
from lamnet.training.journal import Journal
from lamnet.training.prepared import Photo

TREE = 64 * 2**20  # bytes that travel: the tree and what is carried
CHECKPOINT = 15_000_000  # bytes of the state that goes along to the next call
SLACK = 300_000
MOST = 56_000_000


def make(
    folder: Path,
    data: Path,
    watched: Path | None,
    starts: Sequence[Path],
    recipes: Sequence[Path],
    megabytes: float | None,
) -> None:
    """Write FOLDER/feed; says what is in it. Several recipes make a fleet, each with its own start."""
    call = Call(folder, folder / "out", 0.0)
    call.photos.parent.mkdir(parents=True, exist_ok=True)
    for path in (call.recipe, call.start, *call.fleet):
        path.unlink(missing_ok=True)
        path.with_suffix(".pth").unlink(missing_ok=True)
    wanted = max(1, len(recipes))
    if len(starts) != wanted and (starts or wanted > 1):
        raise BadArgumentError(f"start: expected weights for each of {wanted} recipes, got {len(starts)}")
    fed = [(call.recipe, call.start)]
    if len(recipes) > 1:
        place = call.photos.parent / "fleet"
        place.mkdir(exist_ok=True)
        fed = [(place / f"{path.stem}.toml", place / f"{path.stem}.pth") for path in recipes]
    for path, (recipe, _) in zip(recipes, fed, strict=False):
        if not ways.fed(path).reads_lr and len(recipes) > 1:
            raise BadArgumentError(f"{path}: expected a recipe of clean pictures among several, found a degradation")
        write_text(recipe, path.read_text())
    weigh = 0
    for at, (_, target) in enumerate(fed):
        print(f"{target}: {_write_start(target, starts[at] if starts else None)}")
        weigh += target.stat().st_size
    state = CHECKPOINT if len(recipes) < 2 else 0  # that of a fleet stays on the machine
    limit = int(megabytes * 1e6) if megabytes else min(MOST, TREE - _tree() - state - SLACK - weigh)
    made = pack.write(call.photos, data, watched, limit, SCALE)
    training = [one for one in made.entries if not one.watched]
    pixels = sum(one.height * one.width for one in training)
    print(
        f"{call.photos}: {len(training)} photographs of {pixels / 1e6:.0f} megapixels, {len(made.entries) - len(training)} to watch, "
        f"{call.photos.stat().st_size / 1e6:.1f} MB"
    )


def invented(call: Call) -> None:
    """Feed a dry call with photographs of smooth noise, to begin from scratch."""
    rng = np.random.default_rng(0)
    call.photos.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        sets: list[Path] = []
        for name, count in (("set", 6), ("watched", 2)):
            folder = Path(place, name)
            folder.mkdir()
            sources = [Photo(f"{name}{number}.png", bytes=1) for number in range(count)]
            with Journal(folder, [SCALE], sources) as journal:
                for source in sources:
                    hr = rng.integers(0, 256, (12, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
                    photo = replace(source, height=hr.shape[0], width=hr.shape[1])
                    journal.add(photo, {1: hr, SCALE: pack.reduced(hr, SCALE)})
                journal.write_index()
            sets.append(folder)
        pack.write(call.photos, sets[0], sets[1], MOST, SCALE)


def _write_start(target: Path, start: Path | None) -> str:
    """Weights as a state dict, which takes no package to read: a checkpoint's average, or what any weights file holds.

    The optimiser's means stay behind: they are those of the small batches on a processor.
    """
    from lamnet.core import shipped
    from lamnet.network import weights

    path = shipped.path_of("base", SCALE) if start is None else start
    if path.suffix == ".pt":
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
        try:
            state, came = cast("dict[str, torch.Tensor]", content["average"]), f"{path}, step {content['step']}"
        except (KeyError, TypeError) as error:
            raise BadArgumentError(f"start: expected a checkpoint of a training, found no {error} in {path}") from error
    else:
        state, came = weights.read(path).state, str(path)
    with appearing(target, BadDataError) as partial:
        torch.save({name: tensor.contiguous() for name, tensor in state.items()}, partial)
    return came


def _tree() -> int:
    """Bytes of the files that travel of themselves: tracked, or neither tracked nor ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True
    )
    return sum(
        path.stat().st_size for name in listed.stdout.decode().split("\0") if name and (path := Path(name)).is_file()
    )
