from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.evaluation import report
from lamnet.figures.performance import create, draw, gather, read_times
from support.figures import assert_readable
from support.mutations import COUNTS, mutated

SPEED = {"tiny": (0.07, 9), "base": (0.5, 48.9), "swinir-light": (6.0, 63.6), "span": (0.26, 28)}
QUALITY = {"tiny": 31.0, "base": 32.3, "swinir-light": 32.44, "span": 32.2}


def row(
    model: str, seconds: float | None, giga: float, precision: str = "float32", task: str = "image"
) -> dict[str, Any]:
    candidate = {"model": model, "backend": "", "precision": precision, "how": "eager", "task": task}
    return {"candidate": candidate, "multiply_adds": round(giga * 1e9), "median_s": seconds}


def times() -> dict[str, Any]:
    """The part of a benchmark's report that the figure reads."""
    rows = [row(model, seconds, giga) for model, (seconds, giga) in SPEED.items()]
    rows += [row("tiny", 0.09, 9), row("tiny", 0.01, 9, "bfloat16"), row("tiny", 0.02, 9, task="patches")]
    setting = {"scale": 4, "output_size": [720, 1280], "device": "cpu", "threads": 2}
    return {"setting": setting, "rows": [*rows, row("large", None, 60.2)]}


def evaluation(model: str, psnr: float, scale: int = 4) -> dict[str, Any]:
    return {"model": model, "scale": scale, "params": 1, "sets": {"Set5": {"psnr_y": psnr, "ssim_y": 0.9}}}


def test_circles_are_the_fastest_times_and_the_psnr() -> None:
    evaluations = {model: evaluation(model, psnr) for model, psnr in QUALITY.items()}
    found = gather(evaluations, times(), "Set5", "float32")
    figure = draw(found)
    (axes,) = figure.axes
    (circles,) = axes.collections
    drawn = dict(zip([point.model for point in found.points], circles.get_offsets().tolist(), strict=True))
    assert drawn == {model: [1000 * SPEED[model][0], QUALITY[model]] for model in QUALITY}
    areas = dict(zip([point.model for point in found.points], circles.get_sizes(), strict=True))
    assert areas["base"] / areas["tiny"] == pytest.approx(48.9 / 9)
    assert sorted(text.get_text() for text in axes.texts) == [
        "LAMNet-base\n48.9 G",
        "LAMNet-tiny\n9.0 G",
        "span\n28.0 G",
        "swinir-light\n63.6 G",
    ]
    assert axes.get_xlabel() == "milliseconds (1280x720 output, float32, cpu)"
    assert axes.get_ylabel() == "PSNR-Y (dB), Set5 x4"
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(box.overlaps(other) for index, box in enumerate(boxes) for other in boxes[index + 1 :])
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and box.y1 <= axes.bbox.y1 for box in boxes)


def test_create_reads_files_and_names(tmp_path: Path) -> None:
    (tmp_path / "ours.json").write_text(
        report.to_json([evaluation(model, QUALITY[model]) for model in ("tiny", "base")])
    )
    (tmp_path / "peer.json").write_text(report.to_json([evaluation("spandrel:weights/002.pth", 32.44)]))
    (tmp_path / "bench.json").write_text(json.dumps(times()))
    quality = [str(tmp_path / "ours.json"), f"swinir-light={tmp_path / 'peer.json'}"]
    found = create(quality, tmp_path / "bench.json", "Set5", "float32", tmp_path / "figure.png")
    assert [point.model for point in found.points] == ["swinir-light", "base", "tiny"]
    with pytest.raises(BadArgumentError, match="found tiny again"):
        create([quality[0]] * 2, tmp_path / "bench.json", "Set5", "float32", tmp_path / "figure.png")
    with pytest.raises(BadArgumentError, match="expected one model in a file with a name, found 2"):
        create([f"x={tmp_path / 'ours.json'}"], tmp_path / "bench.json", "Set5", "float32", tmp_path / "figure.png")
    with pytest.raises(BadDataError, match="expected times as bench"):
        create(quality, tmp_path / "ours.json", "Set5", "float32", tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("found", "set_name", "precision", "complaint"),
    [
        (evaluation("tiny", 31.0, 2), "Set5", "float32", "expected x4 as timed, found x2"),
        (evaluation("tiny", 31.0), "Set14", "float32", "expected an evaluation on Set14, found Set5"),
        (evaluation("tiny", 31.0), "Set5", "float16", "expected a time for an image in float16"),
        (evaluation("large", 31.0), "Set5", "float32", "large: expected a time"),
    ],
)
def test_what_does_not_join_is_refused(found: dict[str, Any], set_name: str, precision: str, complaint: str) -> None:
    with pytest.raises(BadDataError, match=complaint):
        gather({found["model"]: found}, times(), set_name, precision)


def test_a_model_without_a_time_is_left_out_and_named() -> None:
    evaluations = {model: evaluation(model, 31.0) for model in ("tiny", "large")}
    found = gather(evaluations, times(), "Set5", "float32")
    assert ([point.model for point in found.points], found.untimed) == (["tiny"], ("large",))


def test_one_point_is_a_figure() -> None:
    figure = draw(gather({"tiny": evaluation("tiny", 31.0)}, times(), "Set5", "float32"))
    assert_readable(figure)


def test_a_row_without_a_time_is_refused(tmp_path: Path) -> None:
    spoilt = times()
    del spoilt["rows"][0]["median_s"]
    (tmp_path / "times.json").write_text(json.dumps(spoilt))
    with pytest.raises(BadDataError, match="row 1: expected median_s, found none"):
        read_times(tmp_path / "times.json")


@pytest.mark.thorough
@pytest.mark.parametrize("count", COUNTS)
def test_damaged_times_are_refused_or_joined(tmp_path: Path, count: int) -> None:
    path, quality, refused = tmp_path / "times.json", tmp_path / "tiny.json", 0
    quality.write_text(report.to_json([evaluation("tiny", 31.0)]))
    for content in mutated(json.dumps(times()).encode(), count):
        path.write_bytes(content)
        try:
            found = read_times(path)
        except BadDataError as error:
            refused += "\n" not in str(error) and len(str(error)) < 1000
            continue
        try:
            joined = gather({"tiny": evaluation("tiny", 31.0)}, found, "Set5", "float32")
        except BadDataError:
            continue
        assert all(point.seconds > 0 < point.multiply_adds for point in joined.points)
    assert count // 4 < refused < count
