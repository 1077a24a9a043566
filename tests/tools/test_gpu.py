"""The parts of `make gpu`: forms of a step, verdicts, what comes back, stages, training in two calls."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from gpu import check, feed, fleet, pack, plan, report, training, ways
from gpu.call import Call
from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.core import shipped
from lamnet.core.config import LAMNetConfig
from lamnet.network import layers, weights
from lamnet.network.model import Block, LAMNet
from lamnet.ops.backend import use_backend
from lamnet.training import checkpoint, recipe_files
from lamnet.training.distributed import Workers
from lamnet.training.folder import RunFolder
from lamnet.training.learner import Learner
from lamnet.training.loop import Run
from lamnet.training.preparation import prepare
from lamnet.training.prepared import PreparedSet
from lamnet.training.recipes import recipe_named
from support.sets import photographs, prepared

CPU = torch.device("cpu")


def call(folder: Path, seconds: float = 60.0, **options: Any) -> Call:
    return Call(folder, folder / "out", time.time() + seconds, dry=True, **options)


def test_the_fastest_form_whose_gradient_is_right_is_taken() -> None:
    rows = [
        ways.Row("eager", 16, 1e6, 1.0),
        ways.Row("graph", 16, 3e6, 0.999),
        ways.Row("compile", 16, problem="OutOfMemoryError"),
        ways.Row("compile+graph", 16, 9e6, 0.5),
    ]
    assert ways.choice(rows) == {"way": "graph", "batch": 16}
    assert ways.choice([*rows, ways.Row("compile+graph", 16, 4e6, 0.99)]) == {"way": "compile+graph", "batch": 16}
    assert ways.choice([ways.Row("eager", 32, problem="x")]) == {"way": "eager", "batch": 16}


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
@pytest.mark.parametrize("spoilt", [0.0, 1e-3])
def test_a_kernel_that_is_wrong_is_found(spoilt: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    from lamnet.ops import triton

    right = triton.fsa_forward
    monkeypatch.setattr(triton, "fsa_forward", lambda *given: right(*given) * (1 + spoilt))
    row = check._compared("float32", [(1, 3, 5)], check.WIDTH, logits=True, device="cpu")
    assert row["right"] == (spoilt == 0)


@pytest.mark.thorough
def test_kernels_are_timed_beside_plain_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    times = check._times("float32", "cpu", (1, 3, 4))
    assert list(times) == ["attention", "convolution 1x23", "convolution 23x1", "convolution 3x3"]
    text = report.text({"check": {"times": {"float32": times}}}, dry=True)
    assert f"| {times['attention']['triton']:.3f}" in text
    assert f"| {times['convolution 3x3']['reference']:.3f}" in text


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


PHOTOGRAPHS = """
based_on = "stable"
[network]
size = "tiny"
scale = 2
[data]
patch = 24
[schedule]
cooldown_squared = true
[degradation]
name = "photo"
"""


def test_another_recipe_is_taken_with_the_batch_of_a_gpu(tmp_path: Path) -> None:
    one = replace(call(tmp_path), dry=False)
    one.recipe.parent.mkdir()
    one.recipe.write_text(PHOTOGRAPHS)
    recipe = ways.recipe_for(one, 16)
    assert (recipe.size, recipe.scale, recipe.patch, recipe.batch) == ("tiny", 2, 24, 16)
    assert (recipe.degradation, recipe.precision, recipe.longer_ema) == ("photo", "bfloat16", ())
    assert recipe.cooldown(1.0).mse_from == 0
    one.recipe.write_text(PHOTOGRAPHS.replace("stable", "short"))
    with pytest.raises(BadArgumentError, match=r"recipe\.toml: schedule: expected stable, .* got cosine"):
        ways.recipe_for(one, 16)


STAGES = {
    "unpack": "pass",
    "check": "import sys; sys.exit(3)",
    "bench": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    "ways": "pass",
    "train": "pass",
}


@pytest.mark.thorough
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
def test_photographs_are_degraded_while_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "DRY_S", 2.0)
    one = call(tmp_path, seconds=600, cooldown=3)
    feed.invented(one)
    one.recipe.write_text(PHOTOGRAPHS)
    pack.unpack(pack.Pack.open(one.photos), one.set, [2])
    training.train(one, plain=False)
    record = weights.read(one.cool / "weights.safetensors").record
    assert record["recipe"]["degradation"] == "photo"
    assert record["recipe"]["mse_from"] == 0


@pytest.mark.thorough
def test_training_goes_on_in_the_second_call_and_cools_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "DRY_S", 4.0)
    first = call(tmp_path, seconds=600)
    feed.invented(first)
    pack.unpack(pack.Pack.open(first.photos), first.set, [4])
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


FLEET = """
based_on = "stable"
[network]
size = "tiny"
scale = {}
[data]
negative = 0.4
[schedule]
psnr_share = 0.8
cooldown_squared = {}
"""


@pytest.fixture
def fleet_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A call that is fed with three trainings: tiny x2, tiny x3, and one whose start is of another network."""
    monkeypatch.setattr(training, "DRY_S", 4.0)
    prepare(photographs(tmp_path / "photos", [(96, 84), (72, 120), (100, 60)]), tmp_path / "prepared", (4,))
    for name, scale in (("two", 2), ("three", 3), ("wrong", 4)):
        (tmp_path / f"{name}.toml").write_text(FLEET.format(scale, "true" if scale == 3 else "false"))
    weights.save(LAMNet(LAMNetConfig(4, 16, 1, 1)), tmp_path / "wrong.safetensors")
    starts = [shipped.shipped_path("tiny", 2), shipped.shipped_path("tiny", 3), tmp_path / "wrong.safetensors"]
    recipes = [tmp_path / f"{name}.toml" for name in ("two", "three", "wrong")]
    one = call(tmp_path / "fleet", seconds=600)
    with pytest.raises(BadArgumentError, match="start: expected weights for each of 3 recipes, got 1"):
        feed.make(one.folder, tmp_path / "prepared", None, starts[:1], recipes, 1.0)
    (tmp_path / "photo.toml").write_text(PHOTOGRAPHS)
    with pytest.raises(BadArgumentError, match=r"photo\.toml: expected a recipe of clean pictures"):
        feed.make(one.folder, tmp_path / "prepared", None, starts, [tmp_path / "photo.toml", *recipes[1:]], 1.0)
    feed.make(one.folder, tmp_path / "prepared", None, starts, recipes, 1.0)
    pack.unpack(pack.Pack.open(one.photos), one.set, [2, 3, 4])
    return one


@pytest.mark.thorough
def test_a_fleet_trains_and_cools_down_all_that_can_begin(fleet_call: Call) -> None:
    training.train(fleet_call, plain=False)
    found = fleet_call.findings("train")["fleet"]
    assert found["wrong"]["problem"].startswith("BadWeightsError: ")
    first = {
        name: weights.read(fleet_call.folder / "fleet" / name / "weights.safetensors") for name in ("two", "three")
    }
    training.train(replace(fleet_call, until=time.time() + 600, cooldown=3), plain=False)
    fleet_call.mirror()
    table = report.text({"train": fleet_call.findings("train")}, dry=True)
    for name, before in first.items():
        folder = fleet_call.folder / "fleet" / name
        stable = checkpoint.load(folder / "checkpoint.pt", recipe_files.chosen(str(folder)))
        cooled = weights.read(fleet_call.out / f"{name}.safetensors")
        assert 0 < before.record["steps"] < stable["step"] == cooled.record["stable"] < cooled.record["steps"]
        assert cooled.record["recipe"]["schedule"] == "cooldown"
        assert (cooled.record["recipe"]["mse_from"] == 0) == (name == "three")
        assert f"| {name} | cooldown |" in " ".join(table.split())
        moved = [(cooled.state[key] - before.state[key]).abs().max() for key in before.state]
        assert max(moved) > 0
    assert not (fleet_call.out / "wrong.safetensors").exists()


@pytest.mark.thorough
def test_a_training_that_diverges_ends_alone_and_keeps_its_last_state(
    fleet_call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    clipped = Learner.clipped

    def spoilt(learner: Learner) -> torch.Tensor:
        norm = clipped(learner)
        return norm * torch.nan if learner.recipe.scale == 3 and learner.step > 2 else norm

    monkeypatch.setattr(Learner, "clipped", spoilt)
    monkeypatch.setattr(fleet, "_HEARD_S", 0.5)
    training.train(fleet_call, plain=False)
    found = fleet_call.findings("train")["fleet"]
    assert "DivergedError" in found["three"]["problem"]
    assert "problem" not in found["two"]
    assert not (fleet_call.folder / "fleet" / "three" / "weights.safetensors").exists()


@pytest.mark.thorough
def test_a_fleet_of_which_nothing_is_left_has_failed(fleet_call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the plan tries it once more, plain."""

    def broken(member: fleet.Member) -> None:
        raise RuntimeError("no graph")

    monkeypatch.setattr(fleet.Member, "capture", broken)
    with pytest.raises(BadDataError, match="expected a training that goes on, found none"):
        training.train(fleet_call, plain=False)
    assert fleet_call.findings("train")["fleet"]["two"]["problem"] == "RuntimeError: no graph"
    training.train(replace(fleet_call, until=time.time() + 600), plain=True)
    assert (fleet_call.folder / "fleet" / "two" / "weights.safetensors").exists()


def test_a_fleets_step_is_that_of_any_training(tmp_path: Path) -> None:
    """The same patches and rate: but for the averages, which do not rise here, the learner comes out the same."""
    one = replace(recipe_named("tiny_x2_stable"), patch=8, batch=2, longer_ema=(), warmup=0)
    lr, hr = ways._random(one, CPU)
    here, there = (Learner(one, Workers(0, 1, CPU)) for _ in range(2))
    data = PreparedSet.open(prepared(tmp_path))
    run = Run(here, RunFolder(tmp_path, {}), Workers(0, 1, CPU), None, time.perf_counter)
    member = fleet.Member("one", run, data, print)
    member._drawn.take = lambda: (lr, hr)  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(3):
        member.advance(0.0)
        there.advance(lr, hr, 0.0)
    member.settle()
    assert (here.step, here.take_loss()) == (there.step, there.take_loss())
    for name, tensor in there.network.state_dict().items():
        assert torch.equal(here.network.state_dict()[name], tensor)
