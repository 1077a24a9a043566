from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.figures.curve import create, draw, read
from support.figures import assert_readable
from support.mutations import COUNTS, mutated


def training(folder: Path, steps: int = 5) -> Path:
    """A run's folder, with the lines that training writes."""
    folder.mkdir(parents=True)
    lines: list[dict[str, float]] = []
    for step in range(1, steps + 1):
        line = {"step": step * 100, "loss": 0.1 / step, "lr": 1e-3, "images_per_s": 9.0, "elapsed_s": 1800.0 * step}
        lines.append(line | ({"psnr_y": 30.0 + step} if step % 2 == 0 else {}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.thorough
def test_lines_are_the_metrics(tmp_path: Path) -> None:
    curves = create([training(tmp_path / "a"), training(tmp_path / "b", 3)], tmp_path / "curve.png")
    figure = draw(curves)
    psnr, loss, rate = figure.axes
    assert [line.get_label() for line in psnr.lines] == ["a", "b"]
    assert [list(line.get_xdata()) for line in psnr.lines] == [[200, 400], [200]]
    assert list(psnr.lines[0].get_ydata()) == [32, 34]
    assert list(loss.lines[1].get_ydata()) == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert list(rate.lines[0].get_xdata()) == [100, 200, 300, 400, 500]
    assert loss.get_yscale() == "log"
    assert [axes.get_ylabel() for axes in figure.axes] == ["PSNR-Y (dB)", "L1 loss", "learning rate / 1e-3"]
    assert {line.get_linestyle() for line in loss.lines} == {"-", "--"}
    assert_readable(figure)


def test_a_single_value_is_visible(tmp_path: Path) -> None:
    figure = draw(create([training(tmp_path / "a", 1)], tmp_path / "curve.png"))
    assert all(line.get_marker() != "None" for axes in figure.axes for line in axes.lines)


def test_time_is_in_hours(tmp_path: Path) -> None:
    figure = draw({"a": read(training(tmp_path / "a"))}, "time")
    assert list(figure.axes[0].lines[0].get_xdata()) == [1.0, 2.0]
    assert figure.axes[-1].get_xlabel() == "hours"


def test_without_validation_there_is_no_psnr_plot(tmp_path: Path) -> None:
    figure = draw({"a": read(training(tmp_path / "a", 1))})
    assert [axes.get_ylabel() for axes in figure.axes] == ["L1 loss", "learning rate / 1e-3"]


def test_a_line_being_written_is_left_out(tmp_path: Path) -> None:
    run = training(tmp_path / "a", 3)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 400, "lo')
    assert [line["step"] for line in read(run)] == [100, 200, 300]


@pytest.mark.thorough
def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    runs = [training(tmp_path / "first" / "tiny_x4"), training(tmp_path / "second" / "tiny_x4")]
    assert list(create(runs, tmp_path / "curve.pdf")) == ["first/tiny_x4", "second/tiny_x4"]
    with pytest.raises(BadArgumentError, match="different folders"):
        create([runs[0], runs[0]], tmp_path / "curve.pdf")
    assert list(create([f"ours={runs[0]}", runs[1]], tmp_path / "curve.pdf")) == ["ours", "second/tiny_x4"]
    with pytest.raises(BadArgumentError, match="different labels, got a, a"):
        create([f"a={runs[0]}", f"a={runs[1]}"], tmp_path / "curve.pdf")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "found none yet"),
        ("[1]\n", "line 1: expected an object, found a list"),
        (json.dumps({"step": 1}) + "\n", "line 1, elapsed_s: expected a number, found None"),
        ('{"step": 1, "elapsed_s": 2, "loss": "low"}\n', "line 1, loss: expected a number, found 'low'"),
        ("{\n", "Expecting property name"),
        ("[" * 100_000 + "\n", "nested too deep"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, found: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(content)
    with pytest.raises(BadDataError, match=found):
        read(tmp_path)
    with pytest.raises(BadDataError, match=re.escape("no metrics.jsonl in it")):
        read(tmp_path / "absent")


@pytest.mark.thorough
@pytest.mark.parametrize("count", COUNTS)
def test_damaged_metrics_are_refused_or_numbers(tmp_path: Path, count: int) -> None:
    path, refused = training(tmp_path / "a") / "metrics.jsonl", 0
    for content in mutated(path.read_bytes(), count):
        path.write_bytes(content)
        try:
            lines = read(tmp_path / "a")
        except BadDataError as error:
            refused += "\n" not in str(error) and len(str(error)) < 1000
            continue
        assert all(abs(number) <= 1e300 for line in lines for number in line.values())
    assert count // 4 < refused < count
