"""Training curves: validation PSNR, loss and learning rate of runs, from their metrics.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lamnet.base import records
from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.base.files import read_text
from lamnet.figures import layout
from lamnet.figures.labels import split_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Against = Literal["step", "time"]
Lines = list[dict[str, float]]

_WIDTH, _HEIGHT = 2.88, 1.0  # inches of a plot
_PITCH = 1.12
_LABELS = -0.33  # inches from a plot's left edge to its label, clear of four-digit numbers


@dataclass(frozen=True)
class _Plot:
    metric: str
    title: str
    factor: float = 1
    logarithmic: bool = False


_PLOTS = (
    _Plot("psnr_y", "PSNR-Y (dB)"),
    _Plot("loss", "L1 loss", logarithmic=True),
    _Plot("lr", "learning rate / 1e-3", factor=1000),
)


def create(runs: Sequence[str | Path], out: Path, against: Against = "step") -> dict[str, Lines]:
    """Write the curves of runs to `out`; returns their lines by label.

    A run is its folder, or LABEL=FOLDER; without a label it is called by the shortest end of its path that differs.
    """
    layout.check_target(out)
    curves = {label: read(run) for label, run in _by_label(runs).items()}
    layout.save(draw(curves, against), out)
    return curves


def read(run: Path) -> Lines:
    """Read the lines of a run's metrics.jsonl; one that is being written is left out.

    Raises BadDataError when there is no such file, or it holds something else.
    """
    path = run / "metrics.jsonl"
    try:
        text = read_text(path)
        whole = text[: text.rfind("\n") + 1]
        lines = [_line(line, f"line {number}") for number, line in enumerate(whole.splitlines(), 1)]
    except OSError as error:
        raise BadDataError(f"{run}: expected the folder of a training, found no metrics.jsonl in it") from error
    except ValueError as error:
        raise BadDataError(f"{path}: expected lines of metrics as training writes them, found {error}") from error
    if not lines:
        raise BadDataError(f"{path}: expected lines of metrics, found none yet")
    return lines


def _line(text: str, what: str) -> dict[str, float]:
    """Read the numbers of a line that are drawn; null stands for an infinite one. Raises ValueError."""
    found = records.mapping(records.parsed(text), what)
    names = ["step", "elapsed_s", *(plot.metric for plot in _PLOTS if found.get(plot.metric) is not None)]
    return {name: records.number(found.get(name), f"{what}, {name}") for name in names}


def draw(curves: Mapping[str, Lines], against: Against = "step") -> Figure:
    """A plot for each metric that occurs, over steps or hours, a line for each run."""
    plots = [plot for plot in _PLOTS if any(plot.metric in line for lines in curves.values() for line in lines)]
    end = max(_abscissa(line, against) for lines in curves.values() for line in lines)
    legend = len(curves) * layout.LINE + 0.08
    figure = layout.new_figure(legend + len(plots) * _PITCH + 0.18)
    for row, plot in enumerate(plots):
        axes = layout.add_axes(figure, layout.COLUMN - _WIDTH - 0.14, legend + row * _PITCH, _WIDTH, _HEIGHT)
        for index, (label, lines) in enumerate(curves.items()):
            _add_line(axes, plot, index, label, [line for line in lines if plot.metric in line], against)
        axes.set_xlim(0, 1.02 * end)
        _finish_axes(axes, plot, against, last=row == len(plots) - 1)
        if row == 0:
            layout.add_legend(axes)
    return figure


def _add_line(axes: Axes, plot: _Plot, index: int, label: str, lines: Lines, against: Against) -> None:
    """A run's line in a plot, validation with markers; a run without the metric still gets its place in the legend."""
    style: dict[str, Any] = layout.line_style(index)
    if plot.metric == "psnr_y":
        style |= {"marker": layout.MARKERS[index % len(layout.MARKERS)], "markersize": 2.5}
    elif len(lines) == 1:
        style |= {"marker": ".", "markersize": 3}  # a line of one point is invisible
    across = [_abscissa(line, against) for line in lines]
    axes.plot(across, [plot.factor * line[plot.metric] for line in lines], label=label, linewidth=1.0, **style)


def _finish_axes(axes: Axes, plot: _Plot, against: Against, *, last: bool) -> None:
    """Scale, grid and labels; the last plot has the labels of the abscissa for all."""
    if plot.logarithmic:
        axes.set_yscale("log")
        layout.round_log_ticks(axes.yaxis)
    axes.grid(linewidth=0.3, alpha=0.6)
    layout.label_axes(axes, ("step" if against == "step" else "hours") if last else "", plot.title)
    axes.tick_params(labelbottom=last)
    axes.yaxis.set_label_coords(_LABELS / _WIDTH, 0.5)


def _abscissa(line: Mapping[str, float], against: Against) -> float:
    return line["step"] if against == "step" else line["elapsed_s"] / 3600


def _by_label(runs: Sequence[str | Path]) -> dict[str, Path]:
    """Find the folders by label, without one the folder's name with as many of its parents as it takes to tell them apart."""
    given = [split_label(str(run)) for run in runs]
    folders = [Path(folder) for _, folder in given]
    parts = [folder.resolve().parts for folder in folders]
    if not runs or len(set(parts)) < len(runs):
        raise BadArgumentError(f"runs: expected different folders, got {', '.join(map(str, runs)) or 'none'}")
    depth = next(d for d in range(1, max(map(len, parts)) + 1) if len({p[-d:] for p in parts}) == len(runs))
    labels = [label or "/".join(path[-depth:]) for (label, _), path in zip(given, parts, strict=True)]
    if len(set(labels)) < len(labels):
        raise BadArgumentError(f"runs: expected different labels, got {', '.join(labels)}")
    return dict(zip(labels, folders, strict=True))
