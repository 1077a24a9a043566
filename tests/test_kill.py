"""kill -9 at random moments, also while a checkpoint is being written: nothing is lost but the steps since the last."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lamnet.train import train
from trained import prepared, recipe

_DRIVER = """
import sys
from pathlib import Path
from trained import recipe
from lamnet.train import train

train(recipe(steps=int(sys.argv[3]), save_every=1, log_every=1), Path(sys.argv[1]), Path(sys.argv[2]))
"""
STEPS, KILLS = 200, 20


def _saved_step(out: Path) -> int:
    path = out / "checkpoint.pt"
    return torch.load(path, weights_only=True)["step"] if path.exists() else 0


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    data, out = prepared(tmp_path), tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _DRIVER, str(data), str(out), str(STEPS)]
    chance, inside, step = random.Random(0), 0, 0
    for _ in range(KILLS):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while _saved_step(out) <= step and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.wait()
        inside += (out / "checkpoint.pt.partial").exists()
        assert _saved_step(out) > step, "a checkpoint was lost"
        step = _saved_step(out)
        lines = [line for line in (out / "metrics.jsonl").read_text().splitlines(keepends=True) if line.endswith("\n")]
        assert json.loads(lines[-1])["step"] >= step
    assert step < STEPS, "the training ended before all kills"
    assert inside, "no kill fell into the writing of a checkpoint"
    train(recipe(steps=STEPS, save_every=1, log_every=1), data, out)
    train(recipe(steps=STEPS, save_every=STEPS, log_every=1), data, tmp_path / "whole")
    whole, killed = (load_file(run / "weights.safetensors") for run in (tmp_path / "whole", out))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    losses = [
        [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (tmp_path / "whole", out)
    ]
    assert losses[0] == losses[1]
