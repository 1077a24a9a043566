"""Several workers on the CPU (gloo): the curve of one process, and what happens when one is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lamnet.base.errors import BadArgumentError
from lamnet.training.distributed import join
from lamnet.training.loop import train
from support.sets import prepared, recipe

_ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}

_DRIVER = """
import os, signal, sys
from pathlib import Path
from support.sets import recipe
from lamnet.training.pairs import PatchSampler
from lamnet.training.loop import train

data, out, lost_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
draw = PatchSampler.draw

def dying(self, step, part=0, parts=1):
    if step == lost_at and part == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    return draw(self, step, part, parts)

PatchSampler.draw = dying
own = os.environ["RANK"] if sys.argv[4:] else ""
train(recipe(batch=4, steps=6, log_every=int(os.environ["LOG_EVERY"])), data, out / own)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


def _torchrun(
    folder: Path, data: Path, out: Path, lost_at: int = -1, restarts: int = 0, *more: str, log_every: int = 1
) -> subprocess.CompletedProcess[str]:
    driver = folder / "driver.py"
    driver.write_text(_DRIVER)
    options = ["--standalone", "--nproc-per-node=2", f"--max-restarts={restarts}"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, driver, data, out, str(lost_at), *more]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "LOG_EVERY": str(log_every),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)


def _losses(run: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines]


@pytest.mark.thorough
def test_two_workers_have_the_curve_of_one_process_with_the_same_batch(data: Path, tmp_path: Path) -> None:
    train(recipe(batch=4, steps=6, log_every=1), data, tmp_path / "one")
    done = _torchrun(tmp_path, data, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    one, two = _losses(tmp_path / "one"), _losses(tmp_path / "two")
    assert [step for step, _ in two] == [1, 2, 3, 4, 5, 6]
    for (_, mine), (_, theirs) in zip(one, two, strict=True):
        assert theirs == pytest.approx(mine, rel=1e-4)


@pytest.mark.slow
def test_torchruns_restart_after_a_lost_worker_goes_on_from_the_checkpoint(data: Path, tmp_path: Path) -> None:
    whole = _torchrun(tmp_path, data, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    lost = _torchrun(tmp_path, data, tmp_path / "run", lost_at=5)
    assert lost.returncode != 0
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] in (2, 4)
    again = _torchrun(tmp_path, data, tmp_path / "restarted", lost_at=5, restarts=3)
    assert again.returncode == 0, again.stderr
    expected = load_file(tmp_path / "whole" / "weights.safetensors")
    found = load_file(tmp_path / "restarted" / "weights.safetensors")
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert _losses(tmp_path / "restarted") == _losses(tmp_path / "whole")


@pytest.mark.slow
def test_machines_that_do_not_see_the_first_ones_files_go_on_with_it(data: Path, tmp_path: Path) -> None:
    """The checkpoint lies between two lines of metrics; the next one is the mean over the steps before and after it."""
    assert _torchrun(tmp_path, data, tmp_path / "whole", log_every=3).returncode == 0
    assert _torchrun(tmp_path, data, tmp_path / "run", 5, 0, "apart", log_every=3).returncode != 0
    again = _torchrun(tmp_path, data, tmp_path / "run", -1, 0, "apart", log_every=3)
    assert again.returncode == 0, again.stderr
    assert not (tmp_path / "run" / "1").exists()
    expected = load_file(tmp_path / "whole" / "weights.safetensors")
    found = load_file(tmp_path / "run" / "0" / "weights.safetensors")
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert _losses(tmp_path / "run" / "0") == _losses(tmp_path / "whole")


@pytest.mark.slow
def test_the_others_say_that_a_worker_is_lost(data: Path, tmp_path: Path) -> None:
    """The workers run without torchrun, which ends them before they can say so."""
    (tmp_path / "driver.py").write_text(_DRIVER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        "LOG_EVERY": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    workers = [
        subprocess.Popen(
            [sys.executable, tmp_path / "driver.py", data, tmp_path / "run", "3"],
            env={**_ENVIRONMENT, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    complaint = workers[0].communicate(timeout=500)[1]
    assert workers[1].wait(timeout=500) == -signal.SIGKILL
    assert workers[0].returncode == 1
    assert "LostWorkerError: worker 0 of 2: another one is gone" in complaint


def test_a_batch_that_cannot_be_shared_evenly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(BadArgumentError, match="multiple of the 3 workers, got 4"), join(4):
        pass
