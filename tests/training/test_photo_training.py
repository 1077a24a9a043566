"""Training on degraded patches: from the recipe's name to the weights' header."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lamnet.base.errors import BadArgumentError
from lamnet.network import weights
from lamnet.training import degradation, recipes
from lamnet.training.degraded import DegradedSampler
from lamnet.training.loop import train
from support.sets import prepared, recipe
from support.trainings import interrupt_at


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


def test_the_recipe_for_photographs_has_a_name() -> None:
    one = recipes.recipe_named("tiny_x2_photo")
    assert (one.size, one.scale, one.degradation) == ("tiny", 2, "photo")
    assert recipes.recipe_named("tiny_x2_short").degradation == "clean"
    with pytest.raises(BadArgumentError, match="degradation: expected clean or photo, got foto"):
        recipe(degradation="foto")


def test_records_from_before_degradations_are_of_clean_ones() -> None:
    record = asdict(recipe())
    del record["degradation"]
    assert recipe().differences(record) == []
    assert recipe(degradation="photo").differences(record) == ["degradation: photo, clean"]


@pytest.mark.thorough
def test_a_photo_training_that_was_cut_off_ends_with_the_same_bits(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = recipe(degradation="photo", scale=2)
    whole = load_file(train(one, data, tmp_path / "whole"))
    with monkeypatch.context() as patched:
        interrupt_at(patched, 3, DegradedSampler)
        with pytest.raises(KeyboardInterrupt):
            train(one, data, tmp_path / "cut")
    again = load_file(train(one, data, tmp_path / "cut"))
    assert all((again[name] == whole[name]).all() for name in whole)


@pytest.mark.thorough
def test_the_ranges_are_in_the_header_and_the_card(data: Path, tmp_path: Path) -> None:
    made = train(recipe(degradation="photo", steps=1), data, tmp_path / "run")
    recorded = weights.read(made).record
    assert recorded["recipe"]["degradation"] == "photo"
    assert recorded["degradation"] == json.loads(json.dumps(asdict(degradation.photo())))
    kinds = (
        "blur, downscaling by several filters, downscaling in two steps, noise, JPEG and WebP, drawn for every patch"
    )
    assert f"| degradation | {kinds} |\n" in (tmp_path / "run" / "card.md").read_text()
