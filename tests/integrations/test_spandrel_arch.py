"""The single-file network that can be offered to spandrel, held equal to the package's."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import lamnet
from lamnet.core import shipped
from lamnet.core.config import LAMNetConfig
from lamnet.network.model import LAMNet
from support.exports import CONFIGS, lively
from support.peers import real_spandrel

FOLDER = Path(__file__).parents[2] / "integrations" / "spandrel_arch" / "LAMNet"
SIZES = ((1, 3, 1, 1), (2, 3, 7, 33), (1, 3, 24, 17))


def imported(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


single = imported("lamnet_single_file", FOLDER / "__arch" / "lamnet.py")


def copy_of(network: LAMNet) -> torch.nn.Module:
    config = network.config
    copy = single.LAMNet(
        scale=config.scale,
        channels=config.channels,
        groups=config.groups,
        blocks=config.blocks,
        heads=config.heads,
        hidden=config.hidden,
        starts=config.window.starts,
        lengths=config.window.lengths,
    )
    copy.load_state_dict(network.state_dict())
    return copy.eval()


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_any_configuration_is_the_same_in_float64(config: LAMNetConfig) -> None:
    network = lively(config).double()
    copy = copy_of(network).double()
    for size in SIZES:
        x = torch.rand(size, dtype=torch.float64)
        # the exchange's means are float32 in both
        torch.testing.assert_close(copy(x), network(x), rtol=1e-6, atol=1e-6)


@pytest.mark.thorough
def test_weights_that_ship_give_the_same_picture() -> None:
    network = lamnet.load("tiny", 3)
    for size in SIZES:
        x = torch.rand(size)
        with torch.no_grad():
            torch.testing.assert_close(copy_of(network)(x), network(x), rtol=0, atol=1e-5)


def test_names_no_module_of_the_package() -> None:
    text = (FOLDER / "__arch" / "lamnet.py").read_text(encoding="utf-8")
    assert "import lamnet" not in text
    assert "from lamnet" not in text


def test_spandrel_loads_it_in_its_own_place() -> None:
    with real_spandrel() as spandrel:
        arch: Any = imported("spandrel.architectures.LAMNet", FOLDER / "__init__.py").LAMNetArch()
        registry = spandrel.ArchRegistry()
        registry.add(spandrel.ArchSupport.from_architecture(arch))
        loader = spandrel.ModelLoader(device="cpu", registry=registry)
        descriptor = loader.load_from_file(shipped.shipped_path("tiny", 2))
        x = torch.rand(1, 3, 9, 14)
        with torch.no_grad():
            expected = lamnet.load("tiny", 2)(x).clamp(0, 1)
        torch.testing.assert_close(descriptor(x), expected, rtol=0, atol=1e-5)
        assert (descriptor.scale, descriptor.tags) == (2, ["32c", "3x4"])
        others = [support for support in spandrel.MAIN_REGISTRY if support.architecture.id != "LAMNet"]
        assert not any(support.detect(descriptor.model.state_dict()) for support in others)
