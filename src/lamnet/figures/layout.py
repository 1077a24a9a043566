"""The style of all figures: one column of a paper, 7 pt text, colours that the colour-blind tell apart, atomic files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError
from lamnet.base.extras import require
from lamnet.base.files import appearing
from lamnet.evaluation import places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

COLUMN = 3.5  # inches, one column of a two-column paper
PAGE = 7.16  # inches, both columns and what lies between them
FONT = 7.0  # points
FAMILY = "STIXGeneral"  # Times-like as most papers, ships with matplotlib
LINE = 0.125  # inches from one line of a caption to the next
GAP = 0.05  # inches between panels
# Okabe and Ito, Color Universal Design (2008), without the yellow, which is too light for lines on paper.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BOX = "#F0E442"
MARKERS = "osD^vP*"
LINE_STYLES = ("-", "--", "-.", ":")
_DPI = 300
# Without a date or a version the same figure is the same file.
_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def new_figure(height: float, width: float = COLUMN) -> Figure:
    """Create an empty figure of this size in inches, apart from pyplot's global state.

    Raises MissingExtraError without matplotlib.
    """
    _require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI)
    FigureCanvasAgg(figure)
    return figure


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes whose frame is at these inches from the figure's left and top."""
    across, down = figure.get_size_inches()
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    axes.tick_params(labelsize=FONT, labelfontfamily=FAMILY, width=0.6, length=2.5, pad=2)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    return axes


def add_picture(figure: Figure, pixels: NDArray[Any], left: float, top: float, width: float, height: float) -> Axes:
    """Add a picture, (H, W, 3) uint8 or grey (H, W) in 0..1, in a frame without ticks; pixels stay squares of one colour."""
    axes = add_axes(figure, left, top, width, height)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def label_axes(axes: Axes, x: str = "", y: str = "") -> None:
    """Name the axes of a plot."""
    axes.set_xlabel(x, fontsize=FONT, family=FAMILY, labelpad=2)
    axes.set_ylabel(y, fontsize=FONT, family=FAMILY, labelpad=2)


def round_log_ticks(axis: Axis) -> None:
    """Put plain numbers at round values on an axis with a logarithmic scale."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = axis.get_view_interval()
    subs = (1, 1.5, 2, 3, 5, 7) if high < 10 * low else (1, 2, 5) if high < 100 * low else (1, 3)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", length=0)


def add_legend(axes: Axes) -> None:
    """Add the names of the lines above the plot, one below the other."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        borderaxespad=0.3,
        frameon=False,
        labelspacing=0.15,
        prop={"family": FAMILY, "size": FONT},
    )


def line_style(index: int) -> dict[str, str]:
    """Choose colour and dashes of the index-th line, so that lines differ in print without colour, too."""
    return {"color": OKABE_ITO[index % len(OKABE_ITO)], "linestyle": LINE_STYLES[index % len(LINE_STYLES)]}


def add_caption(axes: Axes, *lines: str, best: bool = False) -> None:
    """Put centred lines of text under a panel, each shortened with an ellipsis where it is wider than the panel.

    The last line is bold with `best`.
    """
    for row, line in enumerate(lines):
        text = axes.annotate(
            line,
            (0.5, 0),
            (0, -2 - row * LINE * 72),
            "axes fraction",
            "offset points",
            ha="center",
            va="top",
            fontsize=FONT,
            family=FAMILY,
            weight="bold" if best and row == len(lines) - 1 else "normal",
            parse_math=False,
        )
        canvas = cast("FigureCanvasAgg", text.get_figure(root=True).canvas)  # pyright: ignore[reportOptionalMemberAccess]
        room = axes.bbox.width + GAP * _DPI
        while text.get_window_extent(canvas.get_renderer()).width > room and len(line) > 1:
            line = line[:-1]
            text.set_text(line.rstrip() + "…")


def add_label(axes: Axes, text: str, point: tuple[float, float], side: tuple[int, int], distance: float) -> Text:
    """Add text near a point of a plot: `side` is -1, 0 or 1 to the right and upwards, `distance` in points."""
    across, up = side
    shift = (across * distance, up * distance)
    ha, va = ("right", "center", "left")[across + 1], ("top", "center", "bottom")[up + 1]
    return axes.annotate(
        text, point, shift, textcoords="offset points", ha=ha, va=va, fontsize=FONT, family=FAMILY, linespacing=1.0
    )


def box_around(x: float, y: float, side: float) -> Bbox:
    """Make the square of this side around a point, in pixels."""
    from matplotlib.transforms import Bbox

    return Bbox.from_bounds(x - side / 2, y - side / 2, side, side)


def add_box(axes: Axes, left: float, top: float, width: float, height: float, *, colour: str = BOX) -> None:
    """Add the outline of a region, in pixels of the picture that the axes show."""
    from matplotlib.patches import Rectangle

    for edge, line in (("black", 1.5), (colour, 0.8)):
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=edge, linewidth=line))


def balanced_columns(count: int, limit: int) -> int:
    """Choose the number of columns, up to a limit, that gives the fewest rows and then the fullest last row of panels."""
    return math.ceil(count / math.ceil(count / limit))


def check_target(path: Path, pictures: Path | None = None) -> None:
    """Refuse, before the work is done, a file that `save` could not write, or one of the pictures that are read.

    `pictures` is a file or a folder. Raises BadArgumentError.
    """
    _require_matplotlib()
    if path.suffix.lower() not in _METADATA:
        raise BadArgumentError(f"{path}: expected a name that ends in .png or .pdf")
    if not path.parent.is_dir():
        raise BadArgumentError(f"{path}: expected a file in an existing folder, found no {path.parent}")
    if pictures is not None:
        places.prepare({"out": path}, [pictures], [pictures])


def _require_matplotlib() -> None:
    require("matplotlib", "figures", "a figure")


def save(figure: Figure, path: Path) -> None:
    """Write a figure atomically as PNG (300 dots an inch) or PDF (text as text).

    Raises BadArgumentError where it cannot be written, MissingExtraError without matplotlib.
    """
    check_target(path)
    from matplotlib import rc_context  # pyright: ignore[reportUnknownVariableType] (partial stub)

    suffix = path.suffix.lower()
    with appearing(path, BadArgumentError) as partial, rc_context({"pdf.fonttype": 42}):
        figure.savefig(partial, format=suffix.removeprefix("."), metadata=_METADATA[suffix])
