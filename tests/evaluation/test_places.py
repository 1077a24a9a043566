"""What an evaluation writes is none of its inputs, and each file has a place of its own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from lamnet.base.errors import BadArgumentError
from lamnet.base.progress import finish
from lamnet.cli import main
from lamnet.core import shipped
from lamnet.evaluation import places
from lamnet.evaluation.comparison import comparing
from lamnet.media import arrays


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "B").mkdir(parents=True)
    arrays.write_array(tmp_path / "data" / "B" / "a.png", np.full((40, 40, 3), 90, np.uint8))
    return tmp_path / "data"


def refused(data: Path, *options: object) -> str:
    """The error of `lamnet evaluate`, which must leave every file as it was."""
    files = {path: path.read_bytes() for path in data.parent.rglob("*") if path.is_file()}
    with pytest.raises(BadArgumentError) as raised:
        main.app(["evaluate", "--data", str(data), "--scale", "2", *map(str, options)])
    assert {path: path.read_bytes() for path in data.parent.rglob("*") if path.is_file()} == files
    return str(raised.value)


@pytest.mark.parametrize("option", ["--json", "--csv", "--markdown"])
def test_inputs_are_not_overwritten(data: Path, tmp_path: Path, option: str) -> None:
    earlier, weights, hr = tmp_path / "a.json", tmp_path / "m.safetensors", data / "B" / "a.png"
    for path in (earlier, weights):
        path.write_text("precious")
    (tmp_path / "other.json").hardlink_to(earlier)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.png").write_bytes(hr.read_bytes())
    name = option.removeprefix("--")
    assert refused(data, "bicubic", "--compare", earlier, option, earlier) == (
        f"{earlier}: expected a file for {name} that is no input, found {earlier}"
    )
    assert f"found {earlier}" in refused(data, "bicubic", "--compare", earlier, option, tmp_path / "other.json")
    assert f"found {weights}" in refused(data, weights, option, weights)
    assert f"found {weights}" in refused(data, f"spandrel:{weights}", option, weights)
    assert f"found {hr}" in refused(data, "bicubic", option, hr)
    result = tmp_path / "results" / "a.png"
    assert f"found {result}" in refused(data, "--results", tmp_path / "results", option, result)


def test_outputs_do_not_overwrite_each_other(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "x"
    assert refused(data, "bicubic", "--json", out, "--csv", tmp_path / "data" / ".." / "x") == (
        f"{tmp_path / 'data' / '..' / 'x'}: expected a file of its own for csv, found that of json"
    )
    assert "for markdown, found that of csv" in refused(data, "bicubic", "--csv", out, "--markdown", out)


def test_an_earlier_output_is_replaced(data: Path, tmp_path: Path) -> None:
    (data / "notes.json").write_text("{}")
    places.prepare({"json": data / "notes.json", "csv": tmp_path / "new" / "a.csv"}, [tmp_path / "absent"], [data])
    assert (tmp_path / "new").is_dir()


def test_pictures_are_found_through_links_once(data: Path) -> None:
    (data / "linked").symlink_to(data / "B")
    (data / "linked" / "again").symlink_to(data)
    assert [path.name for path in places.pictures(data)] == ["a.png"]


def test_models_that_would_share_a_folder_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadArgumentError, match=r"found .*made/bicubic for bicubic and bicubic"):
        finish(comparing(["bicubic", "bicubic"], 2, data, save=tmp_path / "made"))
    assert not (tmp_path / "made").exists()


def test_names_that_differ_in_dots_alone_are_both_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    weights = shipped.shipped_path("tiny", 2).read_bytes()
    for folder in (tmp_path / "m", data / "m"):
        folder.mkdir()
        (folder / "w.safetensors").write_bytes(weights)
    both = "for ../m/w.safetensors and m/w.safetensors"
    with pytest.raises(BadArgumentError, match=re.escape(both)):
        finish(comparing(["../m/w.safetensors", "m/w.safetensors"], 2, data, ["B"], save=tmp_path / "made"))
    assert not (tmp_path / "made").exists()
