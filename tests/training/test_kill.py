"""kill -9 at random moments, also while a checkpoint is being written: nothing is lost but the steps since the last."""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lamnet.training.loop import train
from support.sets import prepared, recipe

STEPS, KILLS = 200, 20


def _train(data: Path, out: Path) -> None:
    torch.set_num_threads(1)
    train(recipe(steps=STEPS, save_every=1, log_every=1), data, out)


def _saved_step(out: Path) -> int:
    path = out / "checkpoint.pt"
    return torch.load(path, weights_only=True)["step"] if path.exists() else 0


def _written_at(out: Path) -> int:
    path = out / "checkpoint.pt"
    return path.stat().st_mtime_ns if path.exists() else 0


def _losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    data, out = prepared(tmp_path), tmp_path / "killed"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lamnet.training.loop"])
    chance, inside, step = random.Random(0), 0, 0
    for _ in range(KILLS):
        process = context.Process(target=_train, args=(data, out))
        before = _written_at(out)
        process.start()
        while _written_at(out) == before:
            assert process.is_alive(), "the training ended by itself"
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.join()
        inside += (out / "checkpoint.pt.partial").exists()
        assert _saved_step(out) > step, "a checkpoint was lost"
        step = _saved_step(out)
        lines = [line for line in (out / "metrics.jsonl").read_text().splitlines(keepends=True) if line.endswith("\n")]
        assert json.loads(lines[-1])["step"] >= step
    assert inside, "no kill fell into the writing of a checkpoint"
    _train(data, out)
    _train(data, tmp_path / "whole")
    whole, killed = (load_file(run / "weights.safetensors") for run in (tmp_path / "whole", out))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert _losses(out) == _losses(tmp_path / "whole")
