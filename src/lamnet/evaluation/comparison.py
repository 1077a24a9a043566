"""PSNR, SSIM and more of networks, bicubic and folders of results on benchmark folders."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError, BadDataError, BadImageError
from lamnet.base.progress import Progress, Work, finish
from lamnet.evaluation import conditions, contenders
from lamnet.evaluation.benchmarks import BenchmarkSet, Pair, find_sets
from lamnet.evaluation.conditions import UNCHANGED, Condition, LowResolution, parse_all
from lamnet.evaluation.contenders import Contender
from lamnet.evaluation.protocol import Meter, Protocol, means
from lamnet.evaluation.resize import crop_to_multiple
from lamnet.evaluation.results import find_results
from lamnet.media import arrays

if TYPE_CHECKING:
    from lamnet.network.model import LAMNet

DEFAULT = Protocol()


def evaluate(
    model: LAMNet | str | Path,
    scale: int,
    data: Path | str,
    sets: Sequence[str] | None = None,
    protocol: Protocol = DEFAULT,
    degrade: str | None = None,
) -> dict[str, Any]:
    """Measure one model on benchmark sets, or on any folder of HR pictures (LR is then made by bicubic).

    Args:
        model: as for `contenders.load`: a network, a name, a file, "bicubic" or "spandrel:FILE".
        data: a folder of sets in a layout that `layouts` knows, or one set.
        sets: names of the sets, all when None.
        degrade: a degradation of LR before it is upscaled, see `conditions.parse`: "jpeg75", "blur0.6+noise4+jpeg75".

    Returns:
        {"model", "scale", "params", "protocol", "sets": {NAME: {"psnr_y", "ssim_y", "images": {NAME: {"psnr_y", "ssim_y"}}}}};
        a set's figures are means over its images, rounded to 6 decimals. Equal input gives an equal result. With
        `degrade`, "protocol" has the condition under "degrade". A picture that cannot be read or measured is not among
        the images; a set of which one was left out has the reasons by name under "left_out". A set of which all were is
        not among the sets but under "unmeasured", {NAME: {NAME: reason}}.

    Raises:
        BadArgumentError: no such condition.
        BadDataError: files are missing or do not fit, which is found before anything is computed, or no picture can be
            measured; it names all of them.
        BadWeightsError: no such model.
    """
    conditions = [] if degrade is None else [degrade]
    return finish(comparing([model], scale, Path(data), sets, protocol, degrade=conditions))[0]


def comparing(
    models: Sequence[LAMNet | str | Path],
    scale: int,
    data: Path,
    sets: Sequence[str] | None = None,
    protocol: Protocol = DEFAULT,
    *,
    results: Sequence[Path] = (),
    degrade: Sequence[str] = (),
    device: str | None = None,
    save: Path | None = None,
    save_lr: Path | None = None,
) -> Work[list[dict[str, Any]]]:
    """Measure models and folders of results in the same way; return a dict as from `evaluate` for each.

    There is progress after each picture, a task for each model and set.

    Args:
        results: folders of finished results, as `results.find_results` finds them.
        degrade: conditions as for `evaluate`; everything is measured under each of them.
        save: a folder for the models' results, MODEL/SET/NAMEx4.png, or MODEL/CONDITION/SET/NAMEx4.png; none of the
            files may exist, and no two models may have one folder.
        save_lr: a folder for the LR pictures, SET/NAMEx4.png or CONDITION/SET/NAMEx4.png; existing ones are
            used as they are, which "protocol" says under "lr_taken" where they differ from what would be made.
    """
    if not models and not results:
        raise BadArgumentError("models: expected at least one model or folder of results, got none")
    if results and len(degrade) > 1:
        raise BadArgumentError(f"results: expected one condition that they were made under, got {', '.join(degrade)}")
    if scale == 1 and not degrade:
        raise BadArgumentError("degrade: expected a condition at scale 1, where LR is HR unless it is spoilt, got none")
    put_under: list[Condition | None] = [*parse_all(degrade)] or [None]
    benchmark = find_sets(data, scale, sets, protocol.smallest_at(scale))
    found = [_Found(str(folder), find_results(folder, benchmark, scale)) for folder in results]
    meter = Meter(protocol, scale, device)
    loaded = [contenders.load(model, scale, protocol.ensemble, device) for model in models]
    if save is not None:
        _check_folders(save, [one.name for one in loaded])
    rounds: list[tuple[Condition | None, list[_Made]]] = []
    for condition in put_under:
        below = "" if condition is None else condition.name
        lr = LowResolution(scale, condition or UNCHANGED, _lr_files(save_lr, below, benchmark, scale))
        made = [_Made(one, lr, _targets(save, one.name, below, benchmark, scale)) for one in loaded]
        rounds.append((condition, made))
    figures: list[dict[str, Any]] = []
    for condition, made in rounds:
        for entrant in [*made, *found]:
            measured = yield from _measuring(entrant, benchmark, scale, meter, condition)
            figures.append(measured)
    return figures


@dataclass(frozen=True)
class _Made:
    """A row of the table whose pictures a contender makes; they are saved to `targets` where there are any."""

    contender: Contender
    lr: LowResolution
    targets: Mapping[Pair, Path]

    @property
    def name(self) -> str:
        return self.contender.name

    @property
    def params(self) -> int | None:
        return self.contender.params

    def picture(self, pair: Pair) -> tuple[NDArray[np.uint8], float]:
        """Make the result for a pair; return the seconds it took too."""
        lr = self.lr.of(pair)
        start = perf_counter()
        sr = self.contender.upscale(lr)
        seconds = perf_counter() - start
        if pair in self.targets:
            conditions.write(self.targets[pair], sr)
        return sr, seconds


@dataclass(frozen=True)
class _Found:
    """A row of the table whose pictures are in files."""

    name: str
    files: Mapping[Pair, Path]
    params: None = None

    def picture(self, pair: Pair) -> tuple[NDArray[np.uint8], None]:
        """Read the result for a pair, of which the time is not known."""
        if pair not in self.files:  # whoever made the results could not read it either
            raise BadImageError(f"{pair.lr or pair.hr}: cannot be read, and there is no result of it")
        return arrays.read_array(self.files[pair]), None


def _check_folders(save: Path, names: Sequence[str]) -> None:
    """Refuse models whose results would go into one folder."""
    first = dict[Path, str]()
    for name in names:
        if (folder := _folder(save, name)) in first:
            raise BadArgumentError(
                f"save: expected a folder for each model, found {folder} for {first[folder]} and {name}"
            )
        first[folder] = name


def _folder(save: Path, name: str) -> Path:
    """Name the folder of a model's results."""
    return save / re.sub(r"[^\w.+-]+", "_", name).lstrip("._")


def _targets(
    save: Path | None, name: str, below: str, benchmark: Sequence[BenchmarkSet], scale: int
) -> dict[Pair, Path]:
    folder = None if save is None else _folder(save, name)
    targets = _files(folder, below, benchmark, scale)
    existing = [path for path in targets.values() if path.exists()]
    if existing:
        raise BadArgumentError(f"save: expected a folder without these results, found {existing[0]} already there")
    return targets


def _lr_files(save_lr: Path | None, below: str, benchmark: Sequence[BenchmarkSet], scale: int) -> dict[Pair, Path]:
    """Name a file for each pair's LR. Raises BadArgumentError where one lies among the data, which would take it for HR."""
    files = _files(save_lr, below, benchmark, scale)
    pictures = [path for one in benchmark for pair in one.pairs for path in (pair.hr, pair.lr) if path]
    data = {os.path.realpath(path.parent) for path in pictures}
    if own := [path for path in files.values() if os.path.realpath(path.parent) in data]:
        raise BadArgumentError(f"save_lr: expected a folder apart from the data, found {own[0]} among it")
    return files


def _files(folder: Path | None, below: str, benchmark: Sequence[BenchmarkSet], scale: int) -> dict[Pair, Path]:
    """Name a file for each pair; no files without a folder."""
    if folder is None:
        return {}
    return {pair: folder / below / one.name / f"{pair.name}x{scale}.png" for one in benchmark for pair in one.pairs}


def _measuring(
    entrant: _Made | _Found, benchmark: Sequence[BenchmarkSet], scale: int, meter: Meter, condition: Condition | None
) -> Work[dict[str, Any]]:
    if meter.protocol.times:  # the first run of a network also prepares kernels and memory
        with suppress(BadImageError):  # which is said where the picture is measured
            entrant.picture(next(pair for one in benchmark for pair in one.pairs))
    title = entrant.name if condition is None else f"{entrant.name} {condition.name}"
    scores: dict[str, Any] = {}
    unmeasured: dict[str, dict[str, str]] = {}
    for one in benchmark:
        measured, left_out = yield from _measuring_set(entrant, title, one, scale, meter)
        if measured:
            scores[one.name] = {**measured, **({"left_out": left_out} if left_out else {})}
        else:
            unmeasured[one.name] = left_out
    if not scores:
        name, reasons = next(iter(unmeasured.items()))
        first = next(iter(reasons.values()))
        raise BadDataError(f"{name}: expected a picture that can be measured, found none, the first: {first}")
    return {
        "model": entrant.name,
        "scale": scale,
        "params": entrant.params,
        "protocol": {
            "convention": meter.protocol.convention,
            "border": meter.border,
            **_origin(entrant, benchmark, scale, condition or UNCHANGED),
            **({} if condition is None else {"degrade": condition.name}),
        },
        "sets": scores,
        **({"unmeasured": unmeasured} if unmeasured else {}),
    }


def _origin(
    entrant: _Made | _Found, benchmark: Sequence[BenchmarkSet], scale: int, condition: Condition
) -> dict[str, list[str]]:
    """Name the sets whose LR was made, and those where it was taken from other files of `save_lr`, if any."""
    taken = (
        {pair for pair, differs in entrant.lr.taken.items() if differs} if isinstance(entrant, _Made) else set[Pair]()
    )
    from_hr = {pair for one in benchmark for pair in one.pairs if pair.lr is None or condition.needs_hr} - taken
    made = [one.name for one in benchmark if from_hr.intersection(one.pairs)]
    from_files = [one.name for one in benchmark if taken.intersection(one.pairs)]
    return {"lr_made": made if scale > 1 else [], **({"lr_taken": from_files} if from_files else {})}


def _measuring_set(
    entrant: _Made | _Found, title: str, one: BenchmarkSet, scale: int, meter: Meter
) -> Work[tuple[dict[str, Any], dict[str, str]]]:
    """Measure a set: its means with the figures of each picture under "images", {} without any, and why pictures have none."""
    task = f"{title} {one.name}"
    yield Progress(task, 0)
    per_image, left_out = dict[str, dict[str, float]](), dict(one.left_out)
    for index, pair in enumerate(one.pairs, 1):
        try:
            hr = crop_to_multiple(arrays.read_array(pair.hr), scale)
            sr, seconds = entrant.picture(pair)
            scores = meter.scores(hr, sr)
        except BadImageError as error:  # its pixels are damaged
            left_out[pair.name] = str(error)
        else:
            per_image[pair.name] = scores
            if meter.protocol.times and seconds is not None:
                scores["seconds"] = seconds
        yield Progress(task, index / len(one.pairs))
    left_out = dict(sorted(left_out.items()))
    if not per_image:
        return {}, left_out
    rounded = {name: _rounded(image) for name, image in per_image.items()}
    return {**_rounded(means(list(per_image.values()))), "images": rounded}, left_out


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}
