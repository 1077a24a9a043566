from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from lamnet.cli.main import main
from lamnet.media import arrays
from support.figures import small_network


def figures(*arguments: object) -> int:
    """The exit code of `lamnet figures ...`."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore", UserWarning)  # cyclopts warns of an App that reads sys.argv under pytest
        patch.setattr(sys, "argv", ["lamnet", "figures", *map(str, arguments)])
        try:
            main()
        except SystemExit as exit:
            return int(exit.code or 0)
    return 0


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "noise.png"
    arrays.write_array(path, np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8))
    return path


def test_compare_prints_the_region_and_the_values(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = small_network(tmp_path / "small.safetensors", 2)
    out = tmp_path / "figure.png"
    assert figures("compare", picture, f"Ours={network}", "--scale", 2, "--region", 4, 6, 30, 20, "-o", out) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = [line.split() for line in printed.out.splitlines()]
    assert lines[0] == ["region", "4", "6", "30", "20"]
    assert [line[0] for line in lines[1:]] == ["Bicubic", "Ours"]
    assert arrays.read_array(out).shape[1] == 1050


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("attribution", "PICTURE", "NET", "--scale", "2", "--region", "60", "0", "30", "9", "-o", "f.png"), 1, "inside 70x60"),
        (("receptive-field", "PICTURE", "NET", "--scale", "2", "--size", "65", "-o", "f.png"), 1, "at least 130 pixels"),
        (("receptive-field", "PICTURE", "NET", "--scale", "2", "--size", "64", "-o", "f.png"), 1, "size: expected an odd number"),
        (("compare", "absent.png", "NET", "-o", "f.png"), 1, "absent.png: no such file"),
        (("compare", "PICTURE", "NET", "-o", "f.gif"), 1, "f.gif: expected a name that ends in .png or .pdf"),
        (("compare", "PICTURE", "NET", "--scale", "3", "-o", "f.png"), 1, "expected a network for x3, found one for x2"),
        (("compare", "PICTURE", "NET", "--scale", "2", "--device", "x", "-o", "f.png"), 1, "device: expected one that"),
        (("attribution", "PICTURE", "NET", "--scale", "2", "--region", "0", "0", "20", "9", "--device", "x", "-o", "f.png"), 1, "device: expected one that"),
        (("receptive-field", "PICTURE", "NET", "--scale", "2", "--size", "9", "--device", "x", "-o", "f.png"), 1, "device: expected one that"),
        (("curve", "absent", "-o", "f.png"), 1, "absent: expected the folder of a training"),
        (("compare", "PICTURE", "NET"), 2, "--out"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    complaint: str,
) -> None:
    network = small_network(tmp_path / "small.safetensors", 2)
    monkeypatch.chdir(tmp_path)
    assert figures(*({"PICTURE": picture, "NET": network}.get(word, word) for word in arguments)) == code
    printed = capsys.readouterr().err
    assert complaint in printed
    assert code == 2 or len(printed.splitlines()) == 1
    assert not list(tmp_path.glob("f.*"))
