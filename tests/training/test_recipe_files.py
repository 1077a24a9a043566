"""Recipes in files: what they mean, and one line for each mistake."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window
from lamnet.network import weights
from lamnet.training import idle, recipe_help
from lamnet.training.degradation import Degradation, clean, degrade, photo
from lamnet.training.loop import train
from lamnet.training.recipe_files import chosen, from_record, from_toml, to_record
from lamnet.training.recipes import KINDS, recipe_named
from support.mutations import COUNTS, mutated
from support.sets import prepared, recipe


def _toml(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_parses_back_to_the_recipe_that_it_shows(tmp_path: Path, kind: str) -> None:
    text = recipe_help.example(kind, "base", 2)
    assert from_toml(_toml(tmp_path, text)) == KINDS[kind]("base", 2)
    assert from_toml(_toml(tmp_path, text.replace(f'based_on = "{kind}"', ""))) == KINDS[kind]("base", 2)


def test_every_field_of_the_example_has_a_comment() -> None:
    bare, commented = list[str](), set[str]()
    for line in recipe_help.example().splitlines():
        if line.startswith("# ") and ": " in line:
            commented |= set(line[2:].split(":")[0].split(", "))
        elif " = " in line and line.split(" = ")[0] not in commented:
            bare.append(line)
    assert bare == []


def test_what_is_left_out_is_as_in_the_named_recipe(tmp_path: Path) -> None:
    assert from_toml(_toml(tmp_path, "")) == recipe_named("base_x4_short")
    text = 'based_on = "photo"\n[network]\nsize = "tiny"\nscale = 2\n[schedule]\nlr = 1\n[data]\nseed = 7'
    assert from_toml(_toml(tmp_path, text)) == replace(recipe_named("tiny_x2_photo"), lr=1.0, seed=7)


def test_a_network_and_a_degradation_of_ones_own(tmp_path: Path) -> None:
    one = from_toml(
        _toml(
            tmp_path,
            """
            [network]
            size = "tiny"
            scale = 2
            blocks = 2
            window = {starts = [-1, 0, 1], lengths = [1, 1, 1]}
            [degradation]
            name = "photo"
            quality = [30, 95]
            """,
        )
    )
    assert (one.size, one.scale) == ("own", 2)
    assert one.config == replace(LAMNetConfig.tiny(2), blocks=2, window=Window((-1, 0, 1), (1, 1, 1)))
    assert one.ranges == replace(photo(), quality=(30.0, 95.0))
    assert not one.reads_lr
    assert from_toml(_toml(tmp_path, "[network]\nchannels = 32\ngroups = 3\nblocks = 4")).size == "tiny"


def test_the_page_shows_a_recipe(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "recipes.md"
    text, _ = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    one = from_toml(_toml(tmp_path, text))
    assert (one.size, one.scale, one.budget_s) == ("tiny", 2, 5400)
    assert one.ranges == replace(photo(), quality=(60.0, 98.0))


@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted({*asdict(photo())} - {"clean", "drawn"}))
def test_a_field_is_refused_exactly_where_it_changes_no_patch(name: str) -> None:
    """By the patches themselves, with shares of none, some and all."""
    some = Degradation(**{**dict.fromkeys(asdict(photo()), 0.5), **_STRENGTHS})
    for shares in itertools.product((0.0, 1.0), (0.0, 0.5, 1.0), (0.0, 1.0)):
        for absent in ({}, {"blur": 0.0, "noise": 0.0, "compression": 0.0}):
            how = replace(some, **dict(zip(("clean", "drawn", "drawn_clean"), shares, strict=True)), **absent)
            value = getattr(how, name)
            moved = replace(how, **{name: (value[0], value[0]) if isinstance(value, tuple) else 1 - round(value)})
            changed = any((_patch(how, seed) != _patch(moved, seed)).any() for seed in range(30))
            assert changed == (idle.lacking(how, name) is None), how


_STRENGTHS = {
    "drawn_quality": (60, 90),
    "quality": (20, 90),
    "blur_deviation": (0.5, 1.1),
    "noise_deviation": (2, 30),
}


def _patch(how: Degradation, seed: int) -> NDArray[np.uint8]:
    wide = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    drawn = np.random.default_rng((seed, 1)).random() < how.drawn
    return degrade(wide, 2, how, np.random.default_rng(seed), drawn=drawn)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("xyz = 1", "xyz: expected one of based_on, network, data, degradation, schedule, found no such field$"),
        ("lr = 1", r"lr: expected it in \[schedule\], found it in no table$"),
        ("[network]\nlr = 1", r"lr: expected it in \[schedule\], found it in \[network\]$"),
        ("[data]\nscale = 2", r"scale: expected it in \[network\], found it in \[data\]$"),
        (
            "[schedule]\nwarm_up = 9",
            "schedule.warm_up: expected one of lr, .*found no such field; the nearest is warmup$",
        ),
        ("[degradation]\nnoisy = 1", "degradation.noisy: .*; the nearest is noise$"),
        ("[network]\nwindow = {start = [1]}", "network.window.start: .*; the nearest is starts$"),
        (
            "[network]\nwindow = {starts = [1]}",
            "network.window.lengths: expected it beside the other one, found nothing",
        ),
        ("[network]\nwindow = 3", "network.window: expected a table, found 3"),
        ("[network]\nsize = 'huge'", "network.size: expected one of tiny, base, large, found 'huge'"),
        ("[network]\nchannels = 30", r"network.channels: expected a positive multiple of 2\*heads = 8, got 30"),
        ("network = 3", "network: expected a table, found 3"),
        ("[data]\nbatch = 4.5", "data.batch: expected a whole number, found 4.5"),
        ("[data]\nbatch = true", "data.batch: expected a whole number, found True"),
        ("[data]\nbatch = 0", "data.batch: expected at least 1, got 0"),
        ("[schedule]\nlr = 'high'", "schedule.lr: expected a number, found 'high'"),
        ("[schedule]\nlr = nan", "schedule.lr: expected a number above 0, got nan"),
        ("[schedule]\nbetas = [0.9]", "schedule.betas: expected a list of 2 numbers"),
        ("[schedule]\nlonger_ema = 0.9", "schedule.longer_ema: expected a list of numbers"),
        ("[schedule]\ncooldown_squared = 1", "schedule.cooldown_squared: expected true or false, found 1"),
        ("[schedule]\nschedule = 'linear'", "schedule.schedule: expected one of cosine, steps, stable, cooldown"),
        ("[degradation]\nname = 'foto'", "degradation.name: expected one of clean, photo, found 'foto'$"),
        ("[degradation]\nblur = 2", "degradation.blur: expected a share from 0 to 1, got 2.0"),
        ("[degradation]\nquality = [95, 30]", "degradation.quality: expected two rising numbers from 1 to 100"),
        (
            "[degradation]\nquality = [60, 98]",
            'degradation.quality: expected clean below 1, or name = "photo", beside it, .*found clean = 1$',
        ),
        ("[degradation]\nnoise = 1", "degradation.noise: expected clean below 1, or"),
        ("[degradation]\ndrawn = 1\nblur = 1", "degradation.blur: expected drawn below 1, or.* found drawn = 1"),
        ("[degradation]\ndrawn = 0.5\nblur = 1", "degradation.blur: expected clean below 1, or"),
        ("[degradation]\nclean = 0\nquality = [60, 98]", "degradation.quality: expected compression above 0"),
        ("[degradation]\ndrawn_quality = [60, 98]", "degradation.drawn_quality: expected drawn above 0"),
        (
            "[degradation]\nname = 'photo'\nnoise = 0\ngrey = 1",
            "degradation.grey: expected noise above 0 beside it, since it changes nothing otherwise, found noise = 0$",
        ),
        ("based_on = 'long'", "based_on: expected one of paper, short, photo, stable, found 'long'"),
        ("[data", "expected TOML, found"),
    ],
)
def test_each_mistake_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadArgumentError, match=rf"my\.toml: {words}") as raised:
        from_toml(_toml(tmp_path, text))
    assert len(str(raised.value).splitlines()) == 1


def test_recipes_are_named_in_four_ways(tmp_path: Path) -> None:
    assert chosen("tiny_x4_short") == recipe_named("tiny_x4_short")
    assert chosen(str(_toml(tmp_path, recipe_help.example()))) == recipe_named("tiny_x4_short")
    (tmp_path / "recipe.json").write_text(json.dumps(asdict(recipe())))
    assert chosen(str(tmp_path)) == chosen(str(tmp_path / "recipe.json")) == recipe()
    for absent in ("absent.toml", "absent.json"):
        with pytest.raises(BadArgumentError, match=rf"{absent}: expected a recipe.*No such file"):
            chosen(absent)


def test_older_records_are_read_and_others_refused() -> None:
    old = asdict(recipe())
    for name in ("degradation", "own_degradation", "network", "longer_ema", "cooldown_beta2", "cooldown_squared"):
        del old[name]
    assert from_record(old, "r") == recipe()
    for record, words in (
        ([], "r: expected a recipe"),
        ({**old, "lrr": 1}, "r: lrr: .*nearest is lr"),
        ({}, "r: .*size"),
    ):
        with pytest.raises(BadArgumentError, match=words):
            from_record(record, "r")


@pytest.mark.thorough
def test_an_ablation_trains_and_its_weights_say_what_it_is(tmp_path: Path) -> None:
    text = """
        [network]
        size = "tiny"
        groups = 1
        [data]
        patch = 8
        batch = 2
        [degradation]
        clean = 0.5
        noise = 1
        [schedule]
        steps = 2
        """
    one = from_toml(_toml(tmp_path, text))
    made = train(one, prepared(tmp_path), tmp_path / "run")
    assert chosen(str(tmp_path / "run")) == one
    contents = weights.read(made)
    assert contents.config == replace(LAMNetConfig.tiny(4), groups=1)
    assert contents.record["degradation"]["noise"] == 1
    assert from_record(contents.record["recipe"], "header") == one
    card = (tmp_path / "run" / "card.md").read_text()
    for words in ("# own x4", "channels 32, groups 1, blocks 4", "lamnet train recipe.json --data set", "noise 1.0"):
        assert words in card


def test_text_that_no_parser_takes_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    for text in (
        '{"network": {"channels": 1' + "0" * 400 + "}}",
        "[" * 100_000,
        '{"lr": 1' + "0" * 400 + "}",
        '{"degradation": "\\n|"}',
        "NaN",
    ):
        path.write_text(text)
        with pytest.raises(BadArgumentError, match=r"^[^\n]*recipe\.json: [^\n]*$"):
            chosen(str(path))


@pytest.mark.thorough
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", ["my.toml", "recipe.json"])
def test_damaged_recipes_are_refused_or_read(tmp_path: Path, name: str, count: int) -> None:
    path, one = tmp_path / name, recipe_named("tiny_x2_photo")
    whole = recipe_help.example("photo", "tiny", 2) if name == "my.toml" else json.dumps(to_record(one), indent=1)
    refused = 0
    for content in mutated(whole.encode(), count):
        path.write_bytes(content)
        try:
            assert chosen(str(path)).steps > 0
        except BadArgumentError as error:
            refused += "\n" not in str(error) and len(str(error)) < 2000
    assert count // 4 < refused < count


def test_ranges_that_are_left_out_are_those_of_the_named_recipe(tmp_path: Path) -> None:
    text = 'based_on = "photo"\n[network]\nsize = "tiny"\nscale = 1\n'
    assert from_toml(_toml(tmp_path, text)) == recipe_named("tiny_x1_photo")
    assert from_toml(_toml(tmp_path, text + "[degradation]\nnoise = 0.2\n")).ranges.blur == 0.1
    assert from_toml(_toml(tmp_path, text + '[degradation]\nname = "clean"\n')).ranges == clean()
