"""`lamnet upscale --engine ray` on a cluster of two worker processes, one of which is killed at work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig, Upscaler
from lamnet.base import files
from lamnet.base.errors import BackendError, BadWeightsError, MissingExtraError
from lamnet.batch import cluster, ray_quirks
from lamnet.batch.outcome import Outcome
from lamnet.batch.request import Request
from lamnet.media import arrays
from lamnet.network import weights


def test_without_ray_one_line_says_which_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"lamnet-sr\[ray\]"):
        next(cluster.run(Request(("a.png",))))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    weights.save(LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2)), path)
    return path


@pytest.mark.thorough
def test_what_failed_is_in_the_manifest(model: Path, tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "good.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "bad.png").write_text("no picture")
    command = [sys.executable, "-m", "lamnet", "upscale", str(tmp_path), "--model", str(model), "--device", "cpu"]
    done = subprocess.run([*command, "--manifest", str(tmp_path / "failed.jsonl")], capture_output=True, check=False)
    assert done.returncode == 1
    [line] = (tmp_path / "failed.jsonl").read_text().splitlines()
    failed = json.loads(line)
    assert failed["source"] == str(tmp_path / "bad.png")
    assert failed["problem"].startswith(failed["source"])


class Ray(ModuleType):
    """Ray as far as its start, which `init` is."""

    def __init__(self, init: Callable[[], None]) -> None:
        super().__init__("ray")
        self.start = init

    def is_initialized(self) -> bool:
        return False

    def init(self, **_: object) -> None:
        self.start()

    def shutdown(self) -> None: ...


def run_with(ray: Ray, monkeypatch: pytest.MonkeyPatch, model: Path | str, device: str = "cpu") -> None:
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", ModuleType("ray.data"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    next(cluster.run(Request(("a.png",), model=str(model), device=device)))


def test_a_cluster_that_cannot_be_had_is_one_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise Exception("The current node timed out\nduring startup")

    with pytest.raises(BackendError, match=r"timed out$"):
        run_with(Ray(fail), monkeypatch, model)


def test_a_cluster_that_never_answers_is_one_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(ray_quirks, "WAIT_S", 0.1)
    with pytest.raises(BackendError, match=r"none answered"):
        run_with(Ray(lambda: over.wait(60) and None), monkeypatch, model)
    over.set()


def test_what_workers_would_refuse_is_known_before_there_are_any(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = Ray(lambda: pytest.fail("was started"))
    with pytest.raises(BackendError, match="nonsense"):
        run_with(never, monkeypatch, model, device="nonsense")
    with pytest.raises(BadWeightsError, match=r"absent\.safetensors"):
        run_with(never, monkeypatch, "absent.safetensors")


def deadly() -> Callable[[], None]:
    """Make the code that a worker runs first: poison.png kills it, and 2.png does so once. It is pickled with its code."""

    def set_up() -> None:
        from lamnet.batch import one

        open_job = one.open_job

        def dangerous(job: Any, upscalers: Any) -> Any:
            killed = job.source.parent.parent / "killed"
            if job.source.name == "poison.png" or (job.source.name == "2.png" and not killed.exists()):
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return open_job(job, upscalers)

        one.open_job = dangerous

    return set_up


@pytest.fixture
def two_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ray = pytest.importorskip("ray", reason='needs Ray: pip install "lamnet-sr[ray]"')
    pytest.importorskip("ray.data", reason='needs Ray Data: pip install "lamnet-sr[ray]"')
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    runtime_env = {"worker_process_setup_hook": deadly()}
    ray.init(
        num_cpus=2,
        object_store_memory=100_000_000,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env=runtime_env,
    )
    yield
    ray.shutdown()
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(two_workers: None, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        arrays.write_array(folder / f"{number}.png", rng.integers(0, 255, (20, 30, 3), np.uint8))
    (folder / "bad.png").write_text("no picture")
    arrays.write_array(folder / "poison.png", np.zeros((7, 7, 3), np.uint8))
    request = Request((str(folder),), str(tmp_path / "out"), model=str(model), device="cpu")
    outcomes = [event for event in cluster.run(request) if isinstance(event, Outcome)]
    assert (tmp_path / "killed").exists()
    assert sorted(outcome.source.name for outcome in outcomes) == sorted(path.name for path in folder.iterdir())
    problems = {outcome.source.name: outcome.problem for outcome in outcomes if outcome.problem}
    assert set(problems) == {"bad.png", "poison.png"}
    assert "lost" in str(problems["poison.png"])
    local = Upscaler(weights.load(str(model), 2), "cpu")
    for number in range(4):
        local.file(folder / f"{number}.png", tmp_path / "local.png")
        assert (tmp_path / "out" / f"{number}_x2.png").read_bytes() == (tmp_path / "local.png").read_bytes()
    results = {f"{number}_x2.png" for number in range(4)}
    left = {path.name for path in (tmp_path / "out").iterdir()} - results
    assert left <= {files.partial_of(tmp_path / "poison_x2.png", ".lock").name}  # hidden; the next call takes it away


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_then_goes_on(model: Path, tmp_path: Path, number: signal.Signals) -> None:
    pytest.importorskip("ray.data", reason='needs Ray Data: pip install "lamnet-sr[ray]"')
    (tmp_path / "in").mkdir()
    for index in range(30):
        arrays.write_array(tmp_path / "in" / f"{index:02}.png", np.full((64, 64, 3), index, np.uint8))
    (tmp_path / "in" / "00bad.png").write_text("no picture")
    command = [sys.executable, "-m", "lamnet", "upscale", tmp_path / "in", "-o", tmp_path / "out", "--engine", "ray"]
    command += ["--model", model, "--device", "cpu", "--manifest", tmp_path / "failed.jsonl"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    first = process.stdout.readline().strip()
    process.send_signal(number)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 128 + number
    assert err.splitlines()[-1] == "lamnet: interrupted"
    assert len(err.splitlines()) == 1 + len((tmp_path / "failed.jsonl").read_text().splitlines())
    assert arrays.read_array(Path(first)).shape == (128, 128, 3)
    before = Path(first).stat().st_mtime_ns
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert Path(first).stat().st_mtime_ns == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{index:02}_x2.png" for index in range(30)]
