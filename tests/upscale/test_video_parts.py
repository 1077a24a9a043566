"""Parts of a video that outlive an interruption."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lamnet import LAMNet, Upscaler
from lamnet.base.errors import BadImageError
from lamnet.upscale.engine import Engine

pytest.importorskip("av", reason='needs PyAV: pip install "lamnet-sr[video]"')
from support.clips import BT709, FRAMES, steps, upscale

Maker = Callable[..., Path]


@pytest.mark.thorough
def test_an_interruption_costs_one_part(
    make: Maker, upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = make("a.mp4", **BT709), tmp_path / "cut.mp4"
    whole = upscale(upscaler.planner, source)
    running = steps(upscaler.planner, source, target)
    for _ in range(6):
        next(running)
    running.close()  # as Ctrl-C does
    assert not target.exists()
    folder = tmp_path / ".cut.mp4.partial"
    first = (folder / "000000.mkv").stat().st_mtime_ns

    calls = 0
    run = Engine.run

    def counted(engine: Engine, plane: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        assert (folder / "000000.mkv").stat().st_mtime_ns == first
        return run(engine, plane)

    monkeypatch.setattr(Engine, "run", counted)
    upscale(upscaler.planner, source, target)
    assert calls == FRAMES - 4
    assert target.read_bytes() == whole.read_bytes()
    assert not folder.exists()


@pytest.mark.thorough
def test_times_cut_short_cost_their_part(
    make: Maker, upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = make("a.mp4"), tmp_path / "cut.mp4"
    whole = upscale(upscaler.planner, source)
    write = Path.write_text

    def cut(path: Path, text: str, **options: str) -> int:
        if not text.startswith("[["):
            return write(path, text, **options)
        write(path, text[:3])
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", cut)
        with pytest.raises(BadImageError):
            upscale(upscaler.planner, source, target)
    upscale(upscaler.planner, source, target)
    assert target.read_bytes() == whole.read_bytes()


@pytest.mark.thorough
def test_parts_of_other_weights_are_not_used(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source, target = make("a.mp4"), tmp_path / "cut.mp4"
    torch.manual_seed(1)
    running = steps(Upscaler(LAMNet(upscaler.engine.config), "cpu").planner, source, target)
    for _ in range(6):
        next(running)
    running.close()
    assert upscale(upscaler.planner, source, target).read_bytes() == upscale(upscaler.planner, source).read_bytes()


def test_a_folder_with_something_else_is_left_alone(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    mine = tmp_path / ".big.mp4.partial" / "000000.mkv"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(BadImageError, match="partial"):
        upscale(upscaler.planner, make("a.mp4"))
    assert mine.read_text() == "mine"
