"""A region of one picture, enlarged by several networks, with the whole picture beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError
from lamnet.base.progress import Progress, Work
from lamnet.evaluation import contenders
from lamnet.evaluation.metrics import psnr, ssim, to_y
from lamnet.figures import inputs, layout
from lamnet.figures.region import Region, most_different

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BICUBIC = inputs.label_of(contenders.BICUBIC)
_SSIM_WINDOW = 11
_CAPTION = 2 * layout.LINE + 0.04
_MIN_WIDTH = 0.62  # inches, the width of "28.43/0.8111"
_MAX_STACKED = 5  # panels in a row below the whole picture
_MAX_ASPECT = 4  # of a region's longer side to the other


@dataclass(frozen=True)
class Crop:
    """One panel: (height, width, 3) uint8 and its PSNR (dB) and SSIM on Y against HR, of this region alone."""

    name: str
    pixels: NDArray[np.uint8]
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Comparison:
    """The contents of the figure: HR (H, W, 3), the region in it, and a crop of each output, in their order."""

    hr: NDArray[np.uint8]
    region: Region
    crops: tuple[Crop, ...]


def creating(
    picture: Path,
    models: Sequence[str],
    scale: int,
    region: Region | None,
    out: Path,
    device: str | None = None,
    wide: bool = False,
) -> Work[Comparison]:
    """Write the figure of an HR picture file, bicubic and the models to `out`, with progress after each model.

    It is one column wide, or with `wide` two.
    """
    layout.check_target(out, picture)
    hr, lr = inputs.read_pair(picture, scale)
    labelled = {_BICUBIC: contenders.BICUBIC, **inputs.by_label(models)}
    outputs: dict[str, NDArray[np.uint8]] = {}
    for label, model in labelled.items():
        yield Progress("upscaling", len(outputs) / len(labelled))
        outputs[label] = inputs.output_of(model, scale, lr, device)
    yield Progress("upscaling", 1)
    comparison = compare(hr, outputs, region)
    layout.save(draw(comparison, f"{picture.stem} (x{scale})", wide), out)
    return comparison


def compare(
    hr: NDArray[np.uint8], outputs: Mapping[str, NDArray[np.uint8]], region: Region | None = None
) -> Comparison:
    """Crop and measure outputs by name, each as large as HR (H, W, 3).

    PSNR and SSIM are those of `lamnet evaluate` (Y, float convention) on the crops, as papers print under crops; no border
    is left out. Without a region the square is taken where the networks' outputs have the greatest variance on Y; the
    output "Bicubic" counts only next to a single network.
    """
    for name, output in outputs.items():
        if output.shape != hr.shape:
            raise BadArgumentError(f"{name}: expected an output of HR's shape {hr.shape}, got {output.shape}")
    if region is None:
        region = _most_different_square(hr, outputs)
    region.check_inside(hr.shape)
    if min(region.width, region.height) < _SSIM_WINDOW:
        raise BadArgumentError(
            f"region: expected at least {_SSIM_WINDOW} pixels each way for SSIM, got {region.width}x{region.height}"
        )
    if max(region.width, region.height) > _MAX_ASPECT * min(region.width, region.height):
        raise BadArgumentError(
            f"region: expected one side at most {_MAX_ASPECT} times the other, got {region.width}x{region.height}"
        )
    truth = to_y(region.of(hr))
    crops: list[Crop] = []
    for name, output in outputs.items():
        y = to_y(region.of(output))
        crops.append(Crop(name, region.of(output), psnr(y, truth), ssim(y, truth)))
    return Comparison(hr, region, tuple(crops))


def draw(comparison: Comparison, title: str, wide: bool = False) -> Figure:
    """Draw the whole picture with the region's box, and HR and every crop next to it, or below it when they are many.

    The figures of the crop with the highest PSNR are bold.
    """
    region, hr = comparison.region, comparison.hr
    best = max((round(crop.psnr, 2) for crop in comparison.crops), default=math.inf)
    panels: list[tuple[NDArray[Any], str, str, bool]] = [(region.of(hr), "HR", "PSNR/SSIM", False)]
    for crop in comparison.crops:
        figures = f"{crop.psnr:.2f}/{crop.ssim:.4f}"
        panels.append((crop.pixels, crop.name, figures, round(crop.psnr, 2) == best))
    width = layout.PAGE if wide else layout.COLUMN
    places = _placement(len(panels), hr.shape[1] / hr.shape[0], region.width / region.height, width)
    figure = layout.new_figure(places.height, width)
    whole = layout.add_picture(figure, hr, *places.whole)
    layout.add_box(whole, region.left, region.top, region.width, region.height)
    layout.add_caption(whole, title, "figures: of the crop, on Y")
    for (pixels, name, figures, is_best), place in zip(panels, places.panels, strict=True):
        layout.add_caption(layout.add_picture(figure, pixels, *place), name, figures, best=is_best)
    return figure


def _most_different_square(hr: NDArray[np.uint8], outputs: Mapping[str, NDArray[np.uint8]]) -> Region:
    chosen = {name: output for name, output in outputs.items() if name != _BICUBIC}
    if len(chosen) < 2:
        chosen = outputs
    if len(chosen) < 2:
        raise BadArgumentError(
            "region: expected a region, or two outputs or more to find where they differ, got neither"
        )
    side = min(max(min(hr.shape[:2]) // 6, 24), 128, *hr.shape[:2])
    return most_different([to_y(output) for output in chosen.values()], side, side)


Place = tuple[float, float, float, float]  # left, top, width, height in inches


@dataclass(frozen=True)
class _Placement:
    height: float
    whole: Place
    panels: tuple[Place, ...]


def _placement(count: int, whole_aspect: float, crop_aspect: float, across: float) -> _Placement:
    """Place rows of crops next to a whole picture of their height, or below it where crops would be too narrow.

    `across` is the width of the figure in inches.
    """
    margin, gap = layout.GAP / 2, layout.GAP
    best, columns = 0.0, 0
    for candidate in range(1, count + 1):
        rows = math.ceil(count / candidate)
        width = _crop_width(rows, candidate, whole_aspect, crop_aspect, across)
        whole_width = across - 2 * margin - candidate * (width + gap)
        fitness = min(width / _MIN_WIDTH, whole_width / 1.0)
        if width >= _MIN_WIDTH and fitness > best:
            best, columns = fitness, candidate
    if not columns:
        return _stacked(count, whole_aspect, crop_aspect, across)
    rows = math.ceil(count / columns)
    width = _crop_width(rows, columns, whole_aspect, crop_aspect, across)
    left = across - margin - columns * (width + gap) + gap
    height = rows * (width / crop_aspect + _CAPTION)
    whole = (margin, margin, left - gap - margin, height - _CAPTION)
    return _Placement(height + 2 * margin, whole, _grid(count, columns, left, margin, width, crop_aspect))


def _crop_width(rows: int, columns: int, whole_aspect: float, crop_aspect: float, across: float) -> float:
    """Compute the width of a crop for which crops and the whole picture fill the figure and have equal heights."""
    free = across - layout.GAP - columns * layout.GAP - whole_aspect * (rows - 1) * _CAPTION
    return free / (whole_aspect * rows / crop_aspect + columns)


def _stacked(count: int, whole_aspect: float, crop_aspect: float, across: float) -> _Placement:
    margin, gap = layout.GAP / 2, layout.GAP
    columns = layout.balanced_columns(count, round(_MAX_STACKED * across / layout.COLUMN))
    width = (across - 2 * margin + gap) / columns - gap
    whole_height = min((across - 2 * margin) / whole_aspect, 1.6 * across / layout.COLUMN)
    whole_width = whole_height * whole_aspect
    top = margin + whole_height + 2 * layout.LINE + 0.08
    rows = math.ceil(count / columns)
    return _Placement(
        top + rows * (width / crop_aspect + _CAPTION) + margin,
        ((across - whole_width) / 2, margin, whole_width, whole_height),
        _grid(count, columns, margin, top, width, crop_aspect),
    )


def _grid(count: int, columns: int, left: float, top: float, width: float, aspect: float) -> tuple[Place, ...]:
    height = width / aspect
    places = (divmod(index, columns) for index in range(count))
    return tuple(
        (left + column * (width + layout.GAP), top + row * (height + _CAPTION), width, height) for row, column in places
    )
