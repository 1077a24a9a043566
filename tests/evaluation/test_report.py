from __future__ import annotations

import contextlib
import csv
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.evaluation import ranking, report
from support.mutations import COUNTS, mutated


def evaluation(model: str, psnr_y: float, ssim_y: float = 0.8, *, scale: int = 4, **other: Any) -> dict[str, Any]:
    image = {"psnr_y": psnr_y, "ssim_y": ssim_y, **other}
    return {
        "model": model,
        "scale": scale,
        "params": None if model == "bicubic" else 143_568,
        "protocol": {"convention": "float", "border": scale, "lr_made": []},
        "sets": {"Set5": {**image, "images": {"baby": image, "bird": image}}},
    }


def test_one_evaluation_is_an_object_and_several_a_list(tmp_path: Path) -> None:
    one, two = evaluation("a", 30.5), evaluation("b", 31.5)
    assert json.loads(report.to_json([one])) == one
    assert json.loads(report.to_json([one, two])) == [one, two]
    for evaluations in ([one], [one, two]):
        (tmp_path / "e.json").write_text(report.to_json(evaluations))
        assert report.from_json(tmp_path / "e.json") == evaluations


def test_infinite_psnr_survives_json_that_has_no_infinity(tmp_path: Path) -> None:
    text = report.to_json([evaluation("a", math.inf, 1.0)])
    assert json.loads(text)["sets"]["Set5"]["psnr_y"] is None
    (tmp_path / "e.json").write_text(text)
    (read,) = report.from_json(tmp_path / "e.json")
    assert read == evaluation("a", math.inf, 1.0)
    assert "| inf / 1.0000 |" in ranking.to_markdown([read])


@pytest.mark.parametrize("text", ["", "[]x", "3", "[3]", "{}", '{"model": "a", "scale": 4, "params": 1, "sets": [1]}'])
def test_files_that_hold_no_evaluation_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "e.json"
    path.write_text(text)
    with pytest.raises(BadDataError, match=r"e\.json: expected evaluations"):
        report.from_json(path)
    with pytest.raises(BadDataError, match=r"absent\.json: expected evaluations"):
        report.from_json(tmp_path / "absent.json")


@pytest.mark.thorough
@pytest.mark.parametrize("count", COUNTS)
def test_damaged_evaluations_are_refused_or_can_be_shown(tmp_path: Path, count: int) -> None:
    path = tmp_path / "e.json"
    both = [evaluation("a", 30.5, lpips=0.25), evaluation("b", math.inf, scale=2)]
    refused = 0
    for content in mutated(report.to_json(both).encode(), count):
        path.write_bytes(content)
        try:
            read = report.from_json(path)
        except BadDataError:
            refused += 1
            continue
        with contextlib.suppress(BadArgumentError):  # measured by several protocols
            report.write(tmp_path / "table.md", ranking.to_markdown(read))
        report.write(tmp_path / "e.csv", report.to_csv(read))
        report.to_json(read)
    assert count // 4 < refused < count


def test_a_pipe_that_nobody_writes_to_is_no_evaluation(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadDataError, match=r"pipe: expected evaluations"):
        report.from_json(tmp_path / "pipe")


def test_csv_has_a_row_per_image_and_per_mean() -> None:
    rows = list(csv.DictReader(report.to_csv([evaluation("a,b", 30.5), evaluation("c", 31.5, lpips=0.2)]).splitlines()))
    assert [row["image"] for row in rows] == ["baby", "bird", "mean"] * 2
    assert list(rows[0]) == ["model", "scale", "set", "image", "psnr_y", "ssim_y", "lpips"]
    assert (rows[0]["model"], rows[0]["psnr_y"], rows[0]["lpips"]) == ("a,b", "30.5", "")
    assert rows[5] == {**rows[3], "image": "mean"}


def cells(table: str, row: int) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[4 + row].strip("|").split(" | ")]


def test_best_and_second_best_are_marked_as_they_are_printed() -> None:
    table = ranking.to_markdown(
        [
            evaluation("bicubic", 28.43, 0.8111, lpips=0.3),
            evaluation("a", 32.601, 0.9, lpips=0.1),
            evaluation("b", 32.604, 0.89999, lpips=0.2),
        ]
    )
    assert table.startswith("x4: PSNR-Y / SSIM-Y / LPIPS, float convention, border 4\n")
    assert cells(table, 0) == ["bicubic", "", "<u>28.43</u> / <u>0.8111</u> / 0.3000"]
    assert cells(table, 1) == ["a", "143,568", "**32.60** / **0.9000** / **0.1000**"]
    assert cells(table, 2) == ["b", "143,568", "**32.60** / **0.9000** / <u>0.2000</u>"]


def test_a_single_row_has_no_marks_and_a_missing_set_a_dash() -> None:
    first, second = evaluation("a", 30.0), evaluation("b", 31.0)
    assert "**" not in ranking.to_markdown([first])
    second["sets"] = {"B100": second["sets"]["Set5"]}
    table = ranking.to_markdown([first, second])
    assert cells(table, 0)[2:] == ["**30.00** / **0.8000**", "- / -"]


def with_pictures(model: str, psnr_y: float, *names: str) -> dict[str, Any]:
    found = evaluation(model, psnr_y)
    found["sets"]["Set5"]["images"] = {name: {"psnr_y": psnr_y, "ssim_y": 0.8} for name in names}
    return found


def test_a_mean_over_other_pictures_is_not_ranked() -> None:
    rows = [
        with_pictures("a", 30.0, "baby", "bird"),
        with_pictures("made", 35.0, "baby"),
        with_pictures("b", 31.0, "baby", "bird"),
        with_pictures("others", 36.0, "x", "y"),
    ]
    table = ranking.to_markdown(rows)
    assert [cells(table, row)[-1] for row in range(4)] == [
        "<u>30.00</u> / **0.8000**",
        "35.00 / 0.8000 (1 of 2)",
        "**31.00** / **0.8000**",
        "36.00 / 0.8000 (2 other)",
    ]
    assert table.splitlines()[0].endswith(
        "border 4, made not ranked on Set5 with 1 of 2 pictures, others not ranked on Set5 with 2 other pictures"
    )
    assert "**" not in ranking.to_markdown(rows[:2])


def test_a_picture_that_no_row_has_leaves_the_rows_comparable() -> None:
    rows = [with_pictures("a", 30.0, "baby"), with_pictures("b", 31.0, "baby")]
    for row in rows:
        row["sets"]["Set5"]["left_out"] = {"bird": "damaged"}
    table = ranking.to_markdown(rows)
    assert table.splitlines()[0].endswith("border 4, 1 of 2 pictures of Set5")
    assert cells(table, 1)[-1] == "**31.00** / **0.8000**"


def test_each_scale_has_its_table_and_pipes_are_escaped() -> None:
    table = ranking.to_markdown([evaluation("a|b", 30.0, scale=4), evaluation("a", 33.0, scale=2)])
    assert table.index("x2: ") < table.index("x4: ")
    assert r"a\|b" in table
    assert "**" not in table


def test_figures_measured_differently_are_not_put_side_by_side() -> None:
    first, second, published = evaluation("a", 30.0), evaluation("b", 31.0), evaluation("paper", 32.0)
    second["protocol"]["border"] = 0
    with pytest.raises(
        BadArgumentError, match=r"b: expected figures measured like a's \(float, border 4\), found float, "
    ):
        ranking.to_markdown([first, second])
    del published["protocol"]
    assert "**32.00**" in ranking.to_markdown([first, published])


def test_sets_whose_lr_was_made_are_named() -> None:
    first = evaluation("a", 30.0)
    first["protocol"]["lr_made"] = ["Set5"]
    assert ranking.to_markdown([first]).splitlines()[0].endswith("border 4, LR of Set5 made by bicubic")


def test_rows_on_other_lr_are_not_ranked() -> None:
    first, second, third = (evaluation(name, psnr_y) for name, psnr_y in (("a", 30.0), ("b", 31.0), ("c", 29.0)))
    second["protocol"]["lr_made"] = ["Set5"]
    paper = {name: value for name, value in evaluation("paper", 32.0).items() if name != "protocol"}
    text = ranking.to_markdown([first, second, third, paper])
    caption, *_ = text.splitlines()
    assert caption.endswith("border 4, b not ranked on Set5 with LR by bicubic")
    cells = [line.split("|")[3].strip() for line in text.splitlines() if line.startswith("|")][2:]
    assert cells == [
        "<u>30.00</u> / **0.8000**",
        "31.00 / 0.8000 (LR by bicubic)",
        "29.00 / **0.8000**",
        "**32.00** / **0.8000**",
    ]
    third["protocol"].update(lr_made=["Set5"], lr_taken=["Set5"])
    assert "29.00 / 0.8000 (LR of other files)" in ranking.to_markdown([first, third])


def test_files_are_replaced_whole_and_folders_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "e.json"
    report.write(path, "one")
    report.write(path, "two")
    assert path.read_text() == "two"
    assert [each.name for each in path.parent.iterdir()] == ["e.json"]
    with pytest.raises(BadArgumentError, match="cannot be written"):
        report.write(path / "below", "three")
