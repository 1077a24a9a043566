"""ncnn's files against the network they were made of, in ncnn on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lamnet
from lamnet.base.errors import BadArgumentError
from lamnet.core.config import LAMNetConfig
from lamnet.network.export import export
from lamnet.network.model import LAMNet
from lamnet.network.ncnn import check_name
from support.exports import CONFIGS, lively

ncnn = pytest.importorskip("ncnn", reason="ncnn is not installed; pip install ncnn")

SIZES = ((1, 1), (7, 33), (40, 26))


def net(path: Path) -> Any:
    """The network in float32 on one thread."""
    loaded = ncnn.Net()
    loaded.opt.use_vulkan_compute, loaded.opt.num_threads = False, 1
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        setattr(loaded.opt, f"use_{option}", False)
    assert loaded.load_param(str(path)) == 0
    assert loaded.load_model(str(path.with_suffix(".bin"))) == 0
    return loaded


def difference(network: LAMNet, loaded: Any, size: tuple[int, int]) -> float:
    """The largest, as a part of the largest value where that is above 1."""
    x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    extractor = loaded.create_extractor()
    assert extractor.input("data", ncnn.Mat(x[0].numpy()).clone()) == 0
    failed, output = extractor.extract("output")
    assert failed == 0
    found = np.array(output)
    with torch.no_grad():
        expected = network(x)[0].numpy()
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / max(1, np.abs(expected).max()))


@pytest.mark.thorough
@pytest.mark.parametrize(("size", "scale"), [("tiny", 2), ("tiny", 3), ("tiny", 4), ("base", 4)])
def test_shipped_networks_agree_at_any_size(size: str, scale: int, tmp_path: Path) -> None:
    network = lamnet.load(size, scale)
    export(network, tmp_path / f"n_x{scale}.param")
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"n_x{scale}.bin", f"n_x{scale}.param"]
    loaded = net(tmp_path / f"n_x{scale}.param")
    assert max(difference(network, loaded, one) for one in SIZES) < 1e-4


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_any_configuration_agrees(config: LAMNetConfig, tmp_path: Path) -> None:
    network = lively(config)
    export(network, tmp_path / f"n_x{config.scale}.param")
    loaded = net(tmp_path / f"n_x{config.scale}.param")
    assert max(difference(network, loaded, one) for one in SIZES) < 1e-3


def test_blobs_are_those_that_the_programs_look_for(tmp_path: Path) -> None:
    export(lamnet.load("tiny", 4), tmp_path / "n.param")
    loaded = net(tmp_path / "n.param")
    assert (loaded.input_names(), loaded.output_names()) == (["data"], ["output"])
    magic, counts, *layers = (tmp_path / "n.param").read_text().splitlines()
    assert magic == "7767517"
    assert counts.split()[0] == str(len(layers))
    kinds = {line.split()[0] for line in layers}
    assert all(ncnn.create_layer(kind).support_vulkan for kind in kinds - {"Input"})


@pytest.mark.thorough
def test_half_weights_halve_the_file_and_stay_close(tmp_path: Path) -> None:
    network = lamnet.load("base", 2)
    export(network, tmp_path / "x2.param", half=True)
    export(network, tmp_path / "whole_x2.param")
    assert (tmp_path / "x2.bin").stat().st_size < 0.6 * (tmp_path / "whole_x2.bin").stat().st_size
    assert 1e-6 < difference(network, net(tmp_path / "x2.param"), (24, 24)) < 2e-3


@pytest.mark.parametrize(
    ("name", "scale"),
    [("lamnet.param", 4), ("a_x4.param", 4), ("2x_a.param", 2), ("A-X3.param", 3), ("plain.param", 1)],
)
def test_names_that_tell_the_scale_pass(name: str, scale: int) -> None:
    check_name(Path(name), scale)


@pytest.mark.parametrize(
    ("name", "scale", "found"),
    [
        ("lamnet.param", 2, "a name without a scale, which it takes for x4"),
        ("a_x2.param", 4, "a name for x2"),
        ("a_x4.param", 3, "a name for x4"),
        ("3x.param", 2, "a name for x3"),
    ],
)
def test_names_that_tell_another_scale_are_refused(name: str, scale: int, found: str) -> None:
    with pytest.raises(BadArgumentError, match=f"by which Upscayl knows the scale; found {found}$"):
        check_name(Path(name), scale)


def test_a_bin_that_belongs_to_no_param_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk.bin").write_bytes(b"somebody's")
    with pytest.raises(BadArgumentError, match=r"disk\.bin: expected a name that is free"):
        export(lamnet.load("tiny", 4), tmp_path / "disk.param")
    assert [path.name for path in tmp_path.iterdir()] == ["disk.bin"]
    (tmp_path / "disk.param").touch()  # of an earlier export
    export(lamnet.load("tiny", 4), tmp_path / "disk.param")
    assert (tmp_path / "disk.param").stat().st_size > 1000


def test_nothing_is_left_where_a_file_cannot_be_written(tmp_path: Path) -> None:
    network = lively(CONFIGS["one tap beside the pixel"])
    with pytest.raises(BadArgumentError, match="cannot be written: No such file or directory"):
        export(network, tmp_path / "none" / "n.param")
    (tmp_path / "n.bin").mkdir()
    with pytest.raises(BadArgumentError, match=r"n\.bin: cannot be written: Is a directory"):
        export(network, tmp_path / "n.param")
    assert [entry.name for entry in tmp_path.iterdir()] == ["n.bin"]
