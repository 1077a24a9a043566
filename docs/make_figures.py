"""Draws the examples of docs/figures.md with the weights that ship, from photographs that come with scikit-image.

    python docs/make_figures.py [--model LABEL=MODEL ...] [RUN ...]

The training curves need the folders of runs, and are left as they are without. The performance figure shows published numbers.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import pyvips
from cyclopts import Parameter, run
from skimage import data

from lamnet.cli.terminal import shown
from lamnet.core import shipped
from lamnet.figures import attribution, compare, curve, layout, performance, receptive_field
from lamnet.figures.region import Region
from lamnet.media import arrays

DOCS = Path(__file__).parent
FIGURES, RESULTS = DOCS / "figures", DOCS / "results"
SCALE = 4
CAT, EYE = Region(80, 30, 256, 256), Region(68, 54, 56, 56)  # of chelsea, and of that part

PAPER_MS = {"LAMNet": 50, "LAMNet-large": 60, "SwinIR-light": 160, "HiT-SNG": 184, "SRFormer-light": 251}
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
    if runs:
        curve.create(runs, FIGURES / "curve.png")
    for path in (path for path in sorted(FIGURES.glob("*.png")) if path.stat().st_mtime >= began):
        _shrink(path)
        print(f"{path.relative_to(DOCS.parent)} {path.stat().st_size / 1024:.0f} KB")


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
