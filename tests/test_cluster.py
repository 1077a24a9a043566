"""`lamnet upscale --engine ray` on a cluster of two worker processes, one of which is killed at work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from rich.progress import Progress

from lamnet import LAMNet, LAMNetConfig, Upscaler, batch, cluster, images, jobs, weights
from lamnet.errors import BackendError, MissingExtraError
from lamnet.goals import Goal


def test_without_ray_one_line_says_which_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"lamnet-sr\[ray\]"):
        next(cluster.run([], batch.upscale_one, lambda: pytest.fail("not needed"), False, Progress(), 0))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    weights.save(path, LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2)))
    return path


def test_what_failed_is_in_the_manifest(model: Path, tmp_path: Path) -> None:
    images.write_array(tmp_path / "good.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "bad.png").write_text("no picture")
    command = [sys.executable, "-m", "lamnet", "upscale", str(tmp_path), "--model", str(model), "--device", "cpu"]
    done = subprocess.run([*command, "--manifest", str(tmp_path / "failed.jsonl")], capture_output=True, check=False)
    assert done.returncode == 1
    [line] = (tmp_path / "failed.jsonl").read_text().splitlines()
    failed = json.loads(line)
    assert failed["source"] == str(tmp_path / "bad.png")
    assert failed["problem"].startswith(failed["source"])


def test_a_cluster_that_cannot_be_had_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ray(ModuleType):
        def is_initialized(self) -> bool:
            return False

        def init(self, **_: object) -> None:
            raise Exception("The current node timed out\nduring startup")

    monkeypatch.setitem(sys.modules, "ray", Ray("ray"))
    monkeypatch.setitem(sys.modules, "ray.data", ModuleType("ray.data"))
    with pytest.raises(BackendError, match=r"timed out$"):
        next(cluster.run([], batch.upscale_one, lambda: pytest.fail("not needed"), False, Progress(), 0))


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ray = pytest.importorskip("ray", reason='needs Ray: pip install "lamnet-sr[ray]"')
    pytest.importorskip("ray.data", reason='needs Ray Data: pip install "lamnet-sr[ray]"')
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ray.init(num_cpus=2, object_store_memory=100_000_000, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(two_workers: None, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        images.write_array(folder / f"{number}.png", rng.integers(0, 255, (20, 30, 3), np.uint8))
    (folder / "bad.png").write_text("no picture")
    images.write_array(folder / "poison.png", np.zeros((7, 7, 3), np.uint8))
    killed = tmp_path / "killed"

    def make() -> batch.Upscalers:
        class Mortal(Upscaler):
            def steps(self, picture: Any, target: Path) -> Iterator[float]:
                if picture.path.name == "poison.png" or (picture.path.name == "2.png" and not killed.exists()):
                    killed.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                yield from super().steps(picture, target)

        return batch.Upscalers([weights.load(str(model))], Goal(2), lambda network: Mortal(network, "cpu"), 1000)

    todo = list(jobs.plan([str(folder)], tmp_path / "out", "_x2"))
    outcomes = list(cluster.run(todo, batch.upscale_one, make, False, Progress(disable=True), len(todo)))
    assert killed.exists()
    assert sorted(outcome.source.name for outcome in outcomes) == sorted(job.source.name for job in todo)
    problems = {outcome.source.name: outcome.problem for outcome in outcomes if outcome.problem}
    assert set(problems) == {"bad.png", "poison.png"}
    assert "lost" in str(problems["poison.png"])
    local = Upscaler(weights.load(str(model), 2), "cpu")
    for number in range(4):
        local.file(folder / f"{number}.png", tmp_path / "local.png")
        assert (tmp_path / "out" / f"{number}_x2.png").read_bytes() == (tmp_path / "local.png").read_bytes()
    assert len(list((tmp_path / "out").iterdir())) == 4
