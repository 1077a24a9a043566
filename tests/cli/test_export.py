"""`lamnet export`: the lines it prints, what its files say of the weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamnet.cli.main import app
from lamnet.network import weights
from support.exports import CONFIGS, lively


def facts_of(path: Path) -> dict[str, str]:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install -e '.[onnx]'")
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def export(*words: str | Path) -> None:
    app(["export", *map(str, words)], exit_on_error=False, result_action="return_value")


def test_weights_that_ship_come_with_their_licence_and_others_with_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed; pip install -e '.[onnx]'")
    export("tiny", tmp_path / "ships.onnx", "--scale", "2")
    assert capsys.readouterr().out == f"{tmp_path / 'ships.onnx'}\n"
    assert facts_of(tmp_path / "ships.onnx")["license"] == "Apache-2.0"
    weights.save(lively(CONFIGS["one tap beside the pixel"]), tmp_path / "own.safetensors")
    export(tmp_path / "own.safetensors", tmp_path / "own.onnx", "--half")
    assert "license" not in facts_of(tmp_path / "own.onnx")


def test_both_files_of_ncnn_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export("tiny", tmp_path / "n_x3.param", "--scale", "3")
    assert capsys.readouterr().out == f"{tmp_path / 'n_x3.param'}\n{tmp_path / 'n_x3.bin'}\n"
