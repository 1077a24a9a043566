"""A set of what a network makes of degraded patches: what its pixels are, and that a training takes it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import teacher_set
from lamnet.core import weights
from lamnet.core.ensemble import self_ensemble
from lamnet.core.network import Network
from lamnet.training.loop import train
from lamnet.training.preparation import prepare
from lamnet.training.prepared import PreparedSet
from lamnet.training.recipes import recipe_named
from support.sets import photographs, recipe


@pytest.mark.parametrize("options", [[], ["--ensemble"]])
def test_hr_is_what_the_teacher_makes_of_lr(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side, border = 4 * teacher_set.PATCH, teacher_set.BORDER
    prepare(photographs(tmp_path / "photos", [(side + 8 * border + 16, side + 8 * border)]), tmp_path / "set", (4,))
    out = tmp_path / "taught"
    words = ["tiny:photo", str(tmp_path / "set"), str(out), "--recipe", "tiny_x4_photo", "--patches", "3", *options]
    monkeypatch.setattr(sys, "argv", ["teacher_set.py", *words])
    teacher_set.main()

    made = PreparedSet.open(out)
    assert [(photo.height, photo.width) for photo in made.photos] == [(side, side)] * 3
    assert made.lr == "given: degraded patches; HR is what tiny:photo makes of them"
    lr = np.fromfile(made.file(4), np.uint8).reshape(3, teacher_set.PATCH, teacher_set.PATCH, 3)
    hr = np.fromfile(made.file(1), np.uint8).reshape(3, side, side, 3)
    assert not (lr[0] == lr[1]).all()
    wide = next(teacher_set.patches(PreparedSet.open(tmp_path / "set"), [recipe_named("tiny_x4_photo")], 1))
    assert (wide[border:-border, border:-border] == lr[0]).all()
    file = weights.load("tiny:photo", 4)
    network, pixels = Network(file.config, file.state), wide.astype(np.float32) / np.float32(255)
    whole = (self_ensemble(network, pixels) if options else network(pixels)).clip(0, 1) * 255
    wanted = whole[4 * border : -4 * border, 4 * border : -4 * border]
    assert np.abs(hr[0] - wanted).max() < 3  # the teacher computes in bfloat16
    assert np.abs(hr[0] - wanted).mean() < 0.5


def test_a_training_takes_it(tmp_path: Path) -> None:
    lr, hr = (np.full((side, side, 3), 90, np.uint8) for side in (teacher_set.PATCH, 4 * teacher_set.PATCH))
    teacher_set.make(tmp_path / "taught", 4, "base", iter([(lr, hr)]), lambda done: None)
    assert train(recipe(), tmp_path / "taught", tmp_path / "run").is_file()


def test_what_is_there_is_kept_and_scales_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = prepare(photographs(tmp_path / "photos", [(400, 400)]), tmp_path / "set", (4,)).folder
    before = {file.name: file.read_bytes() for file in data.iterdir()}
    words = ["teacher_set.py", "tiny:photo", str(data), str(data), "--recipe", "tiny_x4_photo"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="set: expected a new or empty folder"):
        teacher_set.main()
    monkeypatch.setattr(sys, "argv", [*words, "--recipe", "tiny_x2_photo"])
    with pytest.raises(SystemExit, match="expected recipes of one scale"):
        teacher_set.main()
    assert {file.name: file.read_bytes() for file in data.iterdir()} == before
