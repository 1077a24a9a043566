"""RESULTS.md is what its script writes, and quotes what was published."""

from __future__ import annotations

import csv
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SETS = ("Set5", "Set14", "B100", "Urban100", "Manga109")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "make_results.py"))


def test_results_are_up_to_date(script: dict[str, Any]) -> None:
    assert (ROOT / "RESULTS.md").read_text() == script["text"](), "run python docs/make_results.py"


def test_bicubic_rows_are_the_protocols(script: dict[str, Any]) -> None:
    expected = {2: ("33.67/.9303", "30.33/.8699", "29.56/.8434"), 4: ("28.43/.8111", "26.09/.7048", "25.96/.6681")}
    for scale, figures in expected.items():
        row = script["_own"]("bicubic", scale, ROOT / "docs" / "results" / f"bicubic_x{scale}.json")
        assert tuple(row[name] for name in ("Set5", "Set14", "B100")) == figures


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
