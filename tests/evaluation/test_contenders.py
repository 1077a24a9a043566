from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lamnet.base.errors import BackendError, BadArgumentError, BadWeightsError, MissingExtraError
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window
from lamnet.evaluation import contenders
from lamnet.evaluation.resize import imresize
from lamnet.network import ensemble, weights
from lamnet.network.model import LAMNet

LR = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)


@pytest.fixture
def network() -> LAMNet:
    torch.manual_seed(0)
    config = LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2, window=Window((-1, 0, 1), (1, 1, 1)))
    network = LAMNet(config).eval()
    with torch.no_grad():  # far from the flat grey that a fresh network gives
        for parameter in network.parameters():
            parameter.normal_(0, 0.3)
    return network


def test_bicubic_is_imresize() -> None:
    contender = contenders.load("bicubic", 3)
    assert contender.params is None
    np.testing.assert_array_equal(contender.upscale(LR), imresize(LR, 3))


def test_a_network_gives_its_output_clamped_and_rounded(network: LAMNet, tmp_path: Path) -> None:
    weights.save(network, tmp_path / "w.safetensors")
    x = torch.from_numpy(LR).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = (network(x)[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert {0, 255} < set(expected.ravel().tolist())
    for model in (network, str(tmp_path / "w.safetensors"), tmp_path / "w.safetensors"):
        contender = contenders.load(model, 2, device="cpu")
        assert contender.params == sum(parameter.numel() for parameter in network.parameters())
        np.testing.assert_array_equal(contender.upscale(LR), expected)
    assert contenders.load(network, 2).name == "LAMNet"
    assert contenders.load(tmp_path / "w.safetensors", 2).name == str(tmp_path / "w.safetensors")


def test_grey_goes_in_as_equal_channels(network: LAMNet) -> None:
    upscale = contenders.load(network, 2).upscale
    np.testing.assert_array_equal(upscale(LR[..., :1]), upscale(LR[..., :1].repeat(3, 2)))


def test_self_ensemble_is_the_mean_over_eight_views_by_hand(network: LAMNet) -> None:
    def run(picture: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()

    picture = LR.astype(np.float32) / 255
    outputs = [
        run(picture),
        run(picture[::-1])[::-1],
        run(picture[:, ::-1])[:, ::-1],
        run(picture[::-1, ::-1])[::-1, ::-1],
        run(picture.transpose(1, 0, 2)).transpose(1, 0, 2),
        run(picture[::-1].transpose(1, 0, 2)).transpose(1, 0, 2)[::-1],
        run(picture[:, ::-1].transpose(1, 0, 2)).transpose(1, 0, 2)[:, ::-1],
        run(picture[::-1, ::-1].transpose(1, 0, 2)).transpose(1, 0, 2)[::-1, ::-1],
    ]
    with torch.no_grad():
        found = ensemble.self_ensemble(network, torch.from_numpy(picture).permute(2, 0, 1)[None])
    np.testing.assert_allclose(found[0].permute(1, 2, 0).numpy(), np.mean(outputs, 0), atol=1e-5)
    both = contenders.load(network, 2, ensemble=True)
    assert both.name == "LAMNet+"
    rounded = (np.mean(outputs, 0).clip(0, 1) * 255).round()
    assert np.abs(both.upscale(LR) - rounded).max() <= 1
    assert not np.array_equal(both.upscale(LR), contenders.load(network, 2).upscale(LR))


def test_self_ensemble_of_bicubic_is_bicubic() -> None:
    def upscale(x: Tensor) -> Tensor:
        return torch.from_numpy(imresize(x[0].permute(1, 2, 0).numpy(), 2)).permute(2, 0, 1)[None]

    x = torch.rand(1, 3, 5, 8, dtype=torch.float64)
    torch.testing.assert_close(ensemble.self_ensemble(upscale, x), upscale(x))


def test_what_is_no_network_is_refused() -> None:
    something: Any = len
    with pytest.raises(
        BadArgumentError, match=r"^model: expected a network, a name or a file, got builtin_function_or_method$"
    ):
        contenders.load(something, 2)


def test_what_cannot_be_loaded_is_refused(network: LAMNet) -> None:
    with pytest.raises(BadWeightsError, match="expected a network for x4, found one for x2"):
        contenders.load(network, 4)
    with pytest.raises(BadWeightsError, match="absent"):
        contenders.load("absent", 4)
    with pytest.raises(BackendError, match="device: expected one that works here, got nonsense"):
        contenders.load(network, 2, device="nonsense")


class Nearest(nn.Module):
    """Stands for a network of somebody else."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (self.gain * x).repeat_interleave(2, -1).repeat_interleave(2, -2)


class Descriptor(SimpleNamespace):
    """The part of spandrel's ImageModelDescriptor that its documentation promises."""

    def __call__(self, x: Tensor) -> Tensor:
        return self.model(x)

    def to(self, device: torch.device) -> Descriptor:
        self.model.to(device)
        return self

    def eval(self) -> Descriptor:
        self.model.eval()
        return self


def install_spandrel(monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    module = ModuleType("spandrel")
    module.ModelLoader = lambda: SimpleNamespace(load_from_file=load)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spandrel", module)


def test_a_peer_is_loaded_through_spandrel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_spandrel(monkeypatch, lambda path: Descriptor(model=Nearest(), scale=2, input_channels=3))
    file = tmp_path / "peer.pth"
    file.write_bytes(b"weights")
    contender = contenders.load(f"spandrel:{file}", 2)
    assert (contender.name, contender.params) == (str(file), 3)
    np.testing.assert_array_equal(contender.upscale(LR), LR.repeat(2, 0).repeat(2, 1))
    with pytest.raises(BackendError, match="device: expected one that works here, got nonsense"):
        contenders.load(f"spandrel:{file}", 2, device="nonsense")
    with pytest.raises(BadWeightsError, match="expected an RGB network for x4, found x2 of 3 channels"):
        contenders.load(f"spandrel:{file}", 4)
    with pytest.raises(BadWeightsError, match="no such file"):
        contenders.load("spandrel:absent.pth", 2)


def test_a_file_that_spandrel_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise ValueError("unsupported architecture")

    install_spandrel(monkeypatch, refuse)
    (tmp_path / "peer.pth").write_bytes(b"weights")
    with pytest.raises(BadWeightsError, match=r"peer\.pth: expected a network that spandrel knows.*unsupported"):
        contenders.load(f"spandrel:{tmp_path / 'peer.pth'}", 2)
    install_spandrel(monkeypatch, lambda path: (_ for _ in ()).throw(KeyError))
    with pytest.raises(BadWeightsError, match="found KeyError"):
        contenders.load(f"spandrel:{tmp_path / 'peer.pth'}", 2)


def test_without_spandrel_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    (tmp_path / "peer.pth").write_bytes(b"\x80\x02")
    with pytest.raises(MissingExtraError, match=r'pip install "lamnet-sr\[peers\]"'):
        contenders.load(f"spandrel:{tmp_path / 'peer.pth'}", 2)


def test_what_spandrel_says_is_one_short_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Loader:
        def load_from_file(self, path: Path) -> None:
            raise ValueError("two\nlines \x1b[31m" + "and more " * 100)

    monkeypatch.setitem(sys.modules, "spandrel", SimpleNamespace(ModelLoader=Loader))
    (tmp_path / "peer.pth").write_bytes(b"?")
    with pytest.raises(
        BadWeightsError, match=r"peer\.pth: expected a network that spandrel knows, found two lines \\"
    ) as caught:
        contenders.load(f"spandrel:{tmp_path / 'peer.pth'}", 2)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300 + len(str(tmp_path))
