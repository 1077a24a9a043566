"""Exported files: what all kinds have in common, and PyTorch's own kind."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.core.config import LAMNetConfig
from lamnet.network.export import export
from lamnet.network.model import LAMNet
from support.changes import CHANGES
from support.exports import lively

SIZES = ((1, 3, 24, 40), (2, 3, 7, 33))
CONFIG = LAMNetConfig(2, channels=16, groups=1, blocks=1, heads=2)


@pytest.fixture(scope="module")
def network() -> LAMNet:
    return lively(CONFIG)


@pytest.fixture(scope="module")
def program(network: LAMNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exported once, from a network in training."""
    path = tmp_path_factory.mktemp("program") / "n.pt2"
    training = copy.deepcopy(network).train()
    export(training, path)
    assert training.training
    return path


@pytest.mark.thorough
def test_exported_program_agrees_at_any_size_and_has_only_pytorchs_operators(network: LAMNet, program: Path) -> None:
    loaded = torch.export.load(program)
    assert not [node for node in loaded.graph.nodes if "lamnet" in str(node.target)]
    for size in SIZES:
        x = torch.rand(size)
        torch.testing.assert_close(loaded.module()(x), network(x), rtol=1e-4, atol=1e-5)
    assert [file.name for file in program.parent.iterdir()] == ["n.pt2"]


@pytest.mark.parametrize("name", ["n.pt2", "n_x2.param", "n.onnx"])
def test_the_callers_network_stays_as_it_is(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "n.onnx":
        pytest.importorskip("onnx", reason="onnx is not installed; pip install -e '.[onnx]'")
    without_tracing(monkeypatch)
    network = LAMNet(CONFIG).bfloat16().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    export(network, tmp_path / name)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("name", ["n_x2.param", "n.onnx"])
@pytest.mark.parametrize("change", [*CHANGES, "numbers", "meta"])
def test_a_changed_network_is_not_written_as_if_it_were_unchanged(name: str, change: str, tmp_path: Path) -> None:
    if name == "n.onnx":
        pytest.importorskip("onnx", reason="onnx is not installed; pip install -e '.[onnx]'")
    changed = LAMNet(LAMNetConfig(2, channels=32, groups=1, blocks=2, heads=2))
    if change == "numbers":
        changed.head.weight.data[0] = float("nan")
    elif change == "meta":
        changed = changed.to("meta")
    else:
        CHANGES[change](changed)
    with pytest.raises(BadWeightsError, match="found"):
        export(changed, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.thorough
def test_a_compiled_network_is_the_network(network: LAMNet, tmp_path: Path) -> None:
    export(torch.compile(network), tmp_path / "a_x2.param")  # type: ignore[arg-type]
    export(network, tmp_path / "b_x2.param")
    assert (tmp_path / "a_x2.bin").read_bytes() == (tmp_path / "b_x2.bin").read_bytes()


def without_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes long of a .pt2 file: its contents."""
    monkeypatch.setattr("lamnet.network.program._plain", lambda network: network)
    monkeypatch.setattr(torch.export, "save", lambda program, file: file.write(b"program"))


def test_other_endings_and_missing_folders_are_refused(network: LAMNet, tmp_path: Path) -> None:
    with pytest.raises(BadArgumentError, match=r"n\.tflite: expected a name that ends in \.onnx, \.param or \.pt2"):
        export(network, tmp_path / "n.tflite")
    with pytest.raises(BadArgumentError, match=r"n\.pt2: expected \.onnx or \.param for weights in float16"):
        export(network, tmp_path / "n.pt2", half=True)
    with pytest.raises(BadArgumentError, match="cannot be written: there is no folder"):
        export(network, tmp_path / "none" / "n.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("name", ["n.pt2", "n_x2.param", "n.onnx"])
def test_a_full_disk_is_one_line(network: LAMNet, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "n.onnx":
        pytest.importorskip("onnx", reason="onnx is not installed; pip install -e '.[onnx]'")
    without_tracing(monkeypatch)
    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: write(Path("/dev/full"), data))
    with pytest.raises(BadArgumentError, match="cannot be written: No space left on device"):
        export(network, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["n.onnx", "nx2.param", "n.pt2"])
def test_numbers_that_are_none_and_other_networks_are_refused(name: str, tmp_path: Path) -> None:
    network = LAMNet(LAMNetConfig(2, channels=32, groups=1, blocks=1, heads=2))
    broken = copy.deepcopy(network)
    broken.tail.weight.data[0] = torch.nan
    for given, says in (
        (broken, "expected finite numbers in tail.weight"),
        (copy.deepcopy(network).to("meta"), "expected a network with numbers"),
        (torch.nn.Linear(3, 3), "expected a LAMNet, got Linear"),
    ):
        with pytest.raises(BadWeightsError, match=says):
            export(given, str(tmp_path / name))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
