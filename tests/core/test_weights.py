"""Weights files read without PyTorch, held against the network that PyTorch builds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import lamnet
from lamnet import LAMNet, LAMNetConfig, Window
from lamnet.base.errors import BadWeightsError, MissingExtraError
from lamnet.core import header, parameters, weights
from lamnet.network import reading
from lamnet.network import weights as in_torch
from lamnet.network.weights import save


@pytest.mark.parametrize(
    "config",
    [
        LAMNetConfig.tiny(2),
        LAMNetConfig.base(4),
        LAMNetConfig(3, channels=6, groups=2, blocks=1, heads=3, expansion=0.5, window=Window((-2, 0), (1, 2))),
    ],
)
def test_shapes_are_those_of_the_network(config: LAMNetConfig) -> None:
    with torch.device("meta"):
        state = LAMNet(config).state_dict()
    assert parameters.shapes(config) == {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert parameters.count(config) == sum(tensor.numel() for tensor in state.values())


def test_a_shipped_file_is_what_pytorch_loads() -> None:
    ours, state = weights.load("tiny", 2), lamnet.load("tiny", 2).state_dict()
    assert ours.config == LAMNetConfig.tiny(2)
    assert ours.record["recipe"]["size"] == "tiny"
    for name, array in ours.state.items():
        assert np.array_equal(array, state[name].numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    network = LAMNet(LAMNetConfig(2, channels=8, groups=1, blocks=1, heads=2))
    save(network, tmp_path / "w.safetensors", dtype=dtype)
    state = weights.read(tmp_path / "w.safetensors").state
    for name, tensor in network.state_dict().items():
        assert state[name].dtype == np.float32
        assert np.array_equal(state[name], tensor.to(dtype).float().numpy())


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    network = LAMNet(LAMNetConfig(2, channels=8, groups=1, blocks=1, heads=2))
    save(network, tmp_path / "w.safetensors")
    header = {"format": "lamnet", "config": json.dumps(weights_config(tmp_path / "w.safetensors"))}
    state = {name: tensor for name, tensor in network.state_dict().items() if name != "fuse.bias"}
    save_file(state, tmp_path / "less.safetensors", header)
    with pytest.raises(BadWeightsError, match=r"less\.safetensors: expected the .* without fuse\.bias"):
        weights.read(tmp_path / "less.safetensors")
    state["fuse.bias"] = torch.zeros(9)
    save_file(state, tmp_path / "other.safetensors", header)
    with pytest.raises(BadWeightsError, match=r"expected fuse\.bias of shape \(8,\), found \(9,\)"):
        weights.read(tmp_path / "other.safetensors")
    state["fuse.bias"] = torch.zeros(8, dtype=torch.int32)
    save_file(state, tmp_path / "whole.safetensors", header)
    with pytest.raises(BadWeightsError, match=r"expected floating-point numbers in fuse\.bias, found I32"):
        weights.read(tmp_path / "whole.safetensors")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300])
def test_numbers_that_are_none_are_refused(tmp_path: Path, dtype: torch.dtype, number: float) -> None:
    network = LAMNet(LAMNetConfig(2, channels=8, groups=1, blocks=1, heads=2)).double()
    network.fuse.bias.data[3] = number
    state = {name: tensor.to(dtype) for name, tensor in network.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors", header.header(network.config, {}))
    for read in (weights.load, lamnet.load):
        with pytest.raises(BadWeightsError, match=r"w\.safetensors: expected finite numbers in fuse\.bias"):
            read(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"groups": 10**9}, r"groups 1e\+09, more than 1024"),
        ({"expansion": 1e9}, r"expansion 1e\+09, not within 64"),
        ({"window": {"starts": [0.5], "lengths": [1]}}, "other than whole numbers of pixels"),
        ({"window": {"starts": [0] * 5000, "lengths": [1] * 5000}}, "other than whole numbers"),
        ({"strange": 1}, "differs in 'strange'"),
    ],
)
def test_a_configuration_is_held_to_bounds(tmp_path: Path, change: dict[str, object], says: str) -> None:
    network = LAMNet(LAMNetConfig(2, channels=8, groups=1, blocks=1, heads=2))
    path = tmp_path / "w.safetensors"
    save(network, path)
    save_file(network.state_dict(), path, {"format": "lamnet", "config": json.dumps(weights_config(path) | change)})
    for read in (weights.load, lamnet.load):
        with pytest.raises(BadWeightsError, match=f"expected a LAMNet configuration in the header, found .*{says}"):
            read(path)


def test_files_of_others_name_the_extra(tmp_path: Path) -> None:
    save_file({"head.weight": torch.zeros(1)}, tmp_path / "theirs.safetensors", {"format": "pt"})
    with pytest.raises(MissingExtraError, match=r'theirs\.safetensors: .* pip install "lamnet-sr\[torch\]"'):
        weights.load(tmp_path / "theirs.safetensors")
    (tmp_path / "none.safetensors").write_bytes(b"?")
    with pytest.raises(BadWeightsError, match=r"none\.safetensors: expected a safetensors file"):
        weights.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("name", ["two\nlines \x1b[31m", "long" * 25_000, "\u2028"])
@pytest.mark.parametrize("kind", ["ours", "theirs", "pickled"])
def test_names_of_tensors_are_shown_in_one_short_line(tmp_path: Path, kind: str, name: str) -> None:
    path, state = tmp_path / "a.safetensors", {**lamnet.load("tiny", 2).state_dict(), name: torch.zeros(1)}
    if kind == "ours":
        save_file(state, path, header.header(LAMNetConfig.tiny(2), {}))
    elif kind == "theirs":
        save_file(state, path)
    else:
        torch.save(state, path)
    for load in (reading.load, in_torch.load):
        with pytest.raises(BadWeightsError) as caught:
            load(path)
        expected = f"{path}: expected names of tensors of up to 200 printable characters, found "
        assert str(caught.value).startswith(expected)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) <= len(expected) + 40


def weights_config(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    return json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["config"])


def test_a_published_checkpoint_names_the_extra(tmp_path: Path) -> None:
    for number, options in enumerate(({}, {"_use_new_zipfile_serialization": False})):
        path = tmp_path / f"published{number}.jpg"  # a file is judged by what it holds
        torch.save({"head.weight": torch.zeros(1)}, path, **options)
        whole = path.read_bytes()
        for content in (whole, whole[: len(whole) // 2]):
            path.write_bytes(content)
            with pytest.raises(MissingExtraError, match=r'published\d\.jpg: .* pip install "lamnet-sr\[torch\]"'):
                weights.load(path)


def test_files_of_other_kinds_need_no_extra(tmp_path: Path) -> None:
    path = tmp_path / "published.pth"
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    npz = (tmp_path / "arrays.npz").read_bytes()
    for content in (b"", b"?", b"notes\n", b"\xff\xd8\xff\xe0 a picture", b"\x80\x01", npz):
        path.write_bytes(content)
        for load in (weights.load, in_torch.load):
            with pytest.raises(BadWeightsError, match=r"published\.pth: expected a weights file, .* of another kind$"):
                load(path)


def test_the_core_runs_where_pytorch_is_not_installed() -> None:
    lines = [
        "import sys",
        "for name in ('torch', 'pyvips', 'PIL', 'av', 'rich', 'cyclopts'): sys.modules[name] = None",
        "from lamnet.core import config, parameters, shipped, weights, window",
        "print(weights.load('tiny', 3).config.scale)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"
