"""PSNR, SSIM and more of a network, bicubic or a folder of results on benchmark folders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from lamnet import contenders, images
from lamnet.data.benchmarks import BenchmarkSet, Pair, find_sets
from lamnet.data.resize import crop_to_multiple, imresize
from lamnet.metrics import Convention, psnr, ssim, to_y
from lamnet.model import LAMNet


@dataclass(frozen=True)
class Protocol:
    """What is measured and how; `border` pixels are left out on each side, the scale when None."""

    convention: Convention = "float"
    border: int | None = None

    def border_at(self, scale: int) -> int:
        return scale if self.border is None else self.border


DEFAULT = Protocol()


def evaluate(
    model: LAMNet | str | Path,
    scale: int,
    data: Path,
    sets: Sequence[str] | None = None,
    protocol: Protocol = DEFAULT,
    *,
    device: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a model on benchmark sets, or on any folder of HR pictures (LR is then made by bicubic).

    Args:
        model: as for `contenders.load`: a network, a name, a file, "bicubic" or "spandrel:FILE".
        data: a folder of sets in a layout that `data.benchmarks` knows, or one set.
        sets: their names, all when None.

    Returns:
        {"model", "scale", "params", "protocol", "sets": {NAME: {"psnr_y", "ssim_y", "images": {NAME: {"psnr_y", "ssim_y"}}}}};
        a set's figures are means over its images, dB for PSNR, of 6 decimals. Equal input gives equal output.

    Raises:
        BadDataError: before anything is computed, names every file that is missing or does not fit.
        BadWeightsError: no such model.
    """
    benchmark = find_sets(data, scale, sets, protocol.border_at(scale))
    contender = contenders.load(model, scale, device=device)
    scores = _measure(benchmark, lambda pair: contender.upscale(low_resolution(pair, scale)), scale, protocol, progress)
    return {
        "model": contender.name,
        "scale": scale,
        "params": contender.params,
        "protocol": {**asdict(protocol), "border": protocol.border_at(scale)},
        "sets": scores,
    }


def low_resolution(pair: Pair, scale: int) -> NDArray[np.uint8]:
    """The LR picture of a pair, (H, W, 1 or 3): its file, or made from HR as the benchmarks' files are."""
    if pair.lr is not None:
        return images.read_array(pair.lr)
    return imresize(crop_to_multiple(images.read_array(pair.hr), scale), 1 / scale)


def _measure(
    benchmark: Sequence[BenchmarkSet],
    result: Callable[[Pair], NDArray[np.uint8]],
    scale: int,
    protocol: Protocol,
    progress: Progress | None,
) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for one in benchmark:
        per_image: dict[str, dict[str, float]] = {}
        for pair in _shown(one, progress):
            hr = crop_to_multiple(images.read_array(pair.hr), scale)
            per_image[pair.name] = _scores(hr, result(pair), protocol.border_at(scale), protocol.convention)
        names = next(iter(per_image.values()))
        means = {name: _rounded(np.mean([image[name] for image in per_image.values()])) for name in names}
        rounded = {name: {k: _rounded(v) for k, v in image.items()} for name, image in per_image.items()}
        scores[one.name] = {**means, "images": rounded}
    return scores


def _shown(one: BenchmarkSet, progress: Progress | None) -> Iterator[Pair]:
    if progress is None:
        yield from one.pairs
    else:
        yield from progress.track(one.pairs, description=one.name)


def _scores(hr: NDArray[np.uint8], sr: NDArray[np.uint8], border: int, convention: Convention) -> dict[str, float]:
    if convention == "matlab" and hr.shape[2] == 1 != sr.shape[2]:
        sr = _grey(sr)
    planes = to_y(hr, convention), to_y(sr, convention)
    return {"psnr_y": psnr(*planes, border), "ssim_y": ssim(*planes, border)}


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey picture (H, W, 1) in full range that a network's nearly grey RGB stands for: its luma, BT.601."""
    return np.floor((to_y(rgb) - 16) * (255 / 219) + 0.5).clip(0, 255).astype(np.uint8)[..., None]


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), 6) if math.isfinite(value) else float(value)
