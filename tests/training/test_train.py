"""The loop: it learns, and a training that was cut off ends with the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lamnet.base.errors import BackendError, BadDataError, BadWeightsError
from lamnet.core.config import LAMNetConfig
from lamnet.network import weights
from lamnet.network.model import LAMNet
from lamnet.training.learner import DivergedError
from lamnet.training.loop import train
from support.sets import photographs, prepared, recipe
from support.trainings import lines_of, ticking


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


@pytest.mark.thorough
def test_the_loss_falls_and_the_run_leaves_what_it_should(data: Path, tmp_path: Path) -> None:
    valid = photographs(tmp_path / "valid", [(60, 60)], seed=9)
    out = tmp_path / "run"
    one = recipe(steps=30, log_every=10, valid_every=20, lr=2e-3, warmup=0)
    assert train(one, data, out, valid) == out / "weights.safetensors"
    lines = lines_of(out)
    assert [line["step"] for line in lines] == [10, 20, 30]
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    assert ["psnr_y" in line for line in lines] == [False, True, True]
    assert all(line["images_per_s"] > 0 and line["loader_images_per_s"] > 0 for line in lines)
    assert json.loads((out / "recipe.json").read_text())["seed"] == one.seed
    record = weights.read(out / "weights.safetensors").record
    assert (record["recipe"]["lr"], record["recipe"]["seed"], record["steps"]) == (2e-3, 0, 30)
    evaluation = json.loads((out / "evaluation.json").read_text())
    assert evaluation["sets"]["valid"]["psnr_y"] == pytest.approx(lines[-1]["psnr_y"])
    card = (out / "card.md").read_text()
    for words in ("x4", "30 steps", "3 (0 megapixels)", f"| valid | {lines[-1]['psnr_y']:.2f} |", "seed 0"):
        assert words in card


@pytest.mark.thorough
def test_a_budget_ends_in_time_with_the_rate_at_zero_however_slow_the_steps(data: Path, tmp_path: Path) -> None:
    for seconds, steps in ((1.0, 12), (3.0, 4)):
        out = tmp_path / str(steps)
        train(recipe(budget_s=12.0, warmup=0, log_every=1), data, out, clock=ticking(seconds))
        lines = lines_of(out)
        assert lines[-1]["elapsed_s"] <= 12 + 2 * seconds
        assert steps / 2 - 1 <= lines[-1]["step"] <= steps
        rates = [line["lr"] for line in lines]
        assert rates == sorted(rates, reverse=True)
        assert rates[-1] < 0.5 * rates[0]


@pytest.mark.thorough
def test_accumulated_micro_batches_give_the_same_step(data: Path, tmp_path: Path) -> None:
    for parts in (1, 2):
        train(recipe(batch=4, accumulate=parts), data, tmp_path / str(parts))
    for one, two in zip(lines_of(tmp_path / "1"), lines_of(tmp_path / "2"), strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-4)


@pytest.mark.thorough
def test_bfloat16_follows_float32(data: Path, tmp_path: Path) -> None:
    for precision in ("float32", "bfloat16"):
        train(recipe(precision=precision), data, tmp_path / precision)
    for one, two in zip(lines_of(tmp_path / "float32"), lines_of(tmp_path / "bfloat16"), strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=0.05)


@pytest.mark.thorough
def test_another_scale_gives_the_body(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    other = LAMNet(LAMNetConfig.tiny(2))
    weights.save(other, tmp_path / "x2.safetensors")
    train(recipe(steps=1, ema=0.0, lr=1e-12), str(data), str(tmp_path / "run"), start=str(tmp_path / "x2.safetensors"))
    started = weights.load(tmp_path / "run" / "weights.safetensors")
    for name, tensor in other.state_dict().items():
        if not name.startswith("tail."):
            torch.testing.assert_close(started.state_dict()[name], tensor)


@pytest.mark.thorough
def test_a_body_of_another_shape_is_refused(data: Path, tmp_path: Path) -> None:
    start = tmp_path / "other.safetensors"
    for config, found in (
        (LAMNetConfig.base(2), "channels 32, 64;.*blocks 4, 6"),
        (replace(LAMNetConfig.tiny(4), groups=4), "groups 3, 4$"),
    ):
        weights.save(LAMNet(config), start)
        with pytest.raises(BadWeightsError, match=rf"other\.safetensors: expected .* \(here, there\): .*{found}"):
            train(recipe(), data, tmp_path / "run", start=start)


@pytest.mark.thorough
def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = LAMNet.forward, []

    def broken(self: LAMNet, x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return forward(self, x) * (float("nan") if len(calls) == 4 else 1)

    monkeypatch.setattr(LAMNet, "forward", broken)
    with pytest.raises(
        DivergedError,
        match=r"^the gradient of step 3 is not finite: the training has diverged; .*checkpoint\.pt of step 2 is kept; "
        r"the same command would come here again, a lower rate than 0\.003 \(--lr\) in a new folder may not$",
    ):
        train(recipe(), data, tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert all(torch.isfinite(tensor).all() for tensor in state["network"].values())


@pytest.mark.thorough
def test_memory_that_runs_out_in_a_step_is_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = LAMNet.forward, []

    def greedy(self: LAMNet, x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return forward(self, torch.empty(2**45) if len(calls) == 4 else x)

    with monkeypatch.context() as patched:
        patched.setattr(LAMNet, "forward", greedy)
        with pytest.raises(
            BackendError,
            match=r"^memory: expected enough for step 3 on cpu, found less free; .*checkpoint\.pt of step 2 is kept, "
            r"and the same command goes on once more is free; a training in a new folder needs less with more "
            r"micro-batches \(--accumulate\) or a smaller --patch$",
        ):
            train(recipe(), data, tmp_path)
    assert train(recipe(), data, tmp_path).exists()


def test_pictures_smaller_than_a_patch_are_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="at least 256x256 pixels for LR patches of 64x64 at x4"):
        train(recipe(patch=64), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_without_validation_pictures_is_refused_before_the_first_step(data: Path, tmp_path: Path) -> None:
    (tmp_path / "valid").mkdir()
    with pytest.raises(BadDataError, match="valid"):
        train(recipe(), data, tmp_path / "run", tmp_path / "valid")
    assert not (tmp_path / "run").exists()


def test_few_photographs_are_remarked_on(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(recipe(steps=1), data, tmp_path)
    assert "3 photographs; a network for other pictures needs hundreds" in " ".join(capfd.readouterr().err.split())


@pytest.mark.thorough
def test_tensorboard_gets_curves_and_pictures(data: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    valid = photographs(tmp_path / "valid", [(48, 60)])
    train(recipe(), data, tmp_path / "run", valid, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    lines = lines_of(tmp_path / "run")
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [
        (line["step"], pytest.approx(line["loss"])) for line in lines
    ]
    picture = events.Images("p0")[-1]
    assert (picture.step, picture.height, picture.width) == (5, 48, 60)


@pytest.mark.thorough
def test_the_command_trains_and_names_what_is_wrong(tmp_path: Path) -> None:
    def lamnet(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lamnet", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)

    photos, data, run = photographs(tmp_path / "photos", [(144, 132)]), tmp_path / "set", tmp_path / "run"
    assert lamnet("prepare", photos, data).stdout == f"{data}: 1 photographs, 0 skipped\n"
    trained = lamnet("train", "tiny_x4_short", "--data", data, "--out", run, "--steps", "1", "--seed", "3")
    assert (trained.returncode, trained.stdout) == (0, f"{run / 'weights.safetensors'}\n")
    assert weights.read(run / "weights.safetensors").record["recipe"]["seed"] == 3
    assert "`lamnet train tiny_x4_short --steps 1 --seed 3 --data set --out RUN`" in (run / "card.md").read_text()
    other = lamnet("train", "tiny_x4_short", "--data", data, "--out", run, "--steps", "1")
    assert other.returncode == 1
    assert other.stderr.splitlines()[-1].endswith("found one of another (here, there): seed: 0, 3")
