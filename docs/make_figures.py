"""Draws the examples of docs/figures.md with the weights that ship, from photographs that come with scikit-image.

    python docs/make_figures.py [--model LABEL=MODEL ...] [RUN ...]

The training curves need the folders of runs, the performance figure docs/results/bench.json (`lamnet bench --scale 4
--json docs/results/bench.json`); what is missing is left as it is.
"""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import pyvips
from cyclopts import Parameter, run
from skimage import data

from lamnet import images, report, weights
from lamnet.figures import attribution, compare, curve, performance, receptive_field
from lamnet.figures.region import Region
from lamnet.terminal import progress_bar

DOCS = Path(__file__).parent
FIGURES, RESULTS = DOCS / "figures", DOCS / "results"
PRETRAINED = DOCS.parent / "src" / "lamnet" / "pretrained"
SCALE = 4
CAT, EYE = Region(80, 30, 256, 256), Region(68, 54, 56, 56)  # of chelsea, and of that part


def main(*runs: Path, model: Annotated[list[str] | None, Parameter(negative=())] = None) -> None:
    """Draw everything that what is here allows."""
    models = model or [size for size, scale in weights.shipped() if scale == SCALE]
    FIGURES.mkdir(exist_ok=True)
    began = time.time()
    with TemporaryDirectory() as folder, progress_bar() as progress:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for name in ("astronaut", "chelsea", "coffee"):
            images.write_array(photos / f"{name}.png", getattr(data, name)())
        compare.create(photos / "coffee.png", models, SCALE, None, FIGURES / "compare.png", progress)
        cat = Path(folder) / "cat.png"
        images.write_array(cat, np.ascontiguousarray(CAT.of(data.chelsea())))
        attribution.create(cat, models, SCALE, EYE, FIGURES / "attribution.png", progress)
        receptive_field.create(photos, models, SCALE, FIGURES / "receptive_field.png", 65, progress)
        if (RESULTS / "bench.json").exists():
            quality = _quality(Path(folder))
            performance.create(quality, RESULTS / "bench.json", "Set5", "float32", FIGURES / "performance.png")
    if runs:
        curve.create(runs, FIGURES / "curve.png")
    for path in (path for path in sorted(FIGURES.glob("*.png")) if path.stat().st_mtime >= began):
        _shrink(path)
        print(f"{path.relative_to(DOCS.parent)} {path.stat().st_size / 1024:.0f} KB")


def _quality(folder: Path) -> list[str]:
    """Evaluation files of what was timed: ours as shipped, of others the PSNR that they published."""
    timed = {row["candidate"]["model"] for row in json.loads((RESULTS / "bench.json").read_text())["rows"]}
    found = [str(path) for path in PRETRAINED.glob(f"*_x{SCALE}.json") if path.stem.rpartition("_x")[0] in timed]
    with (RESULTS / "published.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            name = row["model"].lower()
            if row["scale"] == str(SCALE) and name in timed and row["Set5"]:
                psnr, ssim = map(float, row["Set5"].split("/"))
                scores = {"Set5": {"psnr_y": psnr, "ssim_y": ssim}}
                path = folder / f"{name}.json"
                path.write_text(report.to_json([{"model": name, "scale": SCALE, "params": None, "sets": scores}]))
                found.append(str(path))
    return found


def _shrink(path: Path) -> None:
    """256 colours instead of millions: a third of the bytes for a page on the web."""
    picture = pyvips.Image.new_from_file(str(path)).copy_memory()
    partial = path.with_name(f".{path.name}")
    picture.write_to_file(f"{partial}[palette,Q=95,effort=10,compression=9,strip]")
    partial.replace(path)


if __name__ == "__main__":
    run(main)
