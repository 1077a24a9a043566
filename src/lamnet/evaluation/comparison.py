"""PSNR, SSIM and more of networks, bicubic and folders of results on benchmark folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from lamnet.base.errors import BadArgumentError
from lamnet.evaluation import contenders
from lamnet.evaluation.benchmarks import BenchmarkSet, Pair, find_sets
from lamnet.evaluation.contenders import Contender
from lamnet.evaluation.protocol import Meter, Protocol, means
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.evaluation.results import find_results
from lamnet.media import arrays
from lamnet.network.model import LAMNet

DEFAULT = Protocol()


@dataclass(frozen=True)
class _Entrant:
    """One row of the table; `picture` gives a pair's result and the seconds it took, None when it was only read."""

    name: str
    params: int | None
    picture: Callable[[Pair], tuple[NDArray[np.uint8], float | None]]


def evaluate(
    model: LAMNet | str | Path,
    scale: int,
    data: Path,
    sets: Sequence[str] | None = None,
    protocol: Protocol = DEFAULT,
) -> dict[str, Any]:
    """Measure one model on benchmark sets, or on any folder of HR pictures (LR is then made by bicubic).

    Args:
        model: as for `contenders.load`: a network, a name, a file, "bicubic" or "spandrel:FILE".
        data: a folder of sets in a layout that `data.benchmarks` knows, or one set.
        sets: their names, all when None.

    Returns:
        {"model", "scale", "params", "protocol", "sets": {NAME: {"psnr_y", "ssim_y", "images": {NAME: {"psnr_y", "ssim_y"}}}}};
        a set's figures are means over its images, all have 6 decimals. Equal input gives an equal result.

    Raises:
        BadDataError: before anything is computed; names every file that is missing or does not fit.
        BadWeightsError: no such model.
    """
    return compare([model], scale, data, sets, protocol)[0]


def compare(
    models: Sequence[LAMNet | str | Path],
    scale: int,
    data: Path,
    sets: Sequence[str] | None = None,
    protocol: Protocol = DEFAULT,
    *,
    results: Sequence[Path] = (),
    device: str | None = None,
    save: Path | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Measure models and folders of results alike, one dict as from `evaluate` for each.

    Args:
        results: folders of pictures that somebody made, as `data.results` finds them.
        save: a folder for the models' results, MODEL/SET/NAMEx4.png; none of the files may exist.
    """
    if not models and not results:
        raise BadArgumentError("models: expected at least one model or folder of results, got none")
    benchmark = find_sets(data, scale, sets, protocol.smallest_at(scale))
    found = [find_results(folder, benchmark, scale) for folder in results]
    meter = Meter(protocol, scale, device)
    loaded = [contenders.load(model, scale, protocol.ensemble, device) for model in models]
    targets = [_targets(save, contender.name, benchmark, scale) for contender in loaded]
    entrants = [_of_contender(*both, scale) for both in zip(loaded, targets, strict=True)]
    entrants += [_of_results(str(folder), files) for folder, files in zip(results, found, strict=True)]
    return [_measure(entrant, benchmark, scale, meter, progress) for entrant in entrants]


def low_resolution(pair: Pair, scale: int) -> NDArray[np.uint8]:
    """The LR picture of a pair, (H, W, 1 or 3): its file, or made from HR as the benchmarks' files are."""
    if pair.lr is not None:
        return arrays.read_array(pair.lr)
    return imresize(crop_to_multiple(arrays.read_array(pair.hr), scale), 1 / scale)


def _of_contender(contender: Contender, targets: Mapping[Pair, Path], scale: int) -> _Entrant:
    def picture(pair: Pair) -> tuple[NDArray[np.uint8], float]:
        lr = low_resolution(pair, scale)
        start = perf_counter()
        sr = contender.upscale(lr)
        seconds = perf_counter() - start
        if pair in targets:
            targets[pair].parent.mkdir(parents=True, exist_ok=True)
            arrays.write_array(targets[pair], sr)
        return sr, seconds

    return _Entrant(contender.name, contender.params, picture)


def _of_results(name: str, files: Mapping[Pair, Path]) -> _Entrant:
    return _Entrant(name, None, lambda pair: (arrays.read_array(files[pair]), None))


def _targets(save: Path | None, name: str, benchmark: Sequence[BenchmarkSet], scale: int) -> dict[Pair, Path]:
    if save is None:
        return {}
    folder = save / re.sub(r"[^\w.+-]+", "_", name).lstrip("._")
    targets = {pair: folder / one.name / f"{pair.name}x{scale}.png" for one in benchmark for pair in one.pairs}
    existing = [path for path in targets.values() if path.exists()]
    if existing:
        raise BadArgumentError(f"save: expected a folder without these results, found {existing[0]} already there")
    return targets


def _measure(
    entrant: _Entrant, benchmark: Sequence[BenchmarkSet], scale: int, meter: Meter, progress: Progress | None
) -> dict[str, Any]:
    if meter.protocol.times:  # the first run of a network also prepares kernels and memory
        entrant.picture(benchmark[0].pairs[0])
    scores: dict[str, Any] = {}
    for one in benchmark:
        per_image: dict[str, dict[str, float]] = {}
        for pair in _shown(one, entrant.name, progress):
            sr, seconds = entrant.picture(pair)
            per_image[pair.name] = meter.scores(crop_to_multiple(arrays.read_array(pair.hr), scale), sr)
            if meter.protocol.times and seconds is not None:
                per_image[pair.name]["seconds"] = seconds
        rounded = {name: _rounded(image) for name, image in per_image.items()}
        scores[one.name] = {**_rounded(means(list(per_image.values()))), "images": rounded}
    return {
        "model": entrant.name,
        "scale": scale,
        "params": entrant.params,
        "protocol": {
            "convention": meter.protocol.convention,
            "border": meter.border,
            "lr_made": [one.name for one in benchmark if any(pair.lr is None for pair in one.pairs)],
        },
        "sets": scores,
    }


def _shown(one: BenchmarkSet, name: str, progress: Progress | None) -> Iterator[Pair]:
    if progress is None:
        yield from one.pairs
    else:
        yield from progress.track(one.pairs, description=f"{name} {one.name}")


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}
