"""Recipes: schedules, names, differences."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import pytest

from lamnet.base.errors import BadArgumentError
from lamnet.cli.values import seconds
from lamnet.core.config import LAMNetConfig
from lamnet.training.degradation import Degradation
from lamnet.training.recipe_files import from_record, to_record
from lamnet.training.recipes import Recipe, recipe_named, short
from support.sets import recipe


def test_cosine_falls_from_the_rate_to_zero() -> None:
    one = replace(short("tiny", 4), lr=2e-3, warmup=0)
    assert one.rate(0, 0.0) == pytest.approx(2e-3)
    assert one.rate(10, 0.5) == pytest.approx(1e-3)
    assert one.rate(20, 1.0) == pytest.approx(0, abs=1e-12)
    rates = [one.rate(step, step / 100) for step in range(101)]
    assert rates == sorted(rates, reverse=True)


def test_the_papers_schedule_halves_at_250_400_450_475_thousand() -> None:
    one = recipe_named("base_x4")
    assert (one.batch, one.patch, one.lr, one.betas, one.ema, one.steps) == (64, 64, 1e-3, (0.9, 0.99), 0.999, 500_000)
    for step, rate in [
        (0, 1e-3),
        (249_999, 1e-3),
        (250_000, 5e-4),
        (400_000, 2.5e-4),
        (450_000, 1.25e-4),
        (475_000, 6.25e-5),
    ]:
        assert one.rate(step, one.progress(step, 0.0)) == pytest.approx(rate)


def test_warm_up_rises_to_the_rate() -> None:
    one = replace(short("tiny", 4), lr=1.0, warmup=3)
    assert [one.rate(step, 0.0) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_budget_counts_time_and_not_steps() -> None:
    one = recipe(budget_s=100.0, steps=10)
    assert one.progress(1000, 25.0) == 0.25
    assert one.progress(0, 200.0) == 1.0
    assert recipe(steps=10).progress(5, 1e9) == 0.5


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("25m", 1500), ("1h30m", 5400), ("2h", 7200), ("1h0m5s", 3605)]
)
def test_budgets_are_written_as_times(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "25", "m", "0m", "-5m", "1.5h", "25 m", "1" + "0" * 400 + "s"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(BadArgumentError, match="such as 90s, 25m or 1h30m, got"):
        seconds(text)


@pytest.mark.parametrize("size", ["tiny", "base", "large"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_size_and_scale_has_a_paper_and_a_short_recipe(size: str, scale: int) -> None:
    for one in (recipe_named(f"{size}_x{scale}"), recipe_named(f"{size}_x{scale}_short")):
        assert (one.size, one.scale, one.config.scale) == (size, scale, scale)


@pytest.mark.parametrize("name", ["tiny", "tiny_x5", "huge_x4", "tiny_x4_long", "tiny_x4_short "])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(BadArgumentError, match="expected SIZE_xSCALE"):
        recipe_named(name)


def test_scale_one_is_for_photographs() -> None:
    one = recipe_named("tiny_x1_photo")
    assert (one.scale, one.ranges) == (1, replace(recipe_named("tiny_x2_photo").ranges, blur=0.1))
    with pytest.raises(BadArgumentError, match="recipe: expected base_x1_photo at scale 1"):
        recipe_named("base_x1_short")


def test_a_stable_rate_stays_and_a_cool_down_falls_by_the_square_root() -> None:
    one = replace(recipe_named("tiny_x4_stable"), warmup=3, lr=1.0)
    assert [one.rate(step, one.progress(step, 1e9)) for step in (0, 3, 10**9)] == [0.25, 1, 1]
    assert replace(one, budget_s=60.0).progress(5, 30.0) == 0.5
    cooling = replace(one, cooldown_squared=True).cooldown(seconds=100.0)
    assert [cooling.rate(0, cooling.progress(0, seconds)) for seconds in (0, 25, 100)] == [1, 0.5, 0]
    assert (cooling.betas, cooling.mse_from) == ((0.9, 0.999), 0)
    assert cooling.cooldown(seconds=100.0) == cooling
    plain = replace(one, cooldown_beta2=0.99).cooldown(steps=8)
    assert (plain.betas, plain.mse_from, plain.progress(2, 0.0)) == ((0.9, 0.99), 1, 0.25)


def test_where_a_stable_phase_rests_is_no_difference() -> None:
    one = recipe_named("tiny_x4_stable")
    assert replace(one, steps=10).differences(asdict(one)) == []
    assert replace(one, budget_s=10.0, lr=1.0).differences(asdict(one)) == ["lr: 1.0, 0.0015"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": 0}, "batch: expected at least 1, got 0"),
        ({"batch": 3, "accumulate": 2}, "divisor of the batch 3, got 2"),
        ({"lr": 0.0}, "lr: expected a number above 0, got 0.0"),
        ({"lr": float("nan")}, "lr: expected a number above 0, got nan"),
        ({"lr": float("inf")}, "lr: expected a number above 0, got inf"),
        ({"ema": 1.0}, "ema: expected"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"longer_ema": (0.999,)}, "longer_ema: expected other numbers than ema"),
        ({"longer_ema": (0.9, 0.9)}, "longer_ema: expected each decay once"),
        ({"betas": (0.9, 1.0)}, "betas: expected two numbers from 0 to below 1"),
        ({"negative": 1.5}, "negative: expected a share from 0 to 1, got 1.5"),
        ({"psnr_share": 1.0}, "psnr_share: expected a number from 0 to below 1, got 1.0"),
        ({"size": "huge"}, "size: expected one of tiny, base, large, got huge"),
        ({"schedule": "linear"}, "schedule: expected cosine, steps, stable or cooldown, got linear"),
        ({"seed": -1}, "seed: expected at least 0, got -1"),
        ({"seed": 2**63}, "seed: expected at most 9223372036854775807, got 9223372036854775808"),
        ({"seed": 10**5000}, "seed: expected at most 9223372036854775807, got a very large number"),
    ],
)
def test_senseless_values_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(BadArgumentError, match=words):
        recipe(**change)


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe) if field.type == "float"])
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_numbers_that_are_not_finite_are_refused(name: str, value: float) -> None:
    with pytest.raises(BadArgumentError, match=f"^{name}: expected .*, got {value}$"):
        recipe(**{name: value})


@pytest.mark.parametrize("name", ["betas", "longer_ema"])
def test_lists_with_numbers_that_are_not_finite_are_refused(name: str) -> None:
    with pytest.raises(BadArgumentError, match=f"^{name}: expected"):
        recipe(**{name: (float("nan"), 0.5)})


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Recipe) if field.type == "int" and field.name != "scale"]
)
def test_whole_numbers_beyond_all_counting_are_refused(name: str) -> None:
    with pytest.raises(BadArgumentError, match=f"^{name}: expected at most [0-9]+, got a very large number$"):
        recipe(**{name: 10**400})


def test_differences_are_named_and_fields_added_later_are_none() -> None:
    one = recipe()
    recorded = json.loads(json.dumps(asdict(one)))
    assert one.differences(recorded) == []
    assert replace(one, lr=1e-4, patch=9).differences(recorded) == ["lr: 0.0001, 0.003", "patch: 9, 8"]
    del recorded["betas"]
    assert one.differences(recorded) == []
    assert one.differences({**recorded, "unheard_of": 1}) == ["unheard_of: None, 1"]


def test_differences_of_a_degradation_and_a_network_are_named_by_field() -> None:
    one = recipe(own_degradation=Degradation(noise=1), network=replace(LAMNetConfig.tiny(4), blocks=2))
    recorded = json.loads(json.dumps(asdict(one)))
    del recorded["own_degradation"]["alone"], recorded["network"]["window"]  # as before these fields were added
    assert one.differences(recorded) == []
    other = replace(one, own_degradation=Degradation(noise=1, blur=0.5), network=LAMNetConfig.tiny(4))
    blocks = LAMNetConfig.tiny(4).blocks
    assert other.differences(recorded) == [f"network.blocks: {blocks}, 2", "own_degradation.blur: 0.5, 0.0"]


def test_a_recipe_survives_json() -> None:
    own = replace(LAMNetConfig.tiny(4), blocks=2)
    for one in (recipe(), recipe(size="own", network=own), recipe(own_degradation=Degradation(clean=0, noise=1))):
        assert from_record(json.loads(json.dumps(to_record(one))), "here") == one
        assert from_record(json.loads(json.dumps(asdict(one))), "here") == one


def test_longer_averages_look_further_back_from_the_start() -> None:
    one = replace(recipe_named("tiny_x4_stable"), ema=0.999, longer_ema=(0.9999, 0.0))
    held = [0.0, 0.0, 0.0]
    for step in range(2000):
        held = [decay * old + (1 - decay) * step for decay, old in zip(one.averaging(step), held, strict=True)]
    assert [1999 - step for step in held] == pytest.approx([200, 500, 0], rel=0.01, abs=0.01)
    assert one.averaging(10**6) == [0.999, 0.9999, 0.0]
