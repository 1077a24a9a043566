"""Weights files: a round trip, the published layout, and everything that must be refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file

from lamnet.base.errors import BadWeightsError
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window
from lamnet.network import weights
from lamnet.network.model import LAMNet
from support.networks import published

SMALL = LAMNetConfig(2, channels=16, groups=1, blocks=1, heads=2, window=Window.focal(5, (3,), (1,)))


@pytest.fixture
def small() -> LAMNet:
    torch.manual_seed(0)
    return LAMNet(SMALL).eval()


@pytest.fixture
def saved(small: LAMNet, tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    weights.save(small, path, {"recipe": {"lr": 1e-3}, "seed": 7})
    return path


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["small_x2", "small_x3", "base_x4"])
def test_published_checkpoint_gives_reference_output(shared: Path, name: str) -> None:
    truth = np.load(shared / "reference" / f"lamnet_{name}.npz")
    network = weights.load(shared / "reference" / f"lamnet_{name}.pth")
    assert network.config.scale == int(name[-1])
    with torch.inference_mode():
        out = network(torch.from_numpy(truth["input"]))
    np.testing.assert_allclose(out.numpy(), truth["output"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("wrap", ["params_ema", "params", None])
def test_published_layout_round_trip(small: LAMNet, tmp_path: Path, wrap: str | None) -> None:
    state = published(small, SMALL.window)
    torch.save({wrap: state} if wrap else state, tmp_path / "published.pth")
    loaded = weights.load(tmp_path / "published.pth", scale=2)
    assert loaded.config == SMALL
    for name, tensor in small.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=0, atol=0)


def test_own_format_round_trip(small: LAMNet, saved: Path) -> None:
    contents = weights.read(saved)
    assert contents.config == SMALL
    assert contents.record == {"recipe": {"lr": 1e-3}, "seed": 7}
    for name, tensor in small.state_dict().items():
        assert torch.equal(weights.load(saved).state_dict()[name], tensor)


def test_half_size_file_loads_as_float32(small: LAMNet, tmp_path: Path) -> None:
    weights.save(small, tmp_path / "half.safetensors", dtype=torch.bfloat16)
    loaded = weights.load(tmp_path / "half.safetensors")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(loaded.head.weight, small.head.weight, rtol=2**-8, atol=0)


def test_file_that_cannot_be_written_is_one_line_and_keeps_the_old_one(
    small: LAMNet, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(BadWeightsError, match="cannot be written: No space left"):
        weights.save(small, saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def _without(state: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor for name, tensor in state.items() if name != "head.bias"}


def _with_extra(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "stranger": torch.zeros(1)}


def _misshaped(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "head.bias": torch.zeros(3)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_without, "without head.bias"),
        (_with_extra, "unexpected stranger"),
        (_misshaped, r"head.bias of shape \(16,\), found \(3,\)"),
    ],
)
def test_file_that_is_not_whole_is_refused(saved: Path, change: Any, says: str) -> None:
    with safetensors.safe_open(saved, framework="pt") as opened:
        header = opened.metadata()
    save_file(change(load_file(saved)), saved, metadata=header)
    with pytest.raises(BadWeightsError, match=says):
        weights.load(saved)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("alpha", "without alpha"),
        ("upsample.0.weight", "without upsample.0.weight"),
        (
            "deep_feature_extraction.0.mixers.1.fn.dwconv.bias",
            "without deep_feature_extraction.0.mixers.1.fn.dwconv.bias",
        ),
    ],
)
def test_published_file_without_a_tensor_names_it(small: LAMNet, tmp_path: Path, key: str, says: str) -> None:
    state = published(small, SMALL.window)
    del state[key]
    torch.save({"params": state}, tmp_path / "part.pth")
    with pytest.raises(BadWeightsError, match=says):
        weights.load(tmp_path / "part.pth")


def test_published_file_with_misshaped_tensor_names_it(small: LAMNet, tmp_path: Path) -> None:
    state = published(small, SMALL.window)
    state["alpha"] = torch.ones(1, 15, 1, 1)
    torch.save(state, tmp_path / "bad.pth")
    with pytest.raises(BadWeightsError, match=r"alpha to hold \(16,\), found \(1, 15, 1, 1\)"):
        weights.load(tmp_path / "bad.pth")


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil-was-here"),))


def test_pickle_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"params": _Evil()}, "zip.pth")
    Path("bare.pth").write_bytes(pickle.dumps(_Evil()))
    for name in ("zip.pth", "bare.pth"):
        with pytest.raises(BadWeightsError, match=name):
            weights.load(name)
    assert not Path("evil-was-here").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04broken"])
def test_garbage_is_refused_in_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadWeightsError, match="garbage") as caught:
        weights.load(path)
    assert "\n" not in str(caught.value)


def test_foreign_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name in ("other.pth", "other.safetensors"):
        with pytest.raises(BadWeightsError, match="expected"):
            weights.load(tmp_path / name)


def test_unknown_name_scale_and_missing_file(saved: Path) -> None:
    with pytest.raises(BadWeightsError, match="nonsense: no such model"):
        weights.load("nonsense", scale=4)
    with pytest.raises(BadWeightsError, match="expected a scale that ships, got 7; there are base"):
        weights.load("tiny", scale=7)
    with pytest.raises(BadWeightsError, match=r"large: has no weights yet; .* the recipe large_x3 makes them"):
        weights.load("large", scale=3)
    with pytest.raises(BadWeightsError, match="x4, found one for x2"):
        weights.load(saved, scale=4)


def _changed(source: Path, target: Path, **fields: object) -> Path:
    """A weights file of ours with other numbers in its configuration."""
    with safetensors.safe_open(source, framework="pt") as opened:
        header = dict(opened.metadata())
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
    header["config"] = json.dumps(json.loads(header["config"]) | fields)
    save_file(state, target, header)
    return target


@pytest.mark.parametrize(
    "fields", [{"channels": 32.0}, {"groups": 20_000}, {"expansion": float("inf")}, {"scale": "2"}, {"heads": None}]
)
def test_senseless_configurations_are_refused_at_once(tmp_path: Path, fields: dict[str, object]) -> None:
    weights.save(LAMNet(LAMNetConfig.tiny(2)), tmp_path / "good.safetensors")
    path = _changed(tmp_path / "good.safetensors", tmp_path / "bad.safetensors", **fields)
    with pytest.raises(BadWeightsError, match=r"bad\.safetensors: expected a LAMNet configuration in the header"):
        weights.load(path)


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64])
def test_numbers_that_are_no_weights_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    network = LAMNet(LAMNetConfig.tiny(2))
    weights.save(network, tmp_path / "a.safetensors", dtype=dtype)
    with pytest.raises(BadWeightsError, match=r"expected floating-point numbers in .*, found (I8|C64)"):
        weights.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        {1: torch.zeros(3)},
        {"shallow_feature_extraction.weight": torch.zeros(())},
        {"deep_feature_extraction.0.mixers.0.fn.kernel_map": torch.zeros(3)},
    ],
)
def test_strange_published_files_are_refused(tmp_path: Path, content: dict[object, torch.Tensor]) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(BadWeightsError, match=r"a\.pth: expected"):
        weights.load(tmp_path / "a.pth")


def test_a_folder_named_like_a_size_and_that_of_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    assert weights.load("tiny", 2).config == LAMNetConfig.tiny(2)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights.safetensors").touch()
    with pytest.raises(BadWeightsError, match=r"run: expected a file, .*; its weights are run/weights\.safetensors"):
        weights.load("run")
    with pytest.raises(BadWeightsError, match="tiny: expected a scale with it; there are"):
        weights.load("tiny")
