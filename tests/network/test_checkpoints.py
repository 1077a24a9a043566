"""Checkpoints as others write them: wrapped, prefixed, without a header, hostile; and those that we write for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import lamnet
from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window
from lamnet.network import reading, weights
from lamnet.network.layers import LAM
from lamnet.network.model import LAMNet
from lamnet.network.published import publish

SMALL = LAMNetConfig(2, channels=16, groups=1, blocks=1, heads=2, window=Window.focal(5, (3,), (1,)))
PAPERS = LAMNetConfig(2, channels=16, groups=2, blocks=1, heads=2)


@pytest.fixture(scope="module")
def network() -> LAMNet:
    torch.manual_seed(0)
    return LAMNet(PAPERS).eval()


def _same(path: Path, network: LAMNet) -> None:
    loaded = weights.load(path)
    assert loaded.config == network.config
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def _prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


PREFIXES = ["", "module.", "_orig_mod.", "net_g.", "generator.", "model.", "module._orig_mod.", "model.net_g.module."]
WRAPPINGS: list[list[str]] = [
    [],
    ["state_dict"],
    ["model"],
    ["params"],
    ["params_ema"],
    ["model", "state_dict"],
    ["generator"],
    ["net_g", "params"],
    ["average"],
]


@pytest.mark.thorough
@pytest.mark.parametrize("names", ["ours", "published"])
@pytest.mark.parametrize("keys", WRAPPINGS, ids="-".join)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_wrapped_checkpoints_load(network: LAMNet, tmp_path: Path, names: str, keys: list[str], prefix: str) -> None:
    content: Any = _prefixed(publish(network) if names == "published" else network.state_dict(), prefix)
    for key in reversed(keys):
        content = {key: content, "epoch": 3, "step": 0.5, "optimizer": {"state": {}}}
    torch.save(content, tmp_path / "a.pth")
    _same(tmp_path / "a.pth", network)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_foreign_safetensors_load(network: LAMNet, tmp_path: Path, prefix: str) -> None:
    for state in (publish(network), network.state_dict()):
        save_file(_prefixed(state, prefix), tmp_path / "a.safetensors", {"format": "pt"})
        _same(tmp_path / "a.safetensors", network)
        assert reading.load(tmp_path / "a.safetensors").config == network.config


def test_what_stands_beside_the_network_is_left(network: LAMNet, tmp_path: Path) -> None:
    beside = {"n_averaged": torch.tensor(3), "loss.vgg.weight": torch.zeros(3)}
    torch.save({"state_dict": {**_prefixed(network.state_dict(), "net_g."), **beside}}, tmp_path / "a.ckpt")
    _same(tmp_path / "a.ckpt", network)


def test_the_average_goes_first(network: LAMNet, tmp_path: Path) -> None:
    other = LAMNet(PAPERS).state_dict()
    torch.save({"params": other, "params_ema": network.state_dict()}, tmp_path / "a.pth")
    _same(tmp_path / "a.pth", network)
    torch.save({**_prefixed(other, "net_g."), **_prefixed(network.state_dict(), "net_g_ema.")}, tmp_path / "b.pth")
    _same(tmp_path / "b.pth", network)


def test_a_window_that_nothing_describes_says_what_to_call(tmp_path: Path) -> None:
    torch.save(LAMNet(SMALL).state_dict(), tmp_path / "a.pth")
    with pytest.raises(BadWeightsError, match=r"a window of 5 pixels .* load_state_dict, and lamnet\.save"):
        weights.load(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"epoch": 3}, r"found epoch; torch\.save\(that_part"),
        ({"a.head.weight": torch.zeros(1), "b.head.weight": torch.zeros(1)}, r"one network, found a\., b\."),
        ([1, 2], "found list"),
        ({"model": {"model": {"model": 3}}}, "found model"),
    ],
)
def test_what_is_none_says_what_to_call(tmp_path: Path, content: object, says: str) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(BadWeightsError, match=says):
        weights.load(tmp_path / "a.pth")


def test_a_whole_module_is_refused_without_advice_to_load_it_unsafely(network: LAMNet, tmp_path: Path) -> None:
    torch.save(network, tmp_path / "a.pth")
    with pytest.raises(BadWeightsError, match=r"refused; save only the tensors") as caught:
        weights.load(tmp_path / "a.pth")
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.thorough
def test_written_checkpoints_are_as_published(shared: Path, tmp_path: Path) -> None:
    theirs = torch.load(shared / "reference" / "lamnet_base_x4.pth", weights_only=True)["params_ema"]
    lamnet.save(lamnet.load(shared / "reference" / "lamnet_base_x4.pth"), tmp_path / "a.pth")
    ours = torch.load(tmp_path / "a.pth", weights_only=True)["params"]
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_saved_networks_come_back(network: LAMNet, tmp_path: Path, name: str) -> None:
    for one in (network, LAMNet(SMALL), torch.nn.DataParallel(network)):
        lamnet.save(one, tmp_path / name)  # type: ignore[arg-type]
        _same(tmp_path / name, getattr(one, "module", one))
    with pytest.raises(BadArgumentError, match=r"ends in \.safetensors or \.pth"):
        lamnet.save(network, tmp_path / "a.bin")


class _Mixer(LAM):
    pass


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda b: setattr(b, "mixer", _Mixer(SMALL)), r"blocks\.0\.mixer \(_Mixer\) with a class of its own"),
        (lambda b: setattr(b, "ffn_norm", nn.Identity()), "ffn_norm"),
        (lambda b: setattr(b.ffn, "adapter", nn.Linear(2, 2)), "adapter"),
        (lambda b: b.register_buffer("mask", torch.zeros(1)), "mask"),
        (lambda b: setattr(b.ffn.depthwise, "padding_mode", "circular"), "padding_mode=circular"),
        (lambda b: setattr(b.ffn_norm, "eps", 1.0), "eps=1"),
        (lambda b: setattr(b.ffn, "forward", b.ffn.forward), "a forward of its own"),
        (lambda b: nn.utils.parametrizations.weight_norm(b.ffn.project_in), "project_in"),
        (lambda b: setattr(b.ffn.project_in, "bias", None), "another bias"),
    ],
)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_what_load_cannot_make_again_is_not_saved(tmp_path: Path, change: Any, says: str, name: str) -> None:
    network = LAMNet(SMALL)
    change(network.groups[0].blocks[0])  # type: ignore[index, union-attr]
    with pytest.raises(BadWeightsError, match=says):
        lamnet.save(network, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_hooks_are_not_saved_and_that_is_said(tmp_path: Path) -> None:
    network = LAMNet(SMALL)
    network.groups[0].register_forward_hook(lambda *_: None)  # type: ignore[union-attr]
    with pytest.warns(UserWarning, match=r"saved without hooks: groups\.0 with a hook"):
        lamnet.save(network, tmp_path / "a.safetensors")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_numbers_that_are_none_are_refused(tmp_path: Path, name: str, number: float) -> None:
    state = LAMNet(PAPERS).state_dict()
    state["tail.bias"][3] = number
    (torch.save if name.endswith(".pth") else save_file)(state, tmp_path / name)
    with pytest.raises(BadWeightsError, match=r"finite numbers in tail\.bias"):
        weights.load(tmp_path / name)


@pytest.mark.parametrize("name", ["ours.safetensors", "theirs.pth"])
def test_a_network_that_load_refuses_is_not_saved(tmp_path: Path, name: str) -> None:
    network = LAMNet(SMALL)
    network.tail.weight.data[0] = torch.inf
    with pytest.raises(BadWeightsError, match=r"expected finite numbers in tail.weight"):
        lamnet.save(network, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_files_are_known_by_what_they_hold(network: LAMNet, tmp_path: Path) -> None:
    for name in ("ours.ckpt", "OURS.SAFETENSORS", "ours"):
        lamnet.save(network, tmp_path / "ours.safetensors")
        (tmp_path / "ours.safetensors").rename(tmp_path / name)
        _same(tmp_path / name, network)
        assert reading.read(tmp_path / name).config == network.config
    save_file(network.state_dict(), tmp_path / "bare.pth")
    _same(tmp_path / "bare.pth", network)
    torch.save(network.state_dict(), tmp_path / "pickled.safetensors")
    _same(tmp_path / "pickled.safetensors", network)


def test_sparse_tensors_are_refused(network: LAMNet, tmp_path: Path) -> None:
    state = {name: one.to_sparse() if one.dim() == 2 else one for name, one in network.state_dict().items()}
    torch.save(state, tmp_path / "sparse.pth")
    with pytest.raises(BadWeightsError, match="expected tensors of all their numbers, found"):
        lamnet.load(tmp_path / "sparse.pth")
