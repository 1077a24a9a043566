"""Trainings that go on from a checkpoint, and checkpoints that they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lamnet.base.errors import BadDataError, BadWeightsError
from lamnet.core.config import LAMNetConfig
from lamnet.network import weights
from lamnet.network.model import LAMNet
from lamnet.training import checkpoint
from lamnet.training.loop import train
from lamnet.training.preparation import prepare
from support.sets import photographs, prepared, recipe
from support.trainings import interrupt_at, lines_of, ticking


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


@pytest.mark.thorough
@pytest.mark.parametrize("stop", [3, 4])
def test_resumed_steps_equal_steps_in_one_go_bit_for_bit(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    train(recipe(), data, tmp_path / "whole")
    with monkeypatch.context() as patched:
        interrupt_at(patched, stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(), data, tmp_path / "cut")
    assert torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)["step"] < 5
    assert not (tmp_path / "cut" / "weights.safetensors").exists()
    train(recipe(), data, tmp_path / "cut")
    whole, cut = (load_file(tmp_path / run / "weights.safetensors") for run in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert [(line["step"], line["loss"]) for line in lines_of(tmp_path / "whole")] == [
        (line["step"], line["loss"]) for line in lines_of(tmp_path / "cut")
    ]


@pytest.mark.thorough
def test_a_finished_training_is_left_as_it_is(data: Path, tmp_path: Path) -> None:
    train(recipe(), data, tmp_path)
    before = load_file(tmp_path / "weights.safetensors")
    train(recipe(), data, tmp_path)
    after = load_file(tmp_path / "weights.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [line["step"] for line in lines_of(tmp_path)] == [2, 4, 5]


@pytest.mark.thorough
def test_a_resumed_budget_counts_the_time_before(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = recipe(budget_s=40.0, log_every=1)
    with monkeypatch.context() as patched:
        interrupt_at(patched, 6)
        with pytest.raises(KeyboardInterrupt):
            train(one, data, tmp_path, clock=ticking())
    before = lines_of(tmp_path)[-1]["elapsed_s"]
    train(one, data, tmp_path, clock=ticking())
    after = lines_of(tmp_path)
    assert [line["step"] for line in after] == list(range(1, len(after) + 1))
    assert after[6]["elapsed_s"] >= before
    assert 40 <= after[-1]["elapsed_s"] <= 43


@pytest.mark.thorough
def test_a_checkpoint_of_another_recipe_is_refused_and_stays(data: Path, tmp_path: Path) -> None:
    train(recipe(), data, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(BadWeightsError, match=r"another \(here, there\): lr: 0\.001, 0\.003; seed: 1, 0"):
        train(recipe(lr=1e-3, seed=1), data, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.thorough
def test_a_checkpoint_of_another_set_or_start_is_refused(data: Path, tmp_path: Path) -> None:
    weights.save(LAMNet(LAMNetConfig.tiny(4)), tmp_path / "start.safetensors")
    train(recipe(), data, tmp_path / "run")
    with pytest.raises(BadWeightsError, match=r"another \(here, there\): start: .*start\.safetensors, scratch$"):
        train(recipe(), data, tmp_path / "run", start=tmp_path / "start.safetensors")
    other = tmp_path / "other"
    prepare(photographs(tmp_path / "photos", [(72, 60)]), other, (4,))
    with pytest.raises(BadWeightsError, match=r"another \(here, there\): photographs: 1 \(\w+\), 3 \(\w+\)"):
        train(recipe(), other, tmp_path / "run")


@pytest.mark.thorough
def test_a_long_step_does_not_wait_for_its_checkpoint(data: Path, tmp_path: Path) -> None:
    """Every 60 seconds, by a clock of 40 seconds a call, though the recipe says every 1000 steps."""
    times = iter(range(0, 10**6, 40))
    saved: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        save = checkpoint.save
        patch.setattr(checkpoint, "save", lambda *given: (saved.append(given[2]["step"]), save(*given)))
        train(recipe(save_every=1000, log_every=1000), data, tmp_path, clock=lambda: float(next(times)))
    assert saved == [2, 4, 5]


@pytest.mark.thorough
def test_a_damaged_record_is_named(data: Path, tmp_path: Path) -> None:
    train(recipe(), data, tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write("garbage\n")
    with pytest.raises(BadDataError, match=r"metrics\.jsonl: expected an object with a step in line 4, found 'garbage"):
        train(recipe(), data, tmp_path)
