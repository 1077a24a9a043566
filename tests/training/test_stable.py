"""Stable phases, which can always go on, and the cool-downs that branch off them."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.base.interrupts import Stopped
from lamnet.cli.main import app
from lamnet.network import weights
from lamnet.training import recipe_files
from lamnet.training.loop import train
from lamnet.training.pairs import PatchSampler
from lamnet.training.preparation import prepare
from lamnet.training.prepared import PreparedSet
from lamnet.training.recipe_files import to_record
from lamnet.training.recipes import Recipe
from support.sets import photographs, prepared, recipe
from support.trainings import interrupt_at


def _stable(**changes: object) -> Recipe:
    few = recipe(schedule="stable", steps=4, warmup=0, log_every=1, mse_from=1.0, longer_ema=(0.5, 0.0))
    return replace(few, **changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


@pytest.fixture
def stable(data: Path, tmp_path: Path) -> Iterator[Path]:
    """A phase of four steps, which nothing that branches off it may change."""
    train(_stable(), data, tmp_path / "stable")
    before = {path.name: path.read_bytes() for path in (tmp_path / "stable").iterdir()}
    yield tmp_path / "stable"
    assert {path.name: path.read_bytes() for path in (tmp_path / "stable").iterdir()} == before


def _lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _equal(first: Path, second: Path) -> bool:
    one, two = (load_file(path / "weights.safetensors") for path in (first, second))
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.thorough
def test_a_phase_that_rested_goes_on_as_if_it_never_had(data: Path, tmp_path: Path) -> None:
    train(_stable(steps=6), data, tmp_path / "whole")
    for steps in (2, 6):
        train(_stable(steps=steps), data, tmp_path / "parts")
    assert _equal(tmp_path / "whole", tmp_path / "parts")
    assert {line["lr"] for line in _lines(tmp_path / "parts")} == {3e-3}


@pytest.mark.thorough
@pytest.mark.parametrize("older", [False, True])
def test_the_loss_after_a_rest_between_lines_is_the_mean_of_its_own_steps(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    """At a rate of almost zero, on one batch, it is that of any step; a state from before `summed` has no such count."""
    draw = PatchSampler.draw
    monkeypatch.setattr(PatchSampler, "draw", lambda self, step, *parts: draw(self, 0, *parts))
    for steps in (1, 3, 8):  # lines at 1, 3, 4, 8
        train(_stable(steps=steps, lr=1e-12, log_every=4, save_every=1), data, tmp_path / "run")
        if older:
            state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
            del state["summed"]
            torch.save(state, tmp_path / "run" / "checkpoint.pt")
    losses = {int(line["step"]): line["loss"] for line in _lines(tmp_path / "run")}
    assert losses == {step: pytest.approx(losses[1], rel=1e-4) for step in (1, 3, 4, 8)}


@pytest.mark.thorough
def test_a_signal_saves_the_state_and_leaves_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    draw = PatchSampler.draw

    def signalled(self: PatchSampler, step: int, part: int = 0, parts: int = 1):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(self, step, part, parts)

    with monkeypatch.context() as patched:
        patched.setattr(PatchSampler, "draw", signalled)
        with pytest.raises(Stopped) as stopped:
            train(_stable(steps=0, save_every=1000), data, tmp_path / "cut")
    assert stopped.value.args == (signal.SIGTERM,)
    step = torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)["step"]
    assert 2 <= step <= 4
    assert f"stopped at step {step}, which is saved" in " ".join(capfd.readouterr().err.split())
    assert weights.read(tmp_path / "cut" / "weights.safetensors").record["steps"] == step
    for run in ("cut", "whole"):
        train(_stable(steps=6, save_every=1000), data, tmp_path / run)
    assert _equal(tmp_path / "whole", tmp_path / "cut")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.thorough
def test_a_cool_down_begins_with_the_state_and_ends_at_a_rate_of_zero(stable: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "cool"
    state = stable / "checkpoint.pt"
    train(_stable(log_every=1).cooldown(steps=3), data, out, state=state)
    lines = _lines(out)
    assert [line["step"] for line in lines] == [5, 6, 7]
    assert [line["lr"] for line in lines] == pytest.approx([3e-3 * (1 - (done / 3) ** 0.5) for done in (0, 1, 2)])
    group = torch.load(out / "checkpoint.pt", weights_only=True)["optimiser"]["param_groups"][0]
    assert tuple(group["betas"]) == (0.9, 0.999)
    record = weights.read(out / "weights.safetensors").record
    assert (record["stable"], record["steps"], record["start"]) == (4, 7, str(state))
    card = (out / "card.md").read_text()
    for words in ("7 steps", "the cool-down from step 4 on", f"--state {state}"):
        assert words in card


@pytest.mark.thorough
def test_the_first_step_of_a_cool_down_is_that_of_the_phase_itself(data: Path, tmp_path: Path) -> None:
    """The rate is not yet lowered, the momentum is that of the phase, and the patches are the same."""
    train(_stable(steps=4), data, tmp_path / "stable")
    plain = replace(_stable(), cooldown_beta2=0.99, cooldown_squared=False)
    train(plain.cooldown(steps=1), data, tmp_path / "cool", state=tmp_path / "stable" / "checkpoint.pt")
    train(_stable(steps=5), data, tmp_path / "stable")
    assert _equal(tmp_path / "stable", tmp_path / "cool")


@pytest.mark.thorough
def test_a_cool_down_that_was_cut_off_ends_with_the_same_bits_though_the_phase_went_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(_stable(), data, tmp_path / "stable")
    cooling, state = _stable(save_every=1).cooldown(steps=4), tmp_path / "stable" / "checkpoint.pt"
    train(cooling, data, tmp_path / "whole", state=state)
    with monkeypatch.context() as patched:
        interrupt_at(patched, 6)
        with pytest.raises(KeyboardInterrupt):
            train(cooling, data, tmp_path / "cut", state=state)
    train(_stable(steps=5), data, tmp_path / "stable")
    train(cooling, data, tmp_path / "cut", state=state)
    assert _equal(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.thorough
def test_the_best_validated_average_ships(stable: Path, data: Path, tmp_path: Path) -> None:
    valid = photographs(tmp_path / "valid", [(60, 60)], seed=9)
    cooling = _stable(lr=2e-3).cooldown(steps=6)
    train(cooling, data, tmp_path / "cool", valid, state=stable / "checkpoint.pt")
    state = torch.load(tmp_path / "cool" / "checkpoint.pt", weights_only=True)
    record = weights.read(tmp_path / "cool" / "weights.safetensors").record
    last = _lines(tmp_path / "cool")[-1]
    assert record["ema"] == last["ema"]
    kept = {0.999: state["average"], **{float(decay): longer for decay, longer in state["longer"].items()}}
    assert kept.keys() == {0.999, 0.5, 0.0}
    shipped = load_file(tmp_path / "cool" / "weights.safetensors")
    assert all(torch.equal(shipped[name], tensor) for name, tensor in kept[record["ema"]].items())
    assert all(torch.equal(tensor, kept[0.0][name]) for name, tensor in state["network"].items())


@pytest.mark.thorough
def test_a_phase_begins_with_weights_alone(stable: Path, data: Path, tmp_path: Path) -> None:
    train(_stable(steps=1, lr=1e-12), data, tmp_path / "on", start=stable / "weights.safetensors")
    assert (stable / "weights.safetensors").stat().st_size < 4e6
    before, after = (load_file(path / "weights.safetensors") for path in (stable, tmp_path / "on"))
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


@pytest.mark.thorough
def test_states_that_do_not_fit_are_refused(stable: Path, data: Path, tmp_path: Path) -> None:
    state = stable / "checkpoint.pt"
    with pytest.raises(BadWeightsError, match=r"checkpoint\.pt: expected a state of this network, .*: scale 2, 4"):
        train(_stable(scale=2).cooldown(steps=1), data, tmp_path / "cool", state=state)
    with pytest.raises(BadArgumentError, match="state: expected a checkpoint of a stable phase with a cool-down"):
        train(_stable(), data, tmp_path / "cool", state=state)
    with pytest.raises(BadArgumentError, match="state: expected"):
        train(_stable().cooldown(steps=1), data, tmp_path / "cool")
    assert not (tmp_path / "cool").exists()


def _lamnet(*arguments: str | Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        app([str(argument) for argument in arguments])
    assert not stopped.value.code


@pytest.mark.thorough
def test_the_command_branches_several_cool_downs_off_a_folder(data: Path, tmp_path: Path) -> None:
    toml = tmp_path / "my.toml"
    toml.write_text(
        'based_on = "stable"\n[network]\nsize = "tiny"\n[data]\npatch = 8\nbatch = 2\n[schedule]\nlog_every = 1'
    )
    run, cooling = tmp_path / "run", ("--data", data, "--cooldown", "1s")
    _lamnet("train", toml, "--data", data, "--out", run, "--steps", "2")
    _lamnet("train", run, *cooling, "--out", tmp_path / "one")
    _lamnet("train", toml, *cooling, "--out", tmp_path / "two", "--state", run, "--patch", "9")
    _lamnet("train", toml, "--data", data, "--out", run, "--steps", "3")
    assert [line["step"] for line in _lines(run)] == [1, 2, 3]
    for name in ("one", "two"):
        lines = _lines(tmp_path / name)
        assert (lines[0]["step"], lines[0]["lr"]) == (3, 1.5e-3)
        assert weights.read(tmp_path / name / "weights.safetensors").record["stable"] == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cooldown", "soon"], "cooldown: expected a time such as 90s"),
        (
            ["--cooldown", "9s"],
            "state: expected the folder or checkpoint of a stable phase, here or in place of the recipe, "
            "got tiny_x4_stable alone",
        ),
        (
            ["--cooldown", "9s", "--state", "."],
            r"state: expected the folder or checkpoint.*, found none at checkpoint\.pt",
        ),
        (["--cooldown", "9s", "--steps", "3"], "cooldown: expected it without steps, got both"),
        (["--cooldown", "9s", "--budget", "9s"], "cooldown: expected it without budget, got both"),
        (["--cooldown", "9s", "--from", "tiny"], "cooldown: expected it without from, got both"),
        (["--state", "."], "state: expected a cooldown with it, got none"),
    ],
)
def test_options_that_do_not_fit(data: Path, tmp_path: Path, options: list[str], words: str) -> None:
    call = ["train", "tiny_x4_stable", "--data", str(data), "--out", str(tmp_path / "out"), *options]
    with pytest.raises(BadArgumentError, match=words):
        app(call, exit_on_error=False)


def test_a_recipe_file_is_no_stable_phase(data: Path, tmp_path: Path) -> None:
    toml, run = tmp_path / "st.toml", tmp_path / "run"
    toml.write_text('based_on = "stable"')
    with pytest.raises(BadArgumentError, match=r"^state: expected the folder or checkpoint .*, got \S*st\.toml alone$"):
        app(["train", str(toml), "--data", str(data), "--out", str(run), "--cooldown", "2s"], exit_on_error=False)
    assert not run.exists()


def test_the_recipe_of_a_cool_down_alone_is_refused_with_the_options_that_it_takes(data: Path, tmp_path: Path) -> None:
    (tmp_path / "cool").mkdir()
    (tmp_path / "cool" / "recipe.json").write_text(json.dumps(to_record(_stable().cooldown(steps=1))))
    words = r"^recipe: expected --state with the stable phase beside that of a cool-down, got \S*cool alone$"
    call = ["train", str(tmp_path / "cool"), "--data", str(data), "--out", str(tmp_path / "out")]
    with pytest.raises(BadArgumentError, match=words):
        app(call, exit_on_error=False)
    with pytest.raises(BadArgumentError, match=r"^from: expected it without a cool-down, got both$"):
        app([*call, "--state", str(tmp_path), "--from", "tiny"], exit_on_error=False)


@pytest.mark.thorough
@pytest.mark.parametrize("length", [{"steps": 3}, {"seconds": 0.4}])
def test_the_command_on_the_card_of_a_cool_down_makes_it_again(
    stable: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: dict[str, Any]
) -> None:
    cooling, out = _stable().cooldown(**length), tmp_path / "cool"
    train(cooling, data, out, state=stable / "checkpoint.pt")
    words = shlex.split((out / "card.md").read_text().split("| command | `")[1].split("`")[0])
    assert words[:3] == ["lamnet", "train", "recipe.json"]
    monkeypatch.chdir(out)
    places = {"set": str(data), "RUN": str(tmp_path / "again")}
    _lamnet(*(places.get(word, word) for word in words[1:]))
    assert recipe_files.chosen(str(tmp_path / "again")) == recipe_files.chosen(str(out))
    if "steps" in length:
        assert _equal(out, tmp_path / "again")


@pytest.mark.thorough
def test_a_cool_down_on_other_photographs_names_both_sets(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other, run = tmp_path / "other", tmp_path / "cool"
    prepare(photographs(tmp_path / "photos", [(72, 60)]), other, (4,))
    train(_stable(steps=1), data, tmp_path / "stable")
    state, cooling = tmp_path / "stable" / "checkpoint.pt", _stable().cooldown(steps=1)
    train(cooling, data, tmp_path / "same", state=state)
    assert "stable_photographs" not in weights.read(tmp_path / "same" / "weights.safetensors").record
    assert "other photographs" not in capfd.readouterr().err
    for _ in range(2):  # a finished one too, whose phase may be gone by then
        train(cooling, other, run, state=state)
        first = f"{PreparedSet.open(data).fingerprint}, folder set"
        said = f"{other}: other photographs than those of the stable phase, which were {first}"
        assert said in " ".join(capfd.readouterr().err.split())
        assert weights.read(run / "weights.safetensors").record["stable_photographs"] == first
        card = (run / "card.md").read_text()
        for words in (
            "| photographs | 1 (0 megapixels), folder other |",
            f"| photographs before the cool-down | {first}; their licences",
        ):
            assert words in card
        state.write_bytes(b"")
