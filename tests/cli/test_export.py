"""`lamnet export`: the lines it prints, what its files say of the weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamnet.base.errors import BadImageError, BadWeightsError
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


def test_a_network_that_restores_is_exported(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install -e '.[onnx]'")
    export("tiny:photo", tmp_path / "t.onnx", "--scale", "1")
    assert onnx.load(tmp_path / "t.onnx").graph.output[0].type.tensor_type.shape.dim[1].dim_value == 3
    for scale in ("0", "5"):
        with pytest.raises(BadWeightsError, match=f"tiny: expected a scale that ships, got {scale}; there are "):
            export("tiny", tmp_path / "t.onnx", "--scale", scale)


@pytest.mark.parametrize(("name", "out"), [("w.onnx", "w.onnx"), ("w.onnx", "link.onnx"), ("n_x2.bin", "n_x2.param")])
def test_weights_are_not_overwritten_by_their_export(tmp_path: Path, name: str, out: str) -> None:
    weights.save(lively(CONFIGS["one tap beside the pixel"]), tmp_path / "w.safetensors")
    source = (tmp_path / "w.safetensors").rename(tmp_path / name)
    if out.startswith("link"):
        (tmp_path / out).symlink_to(source)
    before = source.read_bytes()
    with pytest.raises(BadImageError, match="expected another name for the result than its source's"):
        export(source, tmp_path / out)
    assert source.read_bytes() == before
