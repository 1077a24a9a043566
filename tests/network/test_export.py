"""Exported files against the network they were made of, at sizes that tracing never saw."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lamnet.base.errors import BadArgumentError, MissingExtraError
from lamnet.network.config import LAMNetConfig
from lamnet.network.export import export
from lamnet.network.model import LAMNet

SIZES = ((1, 3, 24, 40), (2, 3, 7, 33))


@pytest.fixture(scope="module")
def network() -> LAMNet:
    torch.manual_seed(0)
    return LAMNet(LAMNetConfig(2, channels=16, groups=1, blocks=1, heads=2)).eval()


@pytest.mark.slow
def test_onnx_agrees_at_any_size(network: LAMNet, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnx is not installed; pip install -e '.[onnx]'")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install -e '.[onnx]'")
    export(network, tmp_path / "n.onnx")
    session = runtime.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
    for size in SIZES:
        x = torch.rand(size)
        (out,) = session.run(None, {"lr": x.numpy()})
        np.testing.assert_allclose(out, network(x).detach().numpy(), atol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == ["n.onnx"]


def test_exported_program_agrees_at_any_size_and_has_only_pytorchs_operators(network: LAMNet, tmp_path: Path) -> None:
    export(network, tmp_path / "n.pt2")
    program = torch.export.load(tmp_path / "n.pt2")
    assert not [node for node in program.graph.nodes if "lamnet" in str(node.target)]
    for size in SIZES:
        x = torch.rand(size)
        torch.testing.assert_close(program.module()(x), network(x), rtol=1e-4, atol=1e-5)


def test_other_endings_and_missing_folders_are_refused(network: LAMNet, tmp_path: Path) -> None:
    with pytest.raises(BadArgumentError, match=r"n\.tflite: expected a name that ends in \.onnx or \.pt2"):
        export(network, tmp_path / "n.tflite")
    with pytest.raises(BadArgumentError, match="cannot be written"):
        export(network, tmp_path / "none" / "n.pt2")
    assert list(tmp_path.iterdir()) == []


def test_onnx_names_its_extra(network: LAMNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"lamnet-sr\[onnx\]"):
        export(network, tmp_path / "n.onnx")
