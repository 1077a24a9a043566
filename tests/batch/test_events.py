"""The events that `local.run` yields for a Request, also for errors."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lamnet import Goal
from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.base.progress import Progress
from lamnet.batch import jobs, local, one
from lamnet.batch.jobs import Job
from lamnet.batch.outcome import Outcome, failed
from lamnet.batch.request import Request
from lamnet.batch.upscalers import load_networks
from lamnet.media import arrays
from lamnet.network import reading
from support.commands import Command

PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
TIFF_MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "F", "LAB", "I;16")
TINY = [
    *((mode, ".png") for mode in PNG_MODES),
    *((mode, ".tif") for mode in TIFF_MODES),
    *((mode, ".jpg") for mode in ("L", "RGB", "CMYK")),
    *((mode, ".webp") for mode in ("RGB", "RGBA")),
    *((mode, ".bmp") for mode in ("1", "L", "P", "RGB")),
    *((mode, ".avif") for mode in ("RGB", "RGBA")),
    ("P", ".gif"),
    ("L", ".pgm"),
    ("RGB", ".ppm"),
    ("F", ".pfm"),
    ("RGBA", ".tga"),
    ("L", ".jp2"),
]


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder of three pictures."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b", "c"):
        arrays.write_array(folder / f"{name}.png", np.zeros((5, 6, 3), np.uint8))
    return folder


def test_a_request_can_be_sent_to_other_machines() -> None:
    request = Request(("a.png", "s3://b/c"), "out/", Goal(width=300), "tiny", memory=10**9, manifest=Path("m.jsonl"))
    assert pickle.loads(pickle.dumps(request)) == request


def test_progress_of_each_picture_and_of_all(three: Path, model: Path) -> None:
    events = list(local.run(Request((str(three),), model=str(model), device="cpu")))
    outcomes = [event for event in events if isinstance(event, Outcome)]
    assert [outcome.target for outcome in outcomes] == [three / f"{name}_x4.png" for name in "abc"]
    progress: dict[str, list[float]] = {}
    for event in events:
        if isinstance(event, Progress):
            progress.setdefault(event.task, []).append(event.done)
    assert list(progress) == ["all", "a.png", "b.png", "c.png"]
    assert progress["all"] == [0, 1 / 3, 2 / 3, 1]
    assert all(done == sorted(done) and done[0] == 0 and done[-1] == 1 for done in progress.values())


def test_one_picture_needs_no_bar_for_all(three: Path, model: Path) -> None:
    request = Request((str(three / "a.png"),), model=str(model), device="cpu")
    assert all(event.done == 1 for event in local.run(request) if isinstance(event, Progress) and event.task == "all")


def test_folders_and_weights_are_read_once(three: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    walks: list[Path] = []
    read, scan = reading.read, os.scandir
    monkeypatch.setattr(reading, "read", lambda path: (reads.append(path), read(path))[1])
    monkeypatch.setattr(os, "scandir", lambda path: (walks.append(Path(path)), scan(path))[1])
    outcomes = [event for event in local.run(Request((str(three),), model=str(model), device="cpu")) if event]
    assert outcomes
    assert reads == [model]
    assert walks.count(three) == 1


def test_the_goal_is_that_of_the_weights_where_none_is_asked_for(model: Path) -> None:
    assert load_networks(Request((), model=str(model)))[1] == Goal(factor=4)
    assert load_networks(Request((), model="tiny"))[1] == Goal(factor=4)
    networks, goal = load_networks(Request((), goal=Goal(factor=1.5), model=str(model)))
    assert (goal, [network.scale for network in networks]) == (Goal(factor=1.5), [4])


def test_jobs_come_in_chunks_with_the_total_where_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK", 1000)
    many = (Job(Path(f"{number}.png"), Path(f"{number}_x2")) for number in range(2500))
    chunks = [(label, len(chunk)) for label, chunk in jobs.in_chunks(many)]
    assert chunks == [("1 to 1,000", 1000), ("1,001 to 2,000", 1000), ("2,001 to 2,500", 500)]
    [(label, [job])] = jobs.in_chunks(iter([Job(Path("a.png"), Path("a_x2"))]))
    assert (label, job.source.name) == ("all", "a.png")
    assert list(jobs.in_chunks(iter([]))) == []


def test_a_bug_in_one_picture_is_a_line_and_the_others_are_done(
    three: Path, upscale: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = one.write

    def broken(opened: one.Opened, task: str) -> Any:
        if task == "b.png":
            raise KeyError("a key\nof two lines")
        return (yield from write(opened, task))

    monkeypatch.setattr(one, "write", broken)
    done = upscale(three, "--manifest", three / "failed.jsonl")
    assert done.code == 1
    assert done.out == [str(three / "a_x4.png"), str(three / "c_x4.png")]
    [line] = done.err
    bug = "this is a bug in lamnet, please report it: KeyError: "
    assert line.startswith(f"lamnet: {three / 'b.png'}: {bug}")
    assert re.search(r"\(test_events\.py, line \d+\)$", line)
    assert bug in (three / "failed.jsonl").read_text()


def test_a_bug_ends_no_dry_run(three: Path, upscale: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    open_picture = one.opening.open_picture

    def broken(path: Path, *arguments: Any) -> Any:
        if path.name == "b.png":
            raise ZeroDivisionError
        return open_picture(path, *arguments)

    monkeypatch.setattr(one.opening, "open_picture", broken)
    done = upscale(three, "--dry-run")
    assert (done.code, len(done.out), len(done.err)) == (1, 2, 1)
    assert "b.png: this is a bug in lamnet, please report it: ZeroDivisionError" in done.err[0]


@pytest.mark.thorough
def test_pictures_of_one_pixel_of_every_kind(tmp_path: Path, model: Path) -> None:
    names = [f"{mode.replace(';', '')}{suffix}" for mode, suffix in TINY]
    for (mode, _), name in zip(TINY, names, strict=True):
        for size in ((1, 1), (1, 3), (3, 1)):
            Image.new(mode, size).save(tmp_path / f"{size[0]}{size[1]}{name}")
    events = local.run(Request((str(tmp_path),), str(tmp_path / "out"), model=str(model), device="cpu"))
    outcomes = [event for event in events if isinstance(event, Outcome)]
    assert [outcome.problem for outcome in outcomes] == [None] * (3 * len(TINY))
    for outcome in outcomes:
        width, height = (int(digit) for digit in Path(outcome.source).name[:2])
        assert arrays.read_array(Path(outcome.target)).shape[:2] == (4 * height, 4 * width)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (BadImageError("a.png: no such file"), "a.png: no such file"),
        (BadImageError("a_x2.png: cannot be written: full"), "a_x2.png: cannot be written: full"),
        (BadImageError(".a.partial: expected a folder"), "a.png: .a.partial: expected a folder"),
        (BadArgumentError("scale: expected 2,\n got 3"), "a.png: scale: expected 2, got 3"),
        (OSError(28, "No space left on device"), "a_x2.png: cannot be written: No space left on device"),
        (PermissionError(13, "Permission denied", "a.png"), "a.png: cannot be read: Permission denied"),
    ],
)
def test_a_problem_names_the_file_that_it_is_about(error: Exception, problem: str) -> None:
    outcome = failed(Path("a.png"), Path("a_x2.png"), error)
    assert outcome.problem == problem
    assert outcome.reason is not None
    assert not outcome.reason.startswith(("a.png", "a_x2.png"))


def test_a_problem_names_the_address_that_a_local_file_stands_for() -> None:
    source, target = "s3://in/a.png", "s3://out/a_x2.png"
    read, written = Path("stand-in/in.png"), Path("stand-in/out.png")
    outcome = failed(source, target, BadImageError("stand-in/in.png: expected a picture"), read, written)
    assert (outcome.problem, outcome.blames_target) == ("s3://in/a.png: expected a picture", False)
    outcome = failed(source, target, BadImageError("stand-in/out.png: cannot be written"), read, written)
    assert (outcome.problem, outcome.blames_target) == ("s3://out/a_x2.png: cannot be written", True)
