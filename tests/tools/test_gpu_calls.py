"""Whole dry calls of `make gpu`: without the packages that a lent machine lacks, and killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lamnet.network import weights

ROOT = Path(__file__).parents[2]
KILLS = 12
RESULTS = {"checkpoint.pt", "metrics.jsonl", "recipe.json", "report.md", "results.json"}

# As if nothing but Python, NumPy, PyTorch and Triton were there, and lamnet ran from its sources.
BARE = """
import importlib.metadata, sys

class Absent:
    names = "pyvips PIL rich cyclopts safetensors av spandrel matplotlib tensorboard pytest".split()

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
version = importlib.metadata.version

def known(name):
    if name == "lamnet-sr":
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.metadata.version = known
"""


def started(folder: Path, seconds: int, *options: str, first: Path | None = None) -> subprocess.Popen[str]:
    """A dry call in a session of its own; `first` on the path of its modules."""
    paths = [str(path) for path in (first, ROOT / "src", ROOT / "tools") if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("OUT", None)
    words = [sys.executable, "-m", "gpu", "run", "--dry", "--folder", str(folder), "--seconds", str(seconds), *options]
    return subprocess.Popen(
        words,
        env=environment,
        cwd=ROOT,
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def saved_step(path: Path) -> int:
    """The step of a checkpoint, which has to be whole; 0 of none."""
    return torch.load(path, weights_only=True)["step"] if path.exists() else 0


@pytest.mark.thorough
def test_all_that_trains_imports_with_nothing_but_pytorch_and_numpy(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BARE)
    paths = [str(tmp_path), str(ROOT / "src"), str(ROOT / "tools")]
    code = "import gpu.feed, gpu.fleet, gpu.plan, gpu.training"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_dry_call_comes_to_its_end_with_nothing_but_pytorch_and_numpy(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "sitecustomize.py").write_text(BARE)
    process = started(tmp_path / "gpu", 1500, "--cooldown", "5", first=tmp_path / "bare")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    out = tmp_path / "gpu" / "out"
    assert {path.name for path in out.iterdir()} == {*RESULTS, "weights.pth"}
    found = json.loads((out / "results.json").read_text())
    assert {stage["outcome"] for stage in found.values()} == {"done"}, said
    assert all(row["right"] for row in found["check"]["rows"])
    assert len(found["check"]["rows"]) == 9
    assert "swinir-light needs spandrel" in (out / "report.md").read_text()
    assert found["train"]["phase"] == "cooldown"
    assert weights.read(out / "weights.pth").config.scale == 4


@pytest.mark.slow
def test_a_call_killed_at_any_moment_leaves_whole_files_and_the_next_goes_on(tmp_path: Path) -> None:
    folder, chance, step = tmp_path / "gpu", random.Random(0), 0
    (folder / "state").mkdir(parents=True)
    done = {name: {"outcome": "done"} for name in ("check", "bench", "ways")}
    (folder / "state" / "results.json").write_text(json.dumps(done))
    kept = folder / "state" / "checkpoint.pt"
    for _ in range(KILLS):
        process, before = started(folder, 900), kept.stat().st_mtime_ns if kept.exists() else 0
        while not kept.exists() or kept.stat().st_mtime_ns == before:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 3))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert saved_step(kept) > step
        step = saved_step(kept)
        assert saved_step(folder / "out" / "checkpoint.pt") <= step
    process = started(folder, 900)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert saved_step(kept) == saved_step(folder / "out" / "checkpoint.pt") > step
    assert {path.name for path in (folder / "out").iterdir()} == {*RESULTS, "weights.safetensors", "card.md"}


@pytest.mark.slow
def test_training_whose_call_is_gone_saves_its_state_and_ends(tmp_path: Path) -> None:
    folder = tmp_path / "gpu"
    (folder / "state").mkdir(parents=True)
    done = {name: {"outcome": "done"} for name in ("check", "bench", "ways")}
    (folder / "state" / "results.json").write_text(json.dumps(done))
    process = started(folder, 900)
    while not (folder / "state" / "checkpoint.pt").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    process.kill()  # the call alone; its training reads the end of a pipe
    said, _ = process.communicate()  # until the training has closed stdout too
    assert "continues" not in said
    assert saved_step(folder / "state" / "checkpoint.pt") > 0
    assert (folder / "state" / "weights.safetensors").exists()
