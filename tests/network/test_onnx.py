"""ONNX files against the network they were made of, in ONNX Runtime."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lamnet
from lamnet.base.errors import BadArgumentError, MissingExtraError
from lamnet.core.config import LAMNetConfig
from lamnet.network.export import export
from lamnet.network.model import LAMNet
from support.exports import CONFIGS, lively

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install -e '.[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install -e '.[onnx]'")

SIZES = ((1, 3, 1, 1), (2, 3, 7, 33), (1, 3, 40, 26))


def session(path: Path) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def difference(network: LAMNet, loaded: Any, size: tuple[int, ...]) -> float:
    """The largest, as a part of the largest value where that is above 1."""
    x = torch.rand(size, generator=torch.Generator().manual_seed(1))
    (found,) = loaded.run(None, {"lr": x.numpy()})
    with torch.no_grad():
        expected = network(x).numpy()
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / max(1, np.abs(expected).max()))


@pytest.mark.thorough
@pytest.mark.parametrize(("size", "scale"), [("tiny", 2), ("tiny", 3), ("tiny", 4), ("base", 4)])
def test_shipped_networks_agree_at_any_size(size: str, scale: int, tmp_path: Path) -> None:
    network = lamnet.load(size, scale)
    export(network, tmp_path / "n.onnx")
    loaded = session(tmp_path / "n.onnx")
    assert max(difference(network, loaded, one) for one in SIZES) < 1e-5


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_any_configuration_agrees(config: LAMNetConfig, tmp_path: Path) -> None:
    network = lively(config)
    export(network, tmp_path / "n.onnx")
    loaded = session(tmp_path / "n.onnx")
    assert max(difference(network, loaded, one) for one in SIZES) < 1e-5


def test_file_is_small_valid_and_says_what_it_is(tmp_path: Path) -> None:
    export(lamnet.load("tiny", 4), tmp_path / "n.onnx", facts={"license": "Apache-2.0"})
    assert (tmp_path / "n.onnx").stat().st_size < 800_000
    model = onnx.load(tmp_path / "n.onnx")
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["name"] == "LAMNet tiny x4"
    assert (facts["scale"], facts["license"]) == ("4", "Apache-2.0")
    assert str(Path(__file__).parent).encode() not in (tmp_path / "n.onnx").read_bytes()
    assert str(Path(lamnet.__file__).parent).encode() not in (tmp_path / "n.onnx").read_bytes()


def test_axes_have_names_and_tensors_at_most_four_dimensions(tmp_path: Path) -> None:
    export(lively(LAMNetConfig(2, channels=16, groups=1, blocks=1)), tmp_path / "n.onnx")
    model = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "n.onnx"), strict_mode=True, data_prop=True)
    (lr,), (hr,) = model.graph.input, model.graph.output
    assert [axis.dim_param or axis.dim_value for axis in lr.type.tensor_type.shape.dim] == [
        "batch",
        3,
        "height",
        "width",
    ]
    assert [axis.dim_param or axis.dim_value for axis in hr.type.tensor_type.shape.dim][:2] == ["batch", 3]
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in model.graph.value_info}
    assert {name for node in model.graph.node for name in node.output} - {"hr"} <= ranks.keys()
    assert max(ranks.values()) == 4
    assert {node.op_type for node in model.graph.node} >= {"DepthToSpace", "Slice", "AveragePool"}
    assert not [node for node in model.graph.node if node.domain]


@pytest.mark.thorough
def test_half_weights_halve_the_file_and_stay_close(tmp_path: Path) -> None:
    network = lamnet.load("base", 2)
    export(network, tmp_path / "n.onnx", half=True)
    export(network, tmp_path / "whole.onnx")
    assert (tmp_path / "n.onnx").stat().st_size < 0.7 * (tmp_path / "whole.onnx").stat().st_size
    assert 1e-6 < difference(network, session(tmp_path / "n.onnx"), (1, 3, 24, 24)) < 2e-3


def test_nothing_is_left_where_the_file_cannot_be_written(tmp_path: Path) -> None:
    network = lively(CONFIGS["one tap beside the pixel"])
    with pytest.raises(BadArgumentError, match=r"n\.onnx: cannot be written: No such file or directory"):
        export(network, tmp_path / "none" / "n.onnx")
    (tmp_path / "n.onnx").mkdir()
    with pytest.raises(BadArgumentError, match="cannot be written: Is a directory"):
        export(network, tmp_path / "n.onnx")
    assert [entry.name for entry in tmp_path.iterdir()] == ["n.onnx"]


def test_without_onnx_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx.helper", None)
    with pytest.raises(MissingExtraError, match=r"n\.onnx: ONNX needs onnx\.helper.*lamnet-sr\[onnx\]"):
        export(lively(CONFIGS["one tap beside the pixel"]), tmp_path / "n.onnx")
