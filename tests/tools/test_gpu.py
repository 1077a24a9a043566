"""The parts of `make gpu`: coding and packing photographs, patches on the device, forms of a step, verdicts, stages."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch._dynamo.utils import counters

from gpu import check, codec, feed, pack, plan, report, training, ways
from gpu.call import Call
from gpu.patches import Resident
from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.evaluation.metrics import to_y
from lamnet.network import layers, weights
from lamnet.network.model import Block
from lamnet.ops.backend import use_backend
from lamnet.training import checkpoint
from lamnet.training.distributed import Workers
from lamnet.training.learner import Learner
from lamnet.training.pairs import PatchSampler
from lamnet.training.preparation import prepare
from lamnet.training.prepared import PreparedSet
from support.sets import photographs

CPU = torch.device("cpu")


def call(folder: Path, seconds: float = 60.0, **options: Any) -> Call:
    return Call(folder, folder / "out", time.time() + seconds, dry=True, **options)


def photograph(height: int, width: int, noise: float, seed: int = 0) -> NDArray[np.uint8]:
    """A slope of colours with noise on it."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(20, 230, width)[None, :, None] * np.array([1.0, 0.8, 0.6]) + np.zeros((height, 1, 1))
    return (slope + rng.normal(0, noise, (height, width, 3))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(48, 64), (37, 53), (8, 8), (1, 1)])
def test_a_photograph_comes_back_as_it_was_within_its_steps(size: tuple[int, int]) -> None:
    pixels = photograph(*size, noise=6)
    coded = codec.encode(pixels)
    back = codec.decode(coded, *size)
    assert back.shape == pixels.shape
    assert np.abs(back.astype(float) - pixels).mean() < 4
    assert np.abs(to_y(back) - to_y(pixels)).mean() < 2
    assert len(coded) < 0.5 * pixels.size + 64


def test_coefficients_beyond_a_byte_come_back() -> None:
    pixels = (np.indices((40, 24)).sum(0) // 4 % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    assert np.abs(codec.decode(codec.encode(pixels), 40, 24).astype(int) - pixels).max() <= 12


@pytest.mark.parametrize("damaged", [b"", b"garbage", codec.encode(np.zeros((16, 16, 3), np.uint8))])
def test_other_bytes_than_a_photographs_are_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        codec.decode(damaged, 64, 64)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photographs of different sizes, at x4."""
    folder = tmp_path_factory.mktemp("gpu")
    sizes = [(96, 72), (72, 96), (64, 64), (100, 60), (48, 120)]
    prepare(photographs(folder / "photos", sizes), folder / "set", (4,))
    return folder / "set"


def test_a_pack_holds_what_there_is_to_learn_and_fits_its_limit(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "HARDEST", 0.2)
    data = PreparedSet.open(prepared)
    _, second, third, *flat = sorted(range(5), key=lambda place: -pack._error(data, place, 4))
    order = pack._ranked(data, 4)
    assert sorted(order[:2]) == sorted([second, third])
    assert order[2:] == flat
    names = [data.photos[place].name for place in order]
    whole = pack.write(tmp_path / "whole", prepared, prepared, 10**6, 4)
    assert [one.name for one in whole.entries if not one.watched] == names
    assert sum(one.watched for one in whole.entries) == 5
    limit = (tmp_path / "whole").stat().st_size - 1
    less = pack.write(tmp_path / "less", prepared, prepared, limit, 4)
    assert [one.name for one in less.entries if not one.watched] == names[:-1]
    assert (tmp_path / "less").stat().st_size <= limit
    with pytest.raises(BadArgumentError, match="megabytes: expected room"):
        pack.write(tmp_path / "none", prepared, None, 500, 4)


def test_a_pack_becomes_a_prepared_set_once(prepared: Path, tmp_path: Path) -> None:
    made = pack.write(tmp_path / "pack", prepared, None, 10**6, 4)
    got = pack.unpack(made, tmp_path / "set", 4)
    written = (tmp_path / "set" / "hr.u8").stat().st_mtime_ns
    hr = np.fromfile(got.file(1), np.uint8)
    assert (hr == np.concatenate([pixels.ravel() for _, pixels in made.photographs(watched=False)])).all()
    assert {(photo.name, photo.height) for photo in got.photos} == {(one.name, one.height) for one in made.entries}
    pack.unpack(made, tmp_path / "set", 4)
    assert (tmp_path / "set" / "hr.u8").stat().st_mtime_ns == written


@pytest.mark.parametrize("keep", [0, 7, 200, -1])
def test_a_pack_that_is_cut_off_is_named(prepared: Path, tmp_path: Path, keep: int) -> None:
    pack.write(tmp_path / "pack", prepared, None, 10**6, 4)
    (tmp_path / "cut").write_bytes((tmp_path / "pack").read_bytes()[:keep])
    with pytest.raises(BadDataError, match="cut: expected a pack of photographs, found"):
        pack.Pack.open(tmp_path / "cut")


def test_patches_on_the_device_are_those_of_the_sampler(prepared: Path) -> None:
    data = PreparedSet.open(prepared)
    sampler = PatchSampler(data, 4, 9, 16, 3)
    resident = Resident(data, sampler, CPU)
    for step in (0, 1, 77):
        for got, expected in zip(resident.take(step), sampler.draw(step), strict=True):
            assert (got.numpy() == expected).all()


def test_the_smallest_batch_near_the_best_speed_of_a_right_form_is_taken() -> None:
    rows = [
        ways.Row("eager", 32, 1e6, 1.0),
        ways.Row("graph", 32, 3e6, 1.0),
        ways.Row("graph", 16, 2.9e6, 1.0),
        ways.Row("graph", 64, 3.1e6, 0.999),
        ways.Row("graph", 128, problem="OutOfMemoryError"),
        ways.Row("compile+graph", 16, 9e6, 0.5),
    ]
    assert ways.choice(rows) == {"way": "graph", "batch": 16}
    assert ways.choice([*rows, ways.Row("compile+graph", 64, 4e6, 0.99)]) == {"way": "compile+graph", "batch": 64}
    assert ways.choice([ways.Row("eager", 32, problem="x")]) == {"way": "eager", "batch": 16}


def test_a_form_that_fails_becomes_a_row_that_says_why(tmp_path: Path) -> None:
    row = ways._measured(ways.recipe_for(call(tmp_path), 2), "graph", CPU)  # there is no CUDA here
    assert row.problem
    assert not row.good


@pytest.mark.thorough
def test_a_compiler_sees_all_blocks_as_one_and_the_gradient_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without code for a processor, which takes a minute: one graph for the first block, whose input is bfloat16, one for others."""
    compile = Block.compile
    monkeypatch.setattr(Block, "compile", lambda block, **given: compile(block, backend="aot_eager", **given))
    monkeypatch.setattr(layers, "_is_plain", layers._is_plain)  # given back at the end
    torch._dynamo.reset()
    counters.clear()
    recipe = replace(ways.recipe_for(call(tmp_path), 2), precision="bfloat16")
    learner, patches = Learner(recipe, Workers(0, 1, CPU)), ways._random(recipe, CPU)
    with use_backend("reference"):  # as on a GPU, where a block is not one operator
        learner.gradients(*patches, False)
        expected = ways._gradient(learner)
        ways.prepare(learner, "compile", *patches)
        learner.gradients(*patches, False)
    assert torch.nn.functional.cosine_similarity(ways._gradient(learner), expected, 0) > 0.999
    assert counters["stats"]["unique_graphs"] == 2
    torch._dynamo.reset()


def test_the_state_of_base_is_small_enough_to_come_back(tmp_path: Path) -> None:
    recipe = ways.recipe_for(replace(call(tmp_path), dry=False), 64)
    learner = Learner(recipe, Workers(0, 1, CPU))
    moments = {
        number: {"step": torch.zeros(()), "exp_avg": torch.randn_like(one), "exp_avg_sq": torch.randn_like(one)}
        for number, one in enumerate(learner.network.parameters())
    }
    state = learner.state()
    checkpoint.save(tmp_path / "state.pt", recipe, {**state, "optimiser": {**state["optimiser"], "state": moments}})
    assert (tmp_path / "state.pt").stat().st_size < min(feed.CHECKPOINT, 16 * 2**20)


@pytest.mark.parametrize("spoilt", [0.0, 1e-3])
def test_a_kernel_that_is_wrong_is_found(spoilt: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    from lamnet.ops import triton

    right = triton.fsa_forward
    monkeypatch.setattr(triton, "fsa_forward", lambda *given: right(*given) * (1 + spoilt))
    row = check._compared("float32", [(1, 3, 5)], check.WIDTH, logits=True, device="cpu")
    assert row["right"] == (spoilt == 0)


def test_results_are_mirrored_whole_and_those_of_a_cool_down_go_first(tmp_path: Path) -> None:
    one = call(tmp_path)
    for folder in (one.state, one.cool):
        folder.mkdir()
        (folder / "weights.safetensors").write_text(folder.name)
    (one.state / "checkpoint.pt").write_text("first")
    one.mirror()
    (one.state / "checkpoint.pt").write_text("second, longer")
    one.mirror()
    assert {path.name: path.read_text() for path in one.out.iterdir()} == {
        "checkpoint.pt": "second, longer",
        "weights.safetensors": "cool",
    }


def test_a_start_is_read_without_packages(tmp_path: Path) -> None:
    recipe = ways.recipe_for(call(tmp_path), 2)
    learner = Learner(recipe, Workers(0, 1, CPU))
    checkpoint.save(tmp_path / "checkpoint.pt", recipe, learner.state())
    feed._write_start(tmp_path / "start.pth", tmp_path / "checkpoint.pt")
    assert weights.read(tmp_path / "start.pth").config == recipe.config
    torch.save({"step": 1}, tmp_path / "other.pt")
    with pytest.raises(BadArgumentError, match="start: expected a checkpoint"):
        feed._write_start(tmp_path / "start.pth", tmp_path / "other.pt")


STAGES = {
    "unpack": "pass",
    "check": "import sys; sys.exit(3)",
    "bench": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    "ways": "pass",
    "train": "pass",
}


def test_a_stage_that_fails_or_hangs_is_said_and_the_next_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def start(self: plan.Plan, name: str, until: float, *options: str) -> subprocess.Popen[bytes]:
        started.append(name)
        return subprocess.Popen([sys.executable, "-S", "-c", STAGES[name]], stdin=subprocess.PIPE)

    monkeypatch.setattr(plan.Plan, "_started", start)
    monkeypatch.setattr(plan, "SAVES_S", 0.5)
    monkeypatch.setattr(plan, "SHARE", 0.006)  # in a dry run this alone limits a stage: 3.6 of 600 s
    one = call(tmp_path, seconds=600)
    assert plan.run(one) == 0
    assert started == ["unpack", "check", "bench", "ways", "train"]
    outcomes = {name: found["outcome"] for name, found in one.results().items()}
    assert outcomes == {**dict.fromkeys(started, "done"), "check": "failed (3)", "bench": "out of time"}
    assert "| bench | out of time |" in (one.out / "report.md").read_text()
    started.clear()
    assert plan.run(one) == 0  # the second call has what the first one found
    assert started == ["unpack", "train"]


@pytest.mark.thorough
def test_training_goes_on_in_the_second_call_and_cools_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "DRY_S", 4.0)
    first = call(tmp_path, seconds=600)
    feed.invented(first)
    pack.unpack(pack.Pack.open(first.photos), first.set, 4)
    training.train(first, plain=False)
    steps = [json.loads(line)["step"] for line in (first.state / "metrics.jsonl").read_text().splitlines()]
    assert weights.read(first.state / "weights.safetensors").record["steps"] == steps[-1]
    seen = first.findings("train")["seen"]
    assert [one["step"] for one in seen] == [0, steps[-1]]
    assert all(one["psnr_y"] > 5 for one in seen)
    second = call(tmp_path, seconds=600, cooldown=3)
    training.train(second, plain=False)
    again = [json.loads(line)["step"] for line in (first.state / "metrics.jsonl").read_text().splitlines()]
    assert again[: len(steps)] == steps
    assert again[-1] > steps[-1]
    cooled = weights.read(second.cool / "weights.safetensors").record
    assert cooled["stable"] == again[-1]
    assert "lr_pixels" in second.findings("train")
    assert report.text({"train": second.findings("train")}, dry=True).count("cooldown")
