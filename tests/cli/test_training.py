"""The lines of `lamnet train --help-recipe`; the training itself is tested in tests/training."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from lamnet.base.errors import BadWeightsError
from lamnet.cli import main, training
from lamnet.training import recipe_help
from lamnet.training.preparation import prepare
from support.pairs import some_pairs
from support.sets import photographs


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


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("recipe", "start", "scale"),
    [("tiny_x1_photo", "tiny", 2), ("x5.toml", "tiny", 4), ("base_x1_photo", "base:photo", 2), ("tiny_x3", "tiny", 3)],
)
def test_where_a_scale_does_not_ship_the_nearest_gives_its_body(
    recipe: str,
    start: str,
    scale: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "x5.toml").write_text('based_on = "photo"\n[network]\nsize = "tiny"\nscale = 5')
    monkeypatch.chdir(tmp_path)
    photographs(tmp_path / "photos", [(60, 60)])
    prepare(tmp_path / "photos", tmp_path / "set", (2, 3))
    call = [
        "train",
        recipe,
        "--data",
        "set",
        "--out",
        "run",
        "--steps",
        "1",
        "--patch",
        "8",
        "--batch",
        "1",
        "--from",
        start,
    ]
    with pytest.raises(SystemExit) as stopped:
        main.app(call)
    assert not stopped.value.code
    noted = (
        f"{start}: has no weights for x{recipe[6] if recipe[0] != 'x' else 5}; the training starts from the body"
        in (capsys.readouterr().err)
    )
    shown = f"| started from | {start.partition(':')[0]}_x{scale}{'_photo' if ':' in start else ''}, which ships |"
    assert shown in (tmp_path / "run" / "card.md").read_text()
    assert noted == (recipe != "tiny_x3")


def test_sizes_without_weights_are_refused_at_every_scale(tmp_path: Path) -> None:
    with pytest.raises(BadWeightsError, match="large: has no weights yet"):
        main.app(["train", "large_x4", "--data", "set", "--out", "run", "--from", "large"], exit_on_error=False)


def test_no_kind_of_line_about_a_set_hides_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hr, lr = some_pairs(tmp_path)
    words = ["lamnet", "prepare", str(hr), str(tmp_path / "set"), "--scales", "4", "--lr", str(lr)]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(training, "_MAX_NOTES", 1)
    with pytest.raises(SystemExit):
        main.main()
    lines = capsys.readouterr().err.splitlines()
    listed = [line for line in lines if line.startswith(("skipped", "zx4.png", "b.png", "c.png", "and "))]
    assert [line.split(":")[0].split(" more ")[0] for line in listed] == [
        "skipped d.png",
        "and 3",
        "zx4.png",
        "b.png",
        "and 1",
    ]
    assert "zx4.png: LR without HR, or beside another LR" in listed


def test_photographs_that_a_manifest_leaves_out_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = photographs(tmp_path / "photos", [(48, 48), (48, 60), (60, 48)])
    (photos / "manifest.csv").write_text("file,licence\np1.png,CC0\nother.png,CC0\n")
    monkeypatch.setattr(sys, "argv", ["lamnet", "prepare", str(photos), str(tmp_path / "set"), "--scales", "2"])
    with pytest.raises(SystemExit):
        main.main()
    expected = f"{photos / 'manifest.csv'}: has no licence for 2 photographs, the first: p0.png"
    assert expected in " ".join(capsys.readouterr().err.split())


def test_what_prepare_does_not_read_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = photographs(tmp_path / "photos", [(48, 48)])
    (photos / "raw").mkdir()
    for name in ("clip.mov", "notes.txt", "raw/a.CR2", "raw/b.cr2", "manifest.csv", ".hidden.txt"):
        (photos / name).write_text("file,licence\n")
    (tmp_path / "more").mkdir()
    (photos / "more").symlink_to(tmp_path / "more")
    monkeypatch.setattr(sys, "argv", ["lamnet", "prepare", str(photos), str(photos / "set"), "--scales", "2"])
    with pytest.raises(SystemExit):
        main.main()
    kinds = "2 .cr2, 1 .mov, 1 links to folders, 1 .txt (clip.mov, more, notes.txt, ...)"
    shown = " ".join(capsys.readouterr().err.split())
    assert f"{photos}: left out what by its name is no picture: {kinds}" in shown
