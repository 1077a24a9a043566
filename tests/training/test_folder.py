"""The files of a training: begun, saved, read back only where they belong, finished."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lamnet.base.errors import BadDataError, BadWeightsError
from lamnet.core import weights
from lamnet.training.distributed import Workers
from lamnet.training.folder import RunFolder
from lamnet.training.learner import Learner
from lamnet.training.prepared import BICUBIC, PreparedSet
from lamnet.training.recipe_files import chosen
from support.sets import prepared, recipe

ORIGIN = {"photographs": "3 (abc)", "start": "scratch"}


def _learner(seed: int = 0) -> Learner:
    return Learner(recipe(seed=seed), Workers(0, 1, torch.device("cpu")))


def test_a_folder_begins_with_its_recipe(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "one", ORIGIN)
    folder.begin(recipe())
    assert [path.name for path in folder.path.iterdir()] == ["recipe.json"]
    assert chosen(str(folder.path)) == recipe()
    assert folder.last_saved(recipe()) == "there is no checkpoint yet"


@pytest.mark.parametrize("name", ["weights.safetensors", "recipe.json", "metrics.jsonl", "card.md", "evaluation.json"])
def test_files_that_no_training_left_are_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"somebody's")
    with pytest.raises(BadDataError, match=rf"{name}: expected a new folder"):
        RunFolder(tmp_path, ORIGIN).begin(recipe())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"somebody's"


def test_what_a_training_left_that_saved_nothing_is_replaced(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, ORIGIN)
    folder.begin(recipe(seed=1))
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n')
    folder.begin(recipe(seed=2))
    assert chosen(str(tmp_path)) == recipe(seed=2)


@pytest.mark.thorough
def test_a_saved_learner_comes_back(tmp_path: Path) -> None:
    folder, learner = RunFolder(tmp_path, ORIGIN), _learner()
    learner.step, learner.elapsed = 7, 2.5
    folder.save(learner)
    fresh = _learner()
    fresh.restore(folder.saved_state(recipe(), fresh.state()))
    assert (fresh.step, fresh.elapsed) == (7, 2.5)
    for name, tensor in learner.network.state_dict().items():
        assert torch.equal(fresh.network.state_dict()[name], tensor)
    assert folder.last_saved(recipe()) == f"{folder.checkpoint} of step 7 is kept"


def test_a_checkpoint_of_another_origin_is_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path, ORIGIN).save(_learner())
    other = RunFolder(tmp_path, {**ORIGIN, "start": "tiny_x4, which ships"})
    with pytest.raises(BadWeightsError, match=r"of another \(here, there\): start: tiny_x4, which ships, scratch"):
        other.saved_state(recipe(), _learner().state())


def test_results_are_weights_with_a_record_evaluation_and_card(tmp_path: Path) -> None:
    data = PreparedSet.open(prepared(tmp_path / "data"))
    folder, learner = RunFolder(tmp_path / "run", ORIGIN), _learner()
    folder.begin(recipe())
    evaluation = {"sets": {"Set5": {"psnr_y": 30.0, "ssim_y": 0.9}}}
    folder.write_results(learner, 0, data, evaluation, workers=1)
    contents = weights.read(folder.weights)
    assert contents.config == recipe().config
    record = {name: contents.record[name] for name in ("steps", "start", "photographs", "ema", "set")}
    assert record == {"steps": 0, "start": "scratch", "photographs": 3, "ema": recipe().ema, "set": "set"}
    assert "stable" not in contents.record
    assert json.loads((folder.path / "evaluation.json").read_text()) == evaluation
    assert "| Set5 | 30.00 | 0.9000 |" in (folder.path / "card.md").read_text()
    folder.write_results(learner, 0, data, None, workers=1)
    assert not (folder.path / "evaluation.json").exists()


def test_lr_that_was_given_is_recorded_where_it_was_trained_on(tmp_path: Path) -> None:
    data = replace(PreparedSet.open(prepared(tmp_path / "data")), lr="given: lr")
    for degradation, origin in (("clean", "given: lr"), ("photo", BICUBIC)):
        folder = RunFolder(tmp_path / degradation, ORIGIN)
        learner = Learner(recipe(degradation=degradation), Workers(0, 1, torch.device("cpu")))
        folder.begin(learner.recipe)
        folder.write_results(learner, 0, data, None, workers=1)
        assert weights.read(folder.weights).record["low_resolution"] == origin


def test_a_cool_down_records_the_step_that_it_branched_off(tmp_path: Path) -> None:
    data, learner = PreparedSet.open(prepared(tmp_path / "data")), _learner()
    folder = RunFolder(tmp_path / "run", ORIGIN)
    folder.begin(recipe())
    learner.begin = 4
    folder.write_results(learner, 0, data, None, workers=1)
    assert weights.read(folder.weights).record["stable"] == 4
    assert not (folder.path / "evaluation.json").exists()
