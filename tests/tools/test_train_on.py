"""The queue of trainings: what its lines mean, what is done, and what a signal leaves."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "train_on.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_on", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lines_are_trainings_with_and_without_the_first_words(tool: ModuleType) -> None:
    text = """
    # the stable phase first
    lamnet train tiny_x4_stable --data set --out a --budget 2h  # two hours
    train a --data 'my set' --out b --cooldown 30m
    tiny_x2_short --data set --out c
    """
    assert tool.parse(text) == [
        ["tiny_x4_stable", "--data", "set", "--out", "a", "--budget", "2h"],
        ["a", "--data", "my set", "--out", "b", "--cooldown", "30m"],
        ["tiny_x2_short", "--data", "set", "--out", "c"],
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lamnet upscale a.png", "line 2: expected lamnet train ..., found lamnet upscale a.png"),
        ("tiny_x4 --data set", "line 2: expected a recipe, --data and --out"),
        ("tiny_x4 --data 'set --out a", "line 2: No closing quotation"),
        ("a --data s --out o", "line 2: expected each training once"),
    ],
)
def test_other_lines_are_refused(tool: ModuleType, line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tool.parse(f"train a --data s --out o\n{line}\n")


def test_the_status_is_one_line(tool: ModuleType) -> None:
    queue = tool.parse("a --data s --out 1\nb --data s --out 2\nc --data s --out 3")
    state = {
        "done": ["a --data s --out 1"],
        "now": "b --data s --out 2",
        "since": 0.0,
        "failed": {"c --data s --out 3": 1},
    }
    since = time.strftime("%H:%M", time.localtime(0))
    failed = "failed: train c --data s --out 3 (exit 1)"
    assert tool.status(queue, state, running=True, now=120.0) == (
        f"1 of 3 done, since {since} (2 min): train b --data s --out 2, {failed}"
    )
    assert tool.status(queue, state, running=False, now=120.0) == f"1 of 3 done, nothing runs, {failed}"
    assert (
        tool.status(queue[:1], {"done": ["a --data s --out 1"]}, running=False, now=0.0) == "1 of 1 done, nothing left"
    )


def _stand_in(tmp_path: Path) -> list[str]:
    """A command that writes its priority where --out says, fails for the recipe "bad", and sleeps for "long"."""
    script = tmp_path / "stand_in.py"
    script.write_text(
        "import os, sys, time\n"
        "recipe, out = sys.argv[1], sys.argv[sys.argv.index('--out') + 1]\n"
        "open(out, 'a').write(f'{os.nice(0)}\\n')\n"
        "time.sleep(60 * (recipe == 'long'))\n"
        "sys.exit(recipe == 'bad')\n"
    )
    return [sys.executable, str(script)]


@pytest.mark.thorough
def test_what_failed_is_passed_over_and_tried_again(tool: ModuleType, tmp_path: Path) -> None:
    command, queue = _stand_in(tmp_path), tmp_path / "queue.txt"
    lines = [f"{name} --data s --out {tmp_path / name}" for name in ("first", "bad", "last")]
    queue.write_text("\n".join(lines))
    for _ in range(2):
        assert tool.run(queue, command) == 1
    assert (tmp_path / "first").read_text() == (tmp_path / "last").read_text() == f"{min(19, os.nice(0) + 19)}\n"
    assert (tmp_path / "bad").read_text() == "19\n19\n"
    state = json.loads((tmp_path / "queue.txt.state.json").read_text())
    assert (state["done"], state["failed"]) == ([lines[0], lines[2]], {lines[1]: 1})


def test_a_signal_reaches_the_training_and_ends_the_queue(tool: ModuleType, tmp_path: Path) -> None:
    queue = tmp_path / "queue.txt"
    queue.write_text(f"long --data s --out {tmp_path / 'out'}\nnext --data s --out {tmp_path / 'next'}")
    code = f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); import train_on; from pathlib import Path; "
    code += f"sys.exit(train_on.run(Path({str(queue)!r}), {_stand_in(tmp_path)!r}))"
    process = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / "out").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert not (tmp_path / "next").exists()
    assert tool.waiting(tool.parse(queue.read_text()), tool.State(queue).read()) == tool.parse(queue.read_text())
