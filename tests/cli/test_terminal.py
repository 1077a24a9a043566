"""Bars of tasks, results among progress, and lines that any terminal can print."""

from __future__ import annotations

import io
import sys

import pytest
from rich.progress import Progress as Bars

from lamnet.base.progress import Progress, Work
from lamnet.cli import terminal


def test_a_task_has_a_bar_until_it_is_over() -> None:
    display, bars = Bars(disable=True), {}
    for event in (Progress("all", 0.0), Progress("a [x].png", 0.5), Progress("all", 0.25)):
        terminal.show(display, bars, event)
    assert [(task.description, task.completed) for task in display.tasks] == [("all", 0.25), ("a [x].png", 0.5)]
    terminal.show(display, bars, Progress("a [x].png", 1.0))
    terminal.show(display, bars, Progress("kept.png", 1.0))
    assert [task.description for task in display.tasks] == list(bars) == ["all"]


def test_work_gives_its_result(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> Work[int]:
        yield Progress("half", 0.5)
        return 3

    assert terminal.shown(work()) == 3
    with terminal.without_progress([Progress("a", 0.5), "one", Progress("a", 1.0), "two"]) as others:
        assert list(others) == ["one", "two"]
    assert capsys.readouterr() == ("", "")


def test_letters_that_stdout_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.say("é日\udcff")
    assert stream.buffer.getvalue() == "é\\u65e5\\udcff\n".encode("latin-1")  # type: ignore[attr-defined]
