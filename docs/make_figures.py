"""Draws the examples of docs/figures.md with the weights that ship, from photographs that come with scikit-image.

    python docs/make_figures.py [--model LABEL=MODEL ...] [RUN ...]

The training curves need the folders of runs, and are left as they are without. The performance figure shows published numbers.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pyvips
import training_seen
from cyclopts import Parameter, run
from make_results import urban100
from skimage import data

from lamnet.cli.terminal import shown
from lamnet.core import shipped
from lamnet.figures import attribution, compare, curve, layout, performance, receptive_field
from lamnet.figures.region import Region
from lamnet.media import arrays

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOCS = Path(__file__).parent
FIGURES, RESULTS = DOCS / "figures", DOCS / "results"
SCALE = 4
CAT, EYE = Region(80, 30, 256, 256), Region(68, 54, 56, 56)  # of chelsea, and of that part

PAPER_MS = {"LAMNet": 50, "LAMNet-large": 60, "SwinIR-light": 160, "HiT-SNG": 184, "SRFormer-light": 251}
PAPER_GIGAPIXELS = 131
OURS = {"LAMNet": "base", "LAMNet-large": "large"}


def main(*runs: Path, model: Annotated[list[str] | None, Parameter(negative=())] = None) -> None:
    """Draw everything that what is here allows."""
    models = model or [one.size for one in shipped.shipped() if (one.scale, one.variant) == (SCALE, "clean")]
    FIGURES.mkdir(exist_ok=True)
    began = time.time()
    with TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for name in ("astronaut", "chelsea", "coffee"):
            arrays.write_array(photos / f"{name}.png", getattr(data, name)())
        shown(compare.creating(photos / "coffee.png", models, SCALE, None, FIGURES / "compare.png"))
        cat = Path(folder) / "cat.png"
        arrays.write_array(cat, np.ascontiguousarray(CAT.of(data.chelsea())))
        shown(attribution.creating(cat, models, SCALE, EYE, FIGURES / "attribution.png"))
        shown(receptive_field.creating(photos, models, SCALE, FIGURES / "receptive_field.png", 65))
    layout.save(performance.draw(_published()), FIGURES / "performance.png")
    layout.save(_pixels(), FIGURES / "pixels.png")
    if runs:
        curve.create(runs, FIGURES / "curve.png")
    for path in (path for path in sorted(FIGURES.glob("*.png")) if path.stat().st_mtime >= began):
        _shrink(path)
        print(f"{path.relative_to(DOCS.parent)} {path.stat().st_size / 1024:.0f} KB")


def _pixels() -> Figure:
    """PSNR-Y at x4 against LR pixels seen: our runs and the paper's networks, on Set5 and on Urban100."""
    figure = layout.new_figure(1.65)
    width = (layout.COLUMN - 0.9) / 2
    paper = _psnr_of_papers()
    panels = [layout.add_axes(figure, 0.36 + (width + 0.4) * column, 0.3, width, 1.0) for column in (0, 1)]
    for index, size in enumerate(("tiny", "base")):
        run = training_seen.shipped(size, SCALE, "clean")
        known = [point for point in training_seen.points(run) if "set5" in point.psnr]
        # A body that went by way of another scale is seen, and no point of x4.
        known = [point for point in known if point.psnr["set5"] < paper["LAMNet-large", "Set5"]]
        across = [point.megapixels / 1e3 for point in known]
        style = layout.line_style(index) | {"marker": layout.MARKERS[index], "markersize": 2.0, "linewidth": 0.8}
        panels[0].plot(across, [point.psnr["set5"] for point in known], label=f"ours, {size}", **style)
        style["linestyle"] = ""
        panels[1].plot([across[-1]], [float(urban100()[size, SCALE]["psnr_y"])], **style)
    for axes, model, name in zip(panels, ("LAMNet-large", "LAMNet"), ("Set5", "Urban100"), strict=True):
        _finish(axes, paper[model, name], model, name)
    layout.add_legend(panels[0])
    return figure


def _finish(axes: Axes, psnr: float, model: str, name: str) -> None:
    """Add the paper's point, and name the axes."""
    axes.plot([PAPER_GIGAPIXELS], [psnr], "*", color="black", markersize=5)
    layout.add_label(axes, model, (PAPER_GIGAPIXELS, psnr), (-1, 0), 5)
    axes.set_xscale("log")
    axes.set_xlim(3e-3, 4 * PAPER_GIGAPIXELS)
    axes.set_ylim(top=psnr + 0.3)
    axes.grid(linewidth=0.3, alpha=0.6)
    layout.label_axes(axes, "LR gigapixels seen", f"PSNR-Y on {name} (dB)")


def _psnr_of_papers() -> dict[tuple[str, str], float]:
    """Published PSNR-Y (dB) at x4 by model and set."""
    with (RESULTS / "published.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["scale"] == str(SCALE)]
    sets = ("Set5", "Urban100")
    return {(row["model"], name): float(row[name].split("/")[0]) for row in rows for name in sets if row[name]}


def _published() -> performance.Performance:
    """PSNR, multiply-adds and times that were published; the times are read off one figure of LAMNet's authors."""
    with (RESULTS / "published.csv").open(newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file) if row["scale"] == str(SCALE)}
    points: list[performance.Point] = []
    for model, milliseconds in PAPER_MS.items():
        psnr = float(rows[model]["Urban100"].split("/")[0])
        giga = float(rows[model]["multiply-adds G"].removeprefix("about "))
        points.append(performance.Point(OURS.get(model, model), milliseconds / 1000, psnr, round(giga * 1e9)))
    points.sort(key=lambda point: -point.multiply_adds)
    return performance.Performance(tuple(points), "Urban100", SCALE, "published, GPU and size not stated")


def _shrink(path: Path) -> None:
    """256 colours instead of millions: a third of the bytes for a page on the web."""
    picture = pyvips.Image.new_from_file(str(path)).copy_memory()
    partial = path.with_name(f".{path.name}")
    picture.write_to_file(f"{partial}[palette,Q=95,effort=10,compression=9,strip]")
    partial.replace(path)


if __name__ == "__main__":
    run(main)
