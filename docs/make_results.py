"""Writes RESULTS.md from the evaluations that ship with the weights, docs/results/bicubic_x*.json and published.csv; and the
table in docs/speed.md from docs/log/bench.csv.

python docs/make_results.py
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lamnet.base.errors import BadDataError
from lamnet.core import config, shipped
from lamnet.evaluation import report
from lamnet.network import weights
from lamnet.network.complexity import complexity

sys.path.insert(0, str(Path(__file__).parent))
import training_seen

REPOSITORY = Path(__file__).parents[1]
RESULTS, PRETRAINED = REPOSITORY / "docs" / "results", REPOSITORY / "src" / "lamnet" / "pretrained"
SETS = ("Set5", "Set14", "B100", "Urban100", "Manga109")
COLUMNS = ("model", "trained on", "parameters K", "multiply-adds G", *SETS, "source")

SPEED = REPOSITORY / "docs" / "speed.md"
SPEED_COLUMNS = {
    "row": "network",
    "precision": "precision",
    "seconds": "seconds",
    "times_faster": "times faster than SwinIR-light",
}

INTRODUCTION = """\
# Results

PSNR (dB) / SSIM on Y, LR by MATLAB's bicubic. Written by `python docs/make_results.py`; change what it reads, not this file.

**Ours** are measured as `lamnet evaluate` does by default: Y unrounded, a border of as many pixels as the scale left out.
`BENCHMARKS` is a folder with Set5, Set14 and B100; the models that ship are in [src/lamnet/pretrained](src/lamnet/pretrained),
each with a card that says what it was trained on. Multiply-adds are those of a 1280x720 output, counted as
[complexity.py](src/lamnet/network/complexity.py) says.

**Published** rows are what papers and repositories print, not measured here; their protocols differ in details (the
bicubic rows show by how much), and so do their ways of counting multiply-adds. Marks: **I** from the authors' own table in
their repository, **R** from text in a repository, **Q** quoted by a later publication, **D** read off a plot; in brackets
where the source was noted at x2 only. LAMNet's parameters are counted from its architecture.
"""


SEEN = """\
## What each weight has seen

LR pixels of all training runs on the way to it, in millions, and hours of one or two cores that other work used as well, added up from
[training.csv](docs/log/training.csv); a body that another scale gave counts with all that it had seen. The paper's networks saw 131,000
million. Urban100 (PSNR-Y, x4) was measured on the whole set, and reported by {date};
the set is not in BENCHMARKS. "Before": of the weights before the last training.

{table}

![PSNR against pixels seen, ours and the paper's](docs/figures/pixels.png)

The figure is drawn by `python docs/make_figures.py`.
"""


PHOTOGRAPHS = """\
## Photographs as people have them

PSNR-Y (dB) on Set14 whose LR is spoilt as named: JPEG at a quality with 4:2:0 chroma, Gaussian noise of a deviation in 8-bit levels, a
Gaussian blur of so many HR pixels times the scale before it is made smaller. `tiny:photo` are the weights for such pictures; `lamnet upscale`
chooses them by itself. At x1 nothing is enlarged, and the row of bicubic is the spoilt picture itself.
"""


def text() -> str:
    """The whole of RESULTS.md."""
    with (RESULTS / "published.csv").open(newline="") as file:
        published = list(csv.DictReader(file))
    sections = [_section(scale, published) for scale in (2, 3, 4)]
    return "\n".join([INTRODUCTION, *sections, _seen(), PHOTOGRAPHS, *map(_conditions, (1, 2, 3, 4))])


def _section(scale: int, published: list[dict[str, str]]) -> str:
    rows = [_own("bicubic", scale, RESULTS / f"bicubic_x{scale}.json")]
    sizes = [size for size in config.SIZES if (size, scale, "clean") in shipped.shipped()]
    rows += [_own(size, scale, PRETRAINED / f"{size}_x{scale}.json") for size in sizes]
    rows += [{**row, "source": f"**{row['mark']}** {row['source']}"} for row in published if row["scale"] == str(scale)]
    lines = ["| " + " | ".join(row.get(column) or "-" for column in COLUMNS) + " |" for row in rows]
    commands = "\n".join(_commands(scale, sizes))
    return (
        f"## x{scale}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n" + "\n".join(lines) + "\n\n"
        f"The rows marked **ours**:\n\n```sh\n{commands}\n```\n"
    )


def urban100() -> dict[tuple[str, int], Mapping[str, str]]:
    """PSNR-Y (dB) on Urban100 by model and scale, with the run whose weights were measured, and the day."""
    with (RESULTS / "urban100.csv").open(newline="") as file:
        return {(row["model"], int(row["scale"])): row for row in csv.DictReader(file)}


def urban100_of(size: str, scale: int) -> str:
    """PSNR-Y (dB) on Urban100 of what ships; where its last run has not been measured, of what shipped before."""
    row = urban100().get((size, scale))
    if row is None:
        return "-"
    return row["psnr_y"] + ("" if row["run"] == training_seen.shipped(size, scale, "clean") else " before")


def _seen() -> str:
    urban = urban100()
    rows = ["| weights | LR megapixels | hours | Urban100 |", "|---|---|---|---|"]
    for one in shipped.shipped():
        seen = training_seen.seen(training_seen.shipped(one.size, one.scale, one.variant))
        psnr = urban100_of(one.size, one.scale) if one.variant == "clean" else "-"
        name = f"{one.size} x{one.scale}" + (" photo" if one.variant == "photo" else "")
        rows.append(f"| {name} | {seen.megapixels:.0f} | {seen.minutes / 60:.1f} | {psnr} |")
    rows.append(f"| bicubic x4 | - | - | {urban['bicubic', 4]['psnr_y']} |")
    return SEEN.format(table="\n".join(rows), date=urban["base", 4]["date"])


def _conditions(scale: int) -> str:
    evaluations = report.from_json(RESULTS / f"conditions_x{scale}.json")
    conditions = list(dict.fromkeys(one["protocol"]["degrade"] for one in evaluations))
    rows: dict[str, list[str]] = {}
    for one in evaluations:
        rows.setdefault(one["model"], []).append(f"{one['sets']['Set14']['psnr_y']:.2f}".replace("inf", "-"))
    lines = "\n".join(f"| {model} | {' | '.join(cells)} |" for model, cells in rows.items())
    command = (
        f"lamnet evaluate {' '.join(rows)} --scale {scale} --data BENCHMARKS --sets Set14 --metrics psnr_y "
        f"--degrade {','.join(conditions)} --json docs/results/conditions_x{scale}.json"
    )
    return f"| x{scale} | {' | '.join(conditions)} |\n|{'---|' * (len(conditions) + 1)}\n{lines}\n\n```sh\n{command}\n```\n"


def _own(model: str, scale: int, path: Path) -> Mapping[str, str]:
    (evaluation,) = report.from_json(path)
    row = {name: _cell(scores) for name, scores in evaluation["sets"].items()} | {"source": "**ours**"}
    if model == "bicubic":
        return row | {"model": "bicubic"}
    network = weights.load(model, scale)
    counted = complexity(network, scale)
    if counted.parameters != evaluation["params"]:
        raise BadDataError(
            f"{path}: expected the evaluation of {counted.parameters} parameters, found {evaluation['params']}"
        )
    return row | {
        "model": f"LAMNet {model}",
        "trained on": "its card",
        "parameters K": f"{counted.parameters / 1e3:.0f}",
        "multiply-adds G": f"{counted.multiply_adds / 1e9:.1f}",
    }


def _cell(scores: Mapping[str, Any]) -> str:
    return f"{scores['psnr_y']:.2f}/{scores['ssim_y']:.4f}".replace("/0.", "/.")


def _commands(scale: int, sizes: list[str]) -> Iterator[str]:
    evaluate = (
        f"lamnet evaluate {{}} --scale {scale} --data BENCHMARKS --sets Set5,Set14,B100 --json {{}}_x{scale}.json"
    )
    yield evaluate.format("bicubic", "docs/results/bicubic")
    for size in sizes:
        yield evaluate.format(size, f"src/lamnet/pretrained/{size}")


def speed() -> str:
    """docs/speed.md with the newest run of the benchmark `forward`: its table is all lines that begin with |, and one below."""
    with (REPOSITORY / "docs" / "log" / "bench.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["bench"] == "forward"]
    commit, date = rows[-1]["commit"], rows[-1]["date"]
    cells = [[row[name] or "-" for name in SPEED_COLUMNS] for row in rows if row["commit"] == commit]
    lines = [list(SPEED_COLUMNS.values()), ["---"] * len(SPEED_COLUMNS), *cells]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    found = f"{table}\n\n(Of {date}, commit {commit}.)\n"
    return re.sub(r"(^\|.*\n)+\n\(Of .*\)\n", lambda _: found, SPEED.read_text(encoding="utf-8"), flags=re.MULTILINE)


if __name__ == "__main__":
    report.write(REPOSITORY / "RESULTS.md", text())
    report.write(SPEED, speed())
