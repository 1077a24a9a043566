"""Validation during a training: when it is done and what it records."""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamnet.base import interrupts
from lamnet.base.errors import BadDataError
from lamnet.evaluation.comparison import evaluate
from lamnet.figures import curve
from lamnet.training.loop import Run, train
from lamnet.training.monitor import Metrics, Monitor
from support.sets import photographs, prepared, recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


def _lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.thorough
def test_the_weights_that_a_training_starts_from_are_its_step_0(data: Path, tmp_path: Path) -> None:
    valid = photographs(tmp_path / "valid", [(48, 60)])
    start = train(recipe(), data, tmp_path / "first")
    train(recipe(seed=1), data, tmp_path / "second", valid, start)
    lines = _lines(tmp_path / "second")
    assert [line["step"] for line in lines] == [0, 2, 4, 5]
    expected = evaluate(str(start), recipe().scale, valid)["sets"]["valid"]["psnr_y"]
    assert lines[0] == {"step": 0, "elapsed_s": 0.0, "psnr_y": pytest.approx(expected)}


@pytest.mark.thorough
def test_a_training_without_start_has_no_step_0(data: Path, tmp_path: Path) -> None:
    train(recipe(), data, tmp_path / "run", photographs(tmp_path / "valid", [(48, 60)]))
    assert _lines(tmp_path / "run")[0]["step"] == 2


@pytest.mark.thorough
def test_several_sets_are_recorded_each_and_as_their_mean(data: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        photographs(tmp_path / "valid" / name, [(48, 60)], seed=seed)
    train(recipe(), data, tmp_path / "run", tmp_path / "valid")
    last = _lines(tmp_path / "run")[-1]
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    each = {f"psnr_y/{name}": one["psnr_y"] for name, one in evaluation["sets"].items()}
    assert set(each) == {"psnr_y/one", "psnr_y/two"}
    assert {name: last[name] for name in each} == each
    assert last["psnr_y"] == pytest.approx(sum(each.values()) / 2)


@pytest.mark.thorough
def test_a_finished_training_started_again_is_shown_as_done(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    train(recipe(), data, tmp_path)
    capfd.readouterr()
    monkeypatch.setenv("FORCE_COLOR", "1")
    train(recipe(), data, tmp_path)
    shown = capfd.readouterr().err
    assert "100%" in shown
    assert " 0%" not in shown


def test_a_validation_set_of_which_a_picture_cannot_be_measured_is_refused(data: Path, tmp_path: Path) -> None:
    valid = photographs(tmp_path / "valid", [(48, 60), (48, 60)])
    path = sorted(valid.iterdir())[0]
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(
        BadDataError, match=rf"valid: expected pictures that can all be measured, found valid {path.stem}: "
    ):
        train(recipe(), data, tmp_path / "run", valid)


def test_damaged_pixels_of_validation_pictures_are_named_before_the_first_step(data: Path, tmp_path: Path) -> None:
    """Their headers are whole; without a look at the pixels the mean would be over fewer pictures, or the training end late."""
    valid = photographs(tmp_path / "valid", [(48, 60), (48, 60), (48, 60)])
    first, _, last = sorted(valid.iterdir())
    for path in (first, last):
        path.write_bytes(path.read_bytes()[:-40])
    found = rf"found valid {first.stem}: .*{first.name}: .*; {last.stem}: .*{last.name}: "
    with pytest.raises(BadDataError, match=rf"valid: expected pictures that can all be measured, {found}"):
        train(recipe(), data, tmp_path / "run", valid)
    assert not (tmp_path / "run").exists()


@pytest.mark.thorough
def test_damaged_lr_of_a_benchmark_is_named_before_the_first_step(data: Path, tmp_path: Path) -> None:
    photographs(tmp_path / "set" / "HR", [(48, 60), (48, 60)])
    for path in photographs(tmp_path / "set" / "LR_bicubic" / "X4", [(12, 15), (12, 15)]).iterdir():
        if path.stem == "p1":
            path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadDataError, match=r"found set p1: .*X4.p1\.png: "):
        train(recipe(), data, tmp_path / "run", tmp_path / "set")


@pytest.mark.thorough
def test_a_network_that_does_not_enlarge_is_measured_on_jpegs(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    valid, run = photographs(tmp_path / "valid", [(48, 60)]), tmp_path / "run"
    start = train(recipe(steps=1), data, tmp_path / "first")
    made = train(recipe(scale=1, degradation="photo", steps=2), data, run, valid, start, tensorboard=True)
    expected = evaluate(str(made), 1, valid, degrade="jpeg50")["sets"]["valid"]["psnr_y"]
    lines = _lines(run)
    assert [(line["step"], line["degrade"]) for line in lines] == [(0, "jpeg50"), (2, "jpeg50")]
    assert lines[-1]["psnr_y"] == pytest.approx(expected)
    assert json.loads((run / "evaluation.json").read_text())["protocol"]["degrade"] == "jpeg50"
    assert (
        f"| set, jpeg50 | PSNR-Y, dB | SSIM-Y |\n|---|---|---|\n| valid | {expected:.2f} |"
        in (run / "card.md").read_text()
    )
    assert f"PSNR {expected:.2f} dB (jpeg50)" in " ".join(capfd.readouterr().err.split())
    picture = EventAccumulator(str(run / "tensorboard")).Reload().Images("p0")[-1]
    assert (picture.step, picture.height, picture.width) == (2, 48, 60)


def _spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("lose", "reason"),
    [
        (Path.unlink, "found valid p1: is gone"),
        (_spoil, r"found valid p1: .*p1\.png: "),
        (lambda path: path.rename(path.with_name("q.png")), "found valid p1: is gone and 1 more"),
        (
            lambda path: path.parent.rename(path.parents[1] / "moved"),
            "valid: expected a folder of benchmark sets, found no",
        ),
    ],
)
def test_pictures_that_are_lost_do_not_end_the_training(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    lose: Callable[[Path], object],
    reason: str,
) -> None:
    """A mean over fewer pictures would look like another network."""
    valid = photographs(tmp_path / "valid", [(48, 60), (48, 60)])
    shown = Monitor.show

    def losing(monitor: Monitor, step: int, done: float, metrics: Metrics) -> None:
        shown(monitor, step, done, metrics)
        if step == 2:
            lose(valid / "p1.png")

    monkeypatch.setattr(Monitor, "show", losing)
    made = train(recipe(steps=4, valid_every=2, longer_ema=(0.5,)), data, tmp_path / "run", valid)
    assert [("psnr_y" in line) for line in _lines(tmp_path / "run")] == [True, False]
    said = " ".join(capfd.readouterr().err.split())
    assert re.search(f"step 4 is not validated and the training goes on, as the pictures .* same: .*{reason}", said)
    assert re.search(f"the weights are not measured, as the pictures .* same: .*{reason}", said)
    assert made.exists()
    assert not (tmp_path / "run" / "evaluation.json").exists()


@pytest.mark.thorough
def test_a_training_validates_when_it_is_told_to(data: Path, tmp_path: Path) -> None:
    valid = photographs(tmp_path / "valid", [(48, 60)])
    train(recipe(log_every=2, valid_every=3), data, tmp_path / "run", valid)
    lines = _lines(tmp_path / "run")
    assert [line["step"] for line in lines] == [2, 3, 4, 5]
    assert [line["step"] for line in lines if "psnr_y" in line] == [3, 5]


@pytest.mark.thorough
def test_an_infinite_psnr_is_null_and_the_training_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    valid = photographs(tmp_path / "valid", [(48, 60)])

    def equal(*given: Any, **options: Any) -> dict[str, Any]:
        found = evaluate(*given, **options)
        found["sets"]["valid"]["psnr_y"] = math.inf
        return found

    monkeypatch.setattr("lamnet.training.validation.evaluate", equal)
    train(recipe(steps=3), data, tmp_path / "run", valid)
    assert all(line["psnr_y"] is None for line in _lines(tmp_path / "run") if "psnr_y" in line)
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["sets"]["valid"]["psnr_y"] is None
    drawn = curve.create([tmp_path / "run"], tmp_path / "curve.png")
    assert "psnr_y" not in drawn["run"][-1]
    train(recipe(steps=3), data, tmp_path / "run", valid)  # which reads them again


@pytest.mark.thorough
def test_a_signal_before_the_first_step_leaves_a_state_to_go_on_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    valid, stable = photographs(tmp_path / "valid", [(48, 60)]), recipe(schedule="stable")
    start = train(recipe(), data, tmp_path / "start")
    with monkeypatch.context() as patched:
        patched.setattr(Run, "validate_start", lambda *_: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(interrupts.Stopped):
            train(stable, data, tmp_path / "run", valid, start)
    assert (tmp_path / "run" / "checkpoint.pt").exists()
    train(stable, data, tmp_path / "run", valid, start)
    assert _lines(tmp_path / "run")[-1]["step"] == 5
