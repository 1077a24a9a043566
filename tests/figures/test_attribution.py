"""Attribution maps and receptive fields of networks whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lamnet import LAMNet, LAMNetConfig
from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.base.progress import finish
from lamnet.evaluation.contenders import load
from lamnet.figures import attribution, receptive_field
from lamnet.figures.attribution import attribute, detector, diffusion_index
from lamnet.figures.inputs import _Peer, network_of, read_pair
from lamnet.figures.receptive_field import measure
from lamnet.figures.region import Region
from lamnet.media import arrays
from lamnet.network import weights
from lamnet.network.model import Block, _is_changed
from support.figures import assert_readable, captions, pixels, small_network


class Enlarged(nn.Module):
    """A square filter of ones, then every pixel repeated: reaches `reach` LR pixels each way."""

    def __init__(self, scale: int, reach: int) -> None:
        super().__init__()
        self.scale = scale
        side = 2 * reach + 1
        self.filter = nn.Conv2d(3, 3, side, padding=reach, groups=3, bias=False)
        nn.init.constant_(self.filter.weight, 1 / side**2)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(self.filter(x), scale_factor=self.scale, mode="nearest")


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_diffusion_index_is_the_gini_coefficients_definition() -> None:
    values = np.random.default_rng(0).normal(size=(7, 9))
    magnitudes = np.abs(values).ravel()
    gini = np.abs(magnitudes[:, None] - magnitudes).sum() / (2 * magnitudes.size**2 * magnitudes.mean())
    assert diffusion_index(values) == pytest.approx(100 * (1 - gini))
    assert diffusion_index(np.full((4, 5), -3.0)) == pytest.approx(100)
    assert diffusion_index(np.eye(1, 20)) == pytest.approx(100 / 20)
    # Pixels that do not matter count: in a picture of four times the area the index is a quarter.
    assert diffusion_index(np.pad(values, ((0, 7), (0, 9)))) == pytest.approx(diffusion_index(values) / 4)


def test_attribution_stays_within_the_networks_reach() -> None:
    found = attribute(Enlarged(2, reach=1), 2, noise(24, 30), Region(20, 16, 8, 4), steps=4)
    rows, columns = np.nonzero(found.map)
    # The region is LR rows 8..9 and columns 10..13; the filter adds one pixel each way.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (7, 10, 9, 14)


@pytest.mark.thorough
def test_attribution_adds_up_to_what_the_detector_gains() -> None:
    torch.manual_seed(0)
    network = LAMNet(LAMNetConfig(2, channels=16, groups=1, blocks=1))
    nn.init.normal_(network.tail.weight, std=0.2)
    lr, region = noise(12, 12), Region(6, 6, 8, 8)
    found = attribute(network, 2, lr, region, steps=200)
    sharp = lr.astype(np.float32) / 255
    with torch.no_grad():
        gained = [
            float(detector(network(torch.from_numpy(x.copy()).permute(2, 0, 1)[None]), region))
            for x in (attribution._blurred(sharp, 9.0), sharp)
        ]
    assert found.map.sum() == pytest.approx(gained[1] - gained[0], rel=0.02)
    assert 0 < found.diffusion_index < 100


def test_steps_together_are_the_steps_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = LAMNet(LAMNetConfig(2, channels=16, groups=1, blocks=1))
    nn.init.normal_(network.tail.weight, std=0.2)
    lr, region, sizes = noise(12, 14), Region(6, 6, 8, 8), list[int]()
    network.register_forward_pre_hook(lambda _, x: sizes.append(len(x[0])))
    together = list(attribution.attributing(network, 2, lr, region, steps=7))
    assert (sizes, together[-1].done) == ([7, 1], 1)
    both = []
    for pixels_ in (3 * lr[..., 0].size, 1):
        monkeypatch.setattr(attribution, "_PIXELS_TOGETHER", pixels_)
        both.append(attribute(network, 2, lr, region, steps=7).map)
    assert sizes == [7, 1, 3, 3, 1, 1, *[1] * 8]
    np.testing.assert_allclose(both[0], both[1], atol=1e-5 * np.abs(both[1]).max())


def test_attribution_says_when_nothing_matters() -> None:
    with pytest.raises(BadArgumentError, match="found none"):
        attribute(Enlarged(2, 1), 2, np.full((16, 16, 3), 7, np.uint8), Region(8, 8, 1, 1), steps=2)
    with pytest.raises(BadArgumentError, match="inside 32x32 pixels, got 30 0 8 8"):
        attribute(Enlarged(2, 1), 2, noise(16, 16), Region(30, 0, 8, 8))


def test_receptive_field_of_a_filter_is_its_square() -> None:
    field = measure(Enlarged(3, reach=2), 3, [noise(21, 21)])
    expected = np.zeros((21, 21))
    expected[8:13, 8:13] = 1 / 25
    np.testing.assert_allclose(field.map, expected, atol=1e-8)
    # 1 and 9 of 25 pixels hold 4 % and 36 %.
    assert field.sides == (3, 3, 5, 5)
    assert field.area_ratios[-1] == pytest.approx(25 / 441)


def test_receptive_field_of_lamnet_is_the_whole_picture() -> None:
    torch.manual_seed(0)
    network = LAMNet(LAMNetConfig(2, channels=16, groups=1, blocks=1))
    field = measure(network, 2, [noise(31, 31)])
    assert (field.map > 0).all()  # the exchange's means reach every pixel


def test_receptive_field_names_what_it_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(BadImageError, match=r"in: expected HR pictures, found none$"):
        finish(receptive_field.creating(tmp_path / "in", ["tiny"], 4, tmp_path / "f.png", 65))
    for size in (-3, 0, 64):
        with pytest.raises(BadArgumentError, match=f"^size: expected an odd number of LR pixels, got {size}$"):
            finish(receptive_field.creating(tmp_path / "in", ["tiny"], 4, tmp_path / "f.png", size))


def test_receptive_field_refuses_uneven_crops() -> None:
    for crops in ([noise(8, 8)], [noise(9, 7)], [noise(9, 9), noise(11, 11)], []):
        with pytest.raises(BadArgumentError, match="crops"):
            measure(Enlarged(2, 1), 2, crops)


@pytest.mark.thorough
def test_attribution_figure_shows_map_and_output(tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "noise.png", noise(48, 64))
    models = [small_network(tmp_path / f"{name}.safetensors", 2, seed) for seed, name in enumerate("abcd")]
    region = Region(20, 10, 16, 12)
    found = finish(attribution.creating(tmp_path / "noise.png", models, 2, region, tmp_path / "figure.png"))
    assert list(found) == ["a", "b", "c", "d"]
    hr, lr = read_pair(tmp_path / "noise.png", 2)
    np.testing.assert_array_equal(found["b"].crop, region.of(load(models[1], 2).upscale(lr)))

    figure = attribution.draw(hr, lr, region, found)
    assert len(figure.axes) == 2 * 5  # HR and four networks, the whole and the region of each
    np.testing.assert_array_equal(pixels(figure, 0), hr)
    np.testing.assert_array_equal(pixels(figure, 5), found["b"].crop)
    assert captions(figure)[5] == ["b", f"DI {found['b'].diffusion_index:.1f}"]
    overlaid = pixels(figure, 4)
    assert overlaid.shape == lr.shape
    strongest = np.unravel_index(np.abs(found["b"].map).argmax(), lr.shape[:2])
    assert tuple(overlaid[strongest]) == (213, 94, 0)
    (box, *_) = figure.axes[0].patches
    assert (*box.get_xy(), box.get_width(), box.get_height()) == (19.5, 9.5, 16, 12)
    assert not figure.axes[4].patches  # which would hide the map of a small region
    assert_readable(figure)


@pytest.mark.thorough
def test_receptive_field_figure_shows_every_network(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        arrays.write_array(tmp_path / name, noise(64, 80))
    models = [small_network(tmp_path / f"{name}.safetensors", 2, seed) for seed, name in enumerate("abcd")]
    fields = finish(receptive_field.creating(tmp_path, models, 2, tmp_path / "figure.pdf", 21))
    figure = receptive_field.draw(fields)
    assert len(figure.axes) == 4 + 1  # the networks and the colour scale
    panels = [axes for axes in figure.axes if axes.texts]
    for axes, (name, field) in zip(panels, fields.items(), strict=True):
        side = field.sides[-1]
        assert [text.get_text() for text in axes.texts] == [
            name,
            f"99% in {side}x{side} ({field.area_ratios[-1]:.1%})",
        ]
        assert axes.patches[0].get_width() == side
    (bar,) = (axes for axes in figure.axes if not axes.texts)
    figure.canvas.draw()
    top = next(label for label in bar.yaxis.get_ticklabels() if label.get_text() == "0").get_window_extent()
    assert top.y1 <= figure.bbox.y1
    assert pixels(figure, 0)[10, 10] == pytest.approx(np.log10(fields["a"].map[10, 10] / fields["a"].map.max()))
    assert_readable(figure)
    with pytest.raises(BadImageError, match=r"one.png: expected at least 202 pixels"):
        finish(receptive_field.creating(tmp_path, models, 2, tmp_path / "figure.pdf", 101))


def test_peers_are_padded_to_the_sizes_that_they_take() -> None:
    class Multiple(Enlarged):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[-1] % 8 == 0
            assert x.shape[-2] % 8 == 0
            return super().forward(x)

    class Requirements:
        def get_padding(self, width: int, height: int) -> tuple[int, int]:
            return -width % 8, -height % 8

    class Descriptor:
        model, scale, size_requirements = Multiple(2, 0), 2, Requirements()

    x = torch.rand(1, 3, 11, 13)
    torch.testing.assert_close(_Peer(Descriptor())(x), Enlarged(2, 0)(x))


def test_gradients_need_little_memory_and_stay_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights.save(LAMNet(LAMNetConfig(2, channels=16, groups=2, blocks=3)), tmp_path / "n.safetensors")
    x, kept, gradients = torch.rand(1, 3, 24, 24), [], []
    for network in (
        weights.load(tmp_path / "n.safetensors").requires_grad_(False),
        network_of(str(tmp_path / "n.safetensors"), 2, "cpu"),
    ):
        elements: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, to=elements: to.append(t.numel()) or t, lambda t: t):
            out = network(x.requires_grad_())
        kept.append(sum(elements))
        gradients += torch.autograd.grad(detector(out, Region(4, 4, 9, 9)), x)
    torch.testing.assert_close(*gradients)
    assert kept[1] < kept[0] / 4


def test_gradients_come_from_the_kernels(tmp_path: Path) -> None:
    weights.save(LAMNet(LAMNetConfig(2, channels=16, groups=1, blocks=2)), tmp_path / "n.safetensors")
    network = network_of(str(tmp_path / "n.safetensors"), 2, "cpu")
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    assert len(blocks) == 2
    assert not any(_is_changed(block) for block in blocks)


def test_bicubic_has_no_gradients() -> None:
    with pytest.raises(BadArgumentError, match="found bicubic"):
        network_of("bicubic", 4)
