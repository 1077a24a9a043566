"""Quality against time, with multiply-adds as area: the figures of evaluate and bench in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamnet.base import records
from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.base.files import read_text
from lamnet.core.config import SIZES
from lamnet.evaluation import report
from lamnet.figures import layout
from lamnet.figures.inputs import label_of
from lamnet.figures.labels import split_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

_HEIGHT = 2.6  # inches
_MAX_DIAMETER = 26.0  # points, of the circle with the most multiply-adds
_SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))  # of a circle where its label may stand


@dataclass(frozen=True)
class Point:
    """One model: median seconds of an image, PSNR on Y in dB, multiply-adds of that image."""

    model: str
    seconds: float
    psnr: float
    multiply_adds: int


@dataclass(frozen=True)
class Performance:
    """The points, most multiply-adds first: PSNR on `set_name` at `scale`; `timing` describes how they were timed.

    `untimed` are the evaluated models without a time in the benchmark; they are not drawn.
    """

    points: tuple[Point, ...]
    untimed: tuple[str, ...]
    set_name: str
    scale: int
    timing: str


def create(quality: Sequence[str], speed: Path, set_name: str, precision: str, out: Path) -> Performance:
    """Write the figure to `out`.

    Args:
        quality: files from `lamnet evaluate --json`; NAME=FILE where the benchmark calls the file's only model NAME.
        speed: a file from `lamnet bench --json`; of each model the fastest way in this precision counts.
        set_name: a benchmark set that all the evaluations have.
    """
    layout.check_target(out)
    performance = gather(_evaluations(quality), read_times(speed), set_name, precision)
    layout.save(draw(performance), out)
    return performance


def gather(
    evaluations: Mapping[str, Mapping[str, Any]], speed: Mapping[str, Any], set_name: str, precision: str
) -> Performance:
    """Join evaluations by the benchmark's names of their models with the benchmark's rows for whole images.

    Raises BadDataError naming the first model without the set or of another scale, or where none has a time.
    """
    setting = speed["setting"]
    points: list[Point] = []
    untimed: list[str] = []
    for model, evaluation in evaluations.items():
        if evaluation["scale"] != setting["scale"]:
            raise BadDataError(
                f"{model}: expected x{setting['scale']} as timed, found x{evaluation['scale']} evaluated"
            )
        if set_name not in evaluation["sets"]:
            raise BadDataError(f"{model}: expected an evaluation on {set_name}, found {', '.join(evaluation['sets'])}")
        rows = [row for row in speed["rows"] if _counts(row, model, precision)]
        if not rows:
            untimed.append(model)
            continue
        fastest = min(rows, key=lambda row: row["median_s"])
        psnr = evaluation["sets"][set_name]["psnr_y"]
        points.append(Point(model, fastest["median_s"], psnr, fastest["multiply_adds"]))
    if not points:
        timed = dict.fromkeys(row["candidate"]["model"] for row in speed["rows"])
        raise BadDataError(
            f"{', '.join(untimed)}: expected a time for an image in {precision}, found times of {', '.join(timed)}"
        )
    height, width = setting["output_size"]
    timing = f"{width}x{height} output, {precision}, {setting['device']}"
    points.sort(key=lambda point: -point.multiply_adds)
    return Performance(tuple(points), tuple(untimed), set_name, setting["scale"], timing)


def draw(performance: Performance) -> Figure:
    """Draw circles by seconds (logarithmic) and PSNR, with an area for multiply-adds; ours blue, others orange."""
    figure = layout.new_figure(_HEIGHT)
    axes = layout.add_axes(figure, 0.42, 0.06, layout.COLUMN - 0.5, _HEIGHT - 0.42)
    most = max(point.multiply_adds for point in performance.points)
    diameters = [_MAX_DIAMETER * (point.multiply_adds / most) ** 0.5 for point in performance.points]
    axes.set_xscale("log")
    axes.scatter(
        [1000 * point.seconds for point in performance.points],
        [point.psnr for point in performance.points],
        [diameter**2 for diameter in diameters],  # matplotlib's area is the square of the diameter
        [layout.OKABE_ITO[0 if point.model in SIZES else 4] for point in performance.points],
        edgecolors="black",
        linewidths=0.5,
        alpha=0.85,
    )
    axes.set_axisbelow(True)
    axes.grid(linewidth=0.3, alpha=0.6)
    axes.margins(0.2, 0.3)
    axes.autoscale_view()
    layout.round_log_ticks(axes.xaxis)
    title = f"PSNR-Y (dB), {performance.set_name} x{performance.scale}"
    layout.label_axes(axes, f"milliseconds ({performance.timing})", title)
    _label(axes, performance.points, diameters)
    return figure


def _label(axes: Axes, points: Sequence[Point], diameters: Sequence[float]) -> None:
    """Label each circle with its name and multiply-adds, in a place that covers no other thing, if there is one."""
    figure = axes.figure
    places = [axes.transData.transform((1000 * point.seconds, point.psnr)) for point in points]
    taken: list[Bbox] = [
        layout.box_around(x, y, diameter * figure.dpi / 72) for (x, y), diameter in zip(places, diameters, strict=True)
    ]
    for point, diameter in zip(points, diameters, strict=True):
        name = f"{label_of(point.model)}\n{point.multiply_adds / 1e9:.1f} G"
        where = (1000 * point.seconds, point.psnr)
        distances = (diameter / 2 + 1.5, diameter / 2 + 10)
        texts = [layout.add_label(axes, name, where, side, away) for away in distances for side in _SIDES]
        boxes = [text.get_window_extent() for text in texts]
        free = [not any(box.overlaps(other) for other in taken) and _inside(axes, box) for box in boxes]
        chosen = free.index(True) if any(free) else 0
        taken.append(boxes[chosen])
        for index, text in enumerate(texts):
            if index != chosen:
                text.remove()


def _inside(axes: Axes, box: Bbox) -> bool:
    frame = axes.bbox
    return frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1


def _counts(row: Mapping[str, Any], model: str, precision: str) -> bool:
    candidate = row["candidate"]
    fits = (candidate["model"], candidate["precision"], candidate["task"]) == (model, precision, "image")
    return fits and row["median_s"] is not None


def _evaluations(quality: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Read evaluations by the benchmark's name of their model."""
    found: dict[str, Mapping[str, Any]] = {}
    for argument in quality:
        name, file = split_label(argument)
        listed = report.from_json(Path(file))
        if name and len(listed) != 1:
            raise BadArgumentError(f"{argument}: expected one model in a file with a name, found {len(listed)}")
        for evaluation in listed:
            model = name or str(evaluation["model"])
            if model in found:
                raise BadArgumentError(f"{file}: expected each model once, found {model} again")
            found[model] = evaluation
    return found


def read_times(path: Path) -> dict[str, Any]:
    """Read a benchmark's figures. Raises BadDataError, which names the first that does not fit."""
    try:
        content = records.mapping(records.parsed(read_text(path)), "times")
        setting = records.mapping(content.get("setting"), "setting")
        records.whole(setting.get("scale"), "setting, scale", 1, 1000)
        sides = records.items(setting.get("output_size"), "setting, output_size")
        if len([records.whole(side, "setting, output_size", 1) for side in sides]) != 2:
            raise ValueError(f"setting, output_size: expected two numbers, found {len(sides)}")
        records.text(setting.get("device"), "setting, device")
        for number, row in enumerate(records.items(content.get("rows"), "rows"), 1):
            _check_row(records.mapping(row, f"row {number}"), f"row {number}")
    except OSError as error:
        raise BadDataError(f"{path}: expected times as bench --json writes them, found {error.strerror}") from error
    except ValueError as error:
        raise BadDataError(f"{path}: expected times as bench --json writes them, found {error}") from error
    return dict(content)


def _check_row(row: Mapping[str, Any], what: str) -> None:
    candidate = records.mapping(row.get("candidate"), f"{what}, candidate")
    for key in ("model", "precision", "task"):
        records.text(candidate.get(key), f"{what}, {key}")
    for key in ("median_s", "multiply_adds"):
        if row.get(key) is not None and not records.number(row[key], f"{what}, {key}") > 0:
            raise ValueError(f"{what}, {key}: expected a number above 0, found {records.short(row[key])}")
    if candidate["task"] == "image" and row.get("median_s") is not None and row.get("multiply_adds") is None:
        raise ValueError(f"{what}, multiply_adds: expected a number, found none")
