"""RESULTS.md is what its script writes, and quotes what was published."""

from __future__ import annotations

import csv
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from lamnet.core import shipped
from lamnet.evaluation import report

ROOT = Path(__file__).parents[2]
SETS = ("Set5", "Set14", "B100", "Urban100", "Manga109")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "make_results.py"))


@pytest.mark.thorough
def test_results_are_up_to_date(script: dict[str, Any]) -> None:
    assert (ROOT / "RESULTS.md").read_text() == script["text"](), "run python docs/make_results.py"


def test_the_page_of_speed_has_the_newest_run(script: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    assert page == script["speed"](), "run python docs/make_results.py"
    assert "| swinir-light | float32 | " in page


def test_bicubic_rows_are_the_protocols(script: dict[str, Any]) -> None:
    expected = {2: ("33.67/.9303", "30.33/.8699", "29.56/.8434"), 4: ("28.43/.8111", "26.09/.7048", "25.96/.6681")}
    for scale, figures in expected.items():
        row = script["_own"]("bicubic", scale, ROOT / "docs" / "results" / f"bicubic_x{scale}.json")
        assert tuple(row[name] for name in ("Set5", "Set14", "B100")) == figures


@pytest.mark.parametrize("size", ["base", "tiny"])
def test_readme_has_the_same_figures(script: dict[str, Any], size: str) -> None:
    rows = (script["_own"](size, scale, ROOT / f"src/lamnet/pretrained/{size}_x{scale}.json") for scale in (2, 3, 4))
    cells = [" / ".join(row[name].split("/")[0] for name in SETS[:3]) for row in rows]
    (line,) = (line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(f"| {size} ("))
    assert line.split(" | ")[1:] == [*cells[:2], f"{cells[2]} |"]


def test_the_page_on_the_paper_has_the_same_figures(script: dict[str, Any]) -> None:
    row = script["_own"]("base", 4, ROOT / "src/lamnet/pretrained/base_x4.json")
    figures = [row[name].split("/")[0] for name in SETS[:3]] + [script["urban100_of"]("base", 4), "-"]
    assert f"| base x4 as it ships here | {' | '.join(figures)} |" in (ROOT / "docs" / "reproducing.md").read_text()


def test_published_figures_are_quoted_right(shared: Path) -> None:
    lines = (shared / "PUBLISHED.md").read_text().splitlines()
    with (ROOT / "docs" / "results" / "published.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 26
    for row in rows:
        name = row["model"].removesuffix(", as papers print it").removesuffix("-light")
        figures = [figure for column in SETS for figure in row[column].split("/") if figure]
        assert any(
            name.lower() in line.lower() and all(re.search(rf"(?<![\d.]){re.escape(f)}(?!\d)", line) for f in figures)
            for line in lines
        ), row


def test_the_figures_of_the_docs_are_there_and_small() -> None:
    named = re.findall(r"\]\((figures/\w+\.png)\)", (ROOT / "docs" / "figures.md").read_text())
    assert len(named) == 5
    assert all((ROOT / "docs" / name).stat().st_size < 300_000 for name in named)


@pytest.mark.parametrize("one", [one for one in shipped.shipped() if one.scale > 1], ids=str)
def test_the_runs_of_the_log_end_in_the_weights_that_ship(script: dict[str, Any], one: shipped.Shipped) -> None:
    """Else a weight ships whose pixels nobody has counted."""
    seen = script["training_seen"].seen(script["training_seen"].shipped(one.size, one.scale, one.variant))
    stem = f"{one.size}_x{one.scale}" + ("_photo" if one.variant == "photo" else "")
    (evaluation,) = report.from_json(ROOT / "src" / "lamnet" / "pretrained" / f"{stem}.json")
    for name in ("Set5", "Set14", "B100"):
        assert seen.psnr[name.lower()] == pytest.approx(evaluation["sets"][name]["psnr_y"], abs=0.0051)


def test_a_body_counts_with_all_that_it_has_seen(script: dict[str, Any]) -> None:
    seen = script["training_seen"]
    assert seen.chain("tiny-x3-1") == ["tiny-x4-1", "tiny-x3-1"]
    assert seen.seen("tiny-x3-1").megapixels == pytest.approx(62.3 + 20.4)
    assert seen.seen("tiny-x3-1").minutes == 95 + 13


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_photo_weights_keep_clean_pictures_clean(scale: int) -> None:
    """What photo's ranges are judged by: little is lost on clean pictures, and much is won over bicubic on others."""
    rows = report.from_json(ROOT / "docs" / "results" / f"conditions_x{scale}.json")
    psnr = {(row["model"], row["protocol"]["degrade"]): row["sets"]["Set14"]["psnr_y"] for row in rows}
    for size in {one.size for one in shipped.shipped() if (one.scale, one.variant) == (scale, "photo")}:
        photo = {condition: value for (model, condition), value in psnr.items() if model == f"{size}:photo"}
        assert photo["clean"] > psnr[size, "clean"] - 0.6
        assert all(value > psnr["bicubic", condition] + 0.5 for condition, value in photo.items())
