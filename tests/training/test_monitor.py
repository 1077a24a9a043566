"""The record of a training."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lamnet.base.errors import BadDataError, MissingExtraError
from lamnet.base.lines import one_line
from lamnet.training import monitor
from lamnet.training.monitor import Monitor
from support.mutations import COUNTS, mutated

METRICS = {"loss": 0.5, "images_per_s": 2.0}


def test_lines_of_steps_that_were_not_saved_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"st')
    with Monitor(tmp_path, 4) as monitor:
        monitor.show(5, 0.5, METRICS)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 2},
        {"step": 4},
        {"step": 5, **METRICS},
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_other_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 2}\n[]\n')
    with pytest.raises(BadDataError, match=r"metrics\.jsonl: expected an object with a step in line 2, found '\[\]"):
        Monitor(tmp_path, 4)


def test_all_workers_but_the_first_do_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Monitor(tmp_path, 0, active=False, tensorboard=True) as monitor:
        monitor.say("a line")
        monitor.show(1, 0.5, METRICS)
        assert not monitor.wants_pictures
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["[/x].png", "[red]a.png", "a" * 200, "b\n.png", "\udcff.png"])
def test_lines_name_whatever_there_is(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    with Monitor(tmp_path, 0) as monitor:
        monitor.say(f"never drawn: {name}")
    assert f"never drawn: {one_line(name)}\n" in capfd.readouterr().err


@pytest.mark.thorough
@pytest.mark.parametrize("step", [0, 4])
def test_tensorboard_has_each_step_once_where_a_run_goes_on(tmp_path: Path, step: int) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recorded = range(0, step + 3, 2)
    with Monitor(tmp_path, 0, tensorboard=True) as monitor:
        for number in recorded:
            monitor.show(number, 0.5, METRICS)
    with Monitor(tmp_path, step, tensorboard=True) as monitor:
        for number in [step + 1, step + 2] if step else [0, 1, 2]:
            monitor.show(number, 0.5, METRICS)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    found = [event.step for event in events.Scalars("loss")]
    assert found == sorted({*range(0, step + 1, 2), step + 1, step + 2})


def test_without_tensorboard_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"lamnet-sr\[tensorboard\]"):
        Monitor(tmp_path, 0, tensorboard=True)


@pytest.mark.thorough
@pytest.mark.parametrize("count", COUNTS)
def test_damaged_records_are_refused_or_gone_on_with(tmp_path: Path, count: int) -> None:
    path = tmp_path / "metrics.jsonl"
    whole = "".join(json.dumps({"step": step, **METRICS}) + "\n" for step in range(1, 6)).encode()
    refused = 0
    for content in mutated(whole, count):
        path.write_bytes(content)
        try:
            monitor._drop_after(path, 3)
        except BadDataError:
            refused += 1
            continue
        assert all(json.loads(line)["step"] <= 3 for line in path.read_text().splitlines())
    assert count // 10 < refused < count
