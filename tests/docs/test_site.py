"""The site: it builds with no dead link and fetches nothing, its reference is the public API, its notebooks run."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

import lamnet
import make_site
from check_site import faults
from support.documents import DOCS, ROOT

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.mark.thorough
@pytest.mark.skipif(
    importlib.util.find_spec("zensical") is None, reason="zensical is not installed; pip install -e '.[docs]'"
)
def test_site_builds(tmp_path: Path) -> None:
    script = ROOT / "tools" / "make_site.py"
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    reference = (tmp_path / "site" / "reference.html").read_text(encoding="utf-8")
    assert "bytes that the process may use in all" in reference  # of Upscaler's docstring
    speed = (tmp_path / "site" / "speed.html").read_text(encoding="utf-8")
    assert "swinir-light</td>" in speed
    help_of_train = (tmp_path / "site" / "commands.html").read_text(encoding="utf-8")
    assert "Number of patches a step" in help_of_train


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="b.html">', None),
        ('<a href="b.html#here">', None),
        ('<a href="https://example.org">', None),
        ('<a href="c.html">', "links to c.html, which is not there"),
        ('<img src="c.png">', "links to c.png, which is not there"),
        ('<a href="b.html#there">', "links to b.html#there, an anchor which is not there"),
        ('<a href="#there">', "links to #there, an anchor which is not there"),
        ('<script src="https://example.org/a.js"></script>', "fetches https://example.org/a.js"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "fetches //example.org/a.css"),
        ('<img src="https://example.org/a.png">', "fetches https://example.org/a.png"),
    ],
)
def test_faults_of_a_page(page: str, fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(page)
    (tmp_path / "b.html").write_text('<h1 id="here">')
    assert list(faults(tmp_path)) == ([f"a.html: {fault}"] if fault else [])


def test_faults_of_a_style_sheet(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a { background: url(b.png) } @import 'https://example.org/font.css';")
    assert list(faults(tmp_path)) == ["a.css: fetches https://example.org/font.css"]


PLACES = {PurePosixPath("docs/a.md"): PurePosixPath("a.md"), PurePosixPath("README.md"): PurePosixPath("index.md")}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[home](../README.md)", "[home](index.md)"),
        ("[home](../README.md#what-it-does)", "[home](index.md#what-it-does)"),
        ("[the `C`](../src/lamnet/ops/csrc)", "the `C`"),
        ("[cards](../src/lamnet/pretrained)", "[cards](models/index.md)"),
        ("`x[0](y.md)` [a](#b) <https://example.org> [c](https://example.org/d.md)",) * 2,
        ("```python\nx[0](y)\n```\n",) * 2,
    ],
)
def test_links_fit_the_site(before: str, after: str) -> None:
    assert make_site._linked(before, PurePosixPath("docs/a.md"), PLACES) == after


def test_a_link_to_what_is_nowhere_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"docs/a\.md: links to nowhere\.md, which is not there"):
        make_site._linked("[x](nowhere.md)", PurePosixPath("docs/a.md"), PLACES)


def test_reference_has_all_that_is_public() -> None:
    named = re.findall(r"^::: lamnet\.(\w+)$", (DOCS / "reference.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(lamnet.__all__)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_valid_and_hold_no_outputs(path: Path) -> None:
    book = json.loads(path.read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    assert all(not cell["outputs"] for cell in book["cells"] if cell["cell_type"] == "code")


@pytest.mark.thorough
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, cell in enumerate(cells, 1):
            exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), names)


def test_the_three_notebooks_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["ablate", "enlarge", "train"]
