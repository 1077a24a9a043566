"""The lines of `lamnet train --help-recipe`; the training itself is tested in tests/training."""

from __future__ import annotations

import sys
import tomllib

import pytest

from lamnet.cli import main
from lamnet.training import recipe_help


@pytest.mark.parametrize("words", [["base_x2_photo", "--help-recipe"], ["--help-recipe", "base_x2_photo"]])
def test_a_named_recipe_is_shown_wherever_the_option_stands(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lamnet", "train", *words])
    with pytest.raises(SystemExit) as stopped:
        main.main()
    assert not stopped.value.code
    out = capsys.readouterr().out
    assert out == recipe_help.example("photo", "base", 2)
    assert (tomllib.loads(out)["based_on"], tomllib.loads(out)["network"]["size"]) == ("photo", "base")


def test_other_names_are_refused_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["lamnet", "train", "mine.toml", "--help-recipe"])
    with pytest.raises(SystemExit) as stopped:
        main.main()
    assert stopped.value.code == 1
    words = "paper, short, photo, stable, or a recipe's name such as base_x2_photo, got mine.toml"
    assert capsys.readouterr().err == f"lamnet: help-recipe: expected {words}\n"
