"""Files of ours through the real spandrel, against the network itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import lamnet
from lamnet.base.errors import BadWeightsError, MissingExtraError
from lamnet.core import shipped
from lamnet.core.config import LAMNetConfig
from lamnet.core.shipped import Shipped
from lamnet.integrations import spandrel as integration
from lamnet.network import weights
from lamnet.network.model import LAMNet
from support.exports import CONFIGS, lively
from support.networks import published
from support.peers import real_spandrel


@pytest.fixture(scope="module")
def spandrel() -> Iterator[Any]:
    with real_spandrel() as module:
        yield module


@pytest.fixture(scope="module")
def loader(spandrel: Any) -> Any:
    integration.register()
    integration.register()  # changes nothing
    return spandrel.ModelLoader(device="cpu")


def same(descriptor: Any, network: LAMNet) -> None:
    x = torch.rand(1, 3, 13, 22, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(x).clamp(0, 1)
    assert torch.equal(descriptor(x), expected)
    assert (descriptor.scale, descriptor.input_channels, descriptor.output_channels) == (network.config.scale, 3, 3)
    assert descriptor.architecture.id == "LAMNet"


@pytest.mark.parametrize("one", shipped.shipped(), ids=str)
def test_weights_that_ship_give_the_same_picture(one: Shipped, loader: Any) -> None:
    descriptor = loader.load_from_file(one.path)
    same(descriptor, lamnet.load(one.model, one.scale))
    assert descriptor.purpose == ("SR" if one.scale > 1 else "Restoration")
    assert descriptor.tags[0] == one.size


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("kind", ["own", "published"])
def test_any_window_and_layout_gives_the_same_picture(
    config: LAMNetConfig, kind: str, loader: Any, tmp_path: Path
) -> None:
    network = lively(config)
    if kind == "own":
        path = tmp_path / "n.SAFETENSORS"
        weights.save(network, path)
    else:
        if any(start < 0 <= start + length - 1 for start, length in zip(*vars(config.window).values(), strict=True)):
            pytest.skip("a published kernel_map has no tap on both sides of the pixel")
        path = tmp_path / "n.pth"
        torch.save({"params_ema": published(network, config.window)}, path)
    same(loader.load_from_file(path), network)


def test_a_bare_state_dict_has_the_papers_window(loader: Any) -> None:
    network = lively(LAMNetConfig.tiny(2))
    same(loader.load_from_state_dict(network.state_dict()), network)
    other = lively(CONFIGS["one head, asymmetrical window"])
    with pytest.raises(BadWeightsError, match="expected a file, whose header has the window"):
        loader.load_from_state_dict(other.state_dict())


def test_half_precisions_that_are_promised_work(loader: Any) -> None:
    x = torch.rand(1, 3, 13, 22)
    descriptor = loader.load_from_file(shipped.shipped_path("tiny", 2))
    expected = descriptor(x)
    for dtype in (torch.bfloat16, torch.float16):
        found = descriptor.to(dtype)(x.to(dtype))
        assert found.dtype == dtype
        torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0)


def test_other_files_of_ours_and_of_others_go_on_as_before(spandrel: Any, loader: Any) -> None:
    state = dict(lively(LAMNetConfig.tiny(2)).state_dict())
    del state["groups.1.blocks.2.mixer.project_in.weight"]
    with pytest.raises(BadWeightsError, match=r"found it without groups\.1\.blocks\.2\.mixer\.project_in\.weight"):
        loader.load_from_state_dict(state)
    with pytest.raises(spandrel.UnsupportedModelError):
        loader.load_from_state_dict({"some.weight": torch.zeros(3)})


def test_another_registry_is_left_apart(spandrel: Any) -> None:
    registry = spandrel.ArchRegistry()
    integration.register(registry)
    assert [support.architecture.id for support in registry] == ["LAMNet"]


def test_without_spandrel_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(MissingExtraError, match=r"lamnet-sr\[peers\]"):
        integration.register()
