"""Plans, tiles and layers: what a cut picture gives against the whole one."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lamnet import LAMNet, LAMNetConfig, Upscaler
from lamnet.base.errors import BackendError, BadArgumentError
from lamnet.core import shipped
from lamnet.core.config import EDGE
from lamnet.media import arrays, vips
from lamnet.network import weights
from lamnet.upscale.engine import Engine
from lamnet.upscale.exact import Exact
from lamnet.upscale.layers import TorchLayers
from lamnet.upscale.plan import Footprint, choose, fixed
from lamnet.upscale.raster import Plane, raster_of_array

CONFIG = LAMNetConfig(scale=2, channels=8, groups=2, blocks=2, heads=2)
FOOTPRINT = Footprint(base=500_000_000, images=36)


@pytest.fixture(scope="module")
def network() -> LAMNet:
    """Weights so large that the exchange means decide: tiles by themselves cannot give the whole picture."""
    torch.manual_seed(0)
    network = LAMNet(CONFIG).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.22)
    return network


@pytest.fixture(scope="module")
def tame() -> LAMNet:
    """Weights as small as at the start of training: the means hardly matter."""
    torch.manual_seed(0)
    return LAMNet(CONFIG).eval()


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    rows, columns = np.mgrid[0:90, 0:150]
    waves = [np.sin(rows / a) * np.cos(columns / b) * columns / 150 for a, b in ((3, 5), (7, 2), (11, 4))]
    return (np.stack(waves, -1) * 100 + 120).astype(np.uint8)


@given(height=st.integers(1, 300), width=st.integers(1, 300), tile=st.integers(1, 400))
def test_parts_cover_every_pixel_once(height: int, width: int, tile: int) -> None:
    plan = fixed(CONFIG, height, width, tile, FOOTPRINT)
    seen = np.zeros((height, width), int)
    boxes = [box for row in plan.rows() for box in row]
    for box in boxes:
        assert max(box.height, box.width) <= max(tile, plan.tile or max(height, width))
        seen[box.top : box.top + box.height, box.left : box.left + box.width] += 1
    assert (seen == 1).all()
    assert len(boxes) == plan.parts


@given(height=st.integers(1, 20_000), width=st.integers(1, 20_000), memory=st.integers(10**6, 10**10))
def test_a_plan_stays_within_its_memory_or_says_what_it_needs(height: int, width: int, memory: int) -> None:
    least = fixed(LAMNetConfig.tiny(2), height, width, 64, FOOTPRINT).memory
    if least > memory:
        with pytest.raises(BadArgumentError, match=f"at least {math.ceil(least / 1e6)} MB"):
            choose(LAMNetConfig.tiny(2), height, width, memory, FOOTPRINT)
        return
    plan = choose(LAMNetConfig.tiny(2), height, width, memory, FOOTPRINT)
    assert plan.memory <= memory
    assert choose(LAMNetConfig.tiny(2), height, width, plan.memory, FOOTPRINT).tile == plan.tile


def test_memory_decides_between_whole_and_tiles() -> None:
    assert choose(LAMNetConfig.tiny(4), 50, 50, 2 * 10**9, FOOTPRINT).tile is None
    assert choose(LAMNetConfig.tiny(4), 4000, 6000, 3 * 10**9, FOOTPRINT).tile is not None


@pytest.mark.thorough
@pytest.mark.parametrize("tile", [16, 37, 64])
def test_layer_by_layer_equals_the_whole(network: LAMNet, pixels: np.ndarray, tile: int) -> None:
    picture = pixels.astype(np.float32) / 255
    whole = Upscaler(network, "cpu", tile=None)(picture)
    assert whole.std() > 0.1
    np.testing.assert_allclose(Upscaler(network, "cpu", tile=tile, exact=True)(picture), whole, atol=1e-4)


@pytest.mark.thorough
def test_layer_by_layer_with_alpha(network: LAMNet, pixels: np.ndarray) -> None:
    rgba = np.concatenate([pixels, pixels[..., :1].clip(100, 140) - 100], -1)
    whole = Upscaler(network, "cpu", tile=None)(rgba)
    exact = Upscaler(network, "cpu", tile=40, exact=True)(rgba)
    assert np.abs(whole.astype(int) - exact).max() <= 1


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["small_x2", "small_x3"])
def test_layer_by_layer_with_reference_networks(shared: Path, pixels: np.ndarray, name: str) -> None:
    network = weights.load(shared / "reference" / f"lamnet_{name}.pth")
    picture = pixels.astype(np.float32) / 255
    whole = Upscaler(network, "cpu", tile=None)(picture)
    np.testing.assert_allclose(Upscaler(network, "cpu", tile=64, exact=True)(picture), whole, atol=1e-4)


@pytest.mark.thorough
def test_networks_whose_means_matter_are_run_layer_by_layer(network: LAMNet, tame: LAMNet, pixels: np.ndarray) -> None:
    picture = pixels.astype(np.float32) / 255
    for each, matter in ((network, True), (tame, False)):
        pieces = [picture[:, i : i + 40].transpose(2, 0, 1) for i in (0, 100)]
        assert Engine(each, "cpu").means_matter(pieces) is matter
        whole, tiles = (Upscaler(each, "cpu", tile=tile)(picture) for tile in (None, 48))
        assert -10 * np.log10(np.square(whole - tiles).mean()) > 60


@pytest.mark.thorough
def test_tiles_are_the_same_again(tame: LAMNet, pixels: np.ndarray) -> None:
    upscaler = Upscaler(tame, "cpu", tile=32)
    np.testing.assert_array_equal(upscaler(pixels), upscaler(pixels))


@pytest.mark.thorough
def test_tiles_show_no_seams(tame: LAMNet, pixels: np.ndarray) -> None:
    whole, tiles = (Upscaler(tame, "cpu", tile=tile)(pixels.astype(np.float32) / 255) for tile in (None, 50))
    difference = np.abs(np.diff(whole - tiles, axis=1)).mean((0, 2))
    assert difference[99] < 1e-3
    assert difference[199] < 1e-3


@pytest.fixture(scope="module", params=["one enlarged", "sixteen side by side"])
def photograph(request: pytest.FixtureRequest, shared: Path) -> np.ndarray:
    """Two megapixels of natural photographs in [0, 1]: shared/ has none so large."""
    if request.param == "one enlarged":
        photo: Any = arrays.open_image(arrays.find(shared / "data" / "valid")[0])
        return vips.pixels_of(photo.thumbnail_image(1632, height=1224, size="both", crop="centre")) / np.float32(255)
    photos = (arrays.read_array(path)[:400, :400] for path in arrays.find(shared / "data" / "train"))
    some = list(islice((photo for photo in photos if photo.shape == (400, 400, 3)), 16))
    return np.concatenate([np.concatenate(some[i : i + 4], 1) for i in range(0, 16, 4)]) / np.float32(255)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "scale", "variant"), shipped.shipped())
def test_shipped_weights_tile_a_photograph(
    photograph: np.ndarray, size: str, scale: int, variant: shipped.Variant
) -> None:
    network = weights.load(size, scale, variant)
    whole, tiles = (Upscaler(network, "cpu", tile=tile)(photograph) for tile in (None, 512))
    psnr = -10 * np.log10(np.square(whole - tiles).mean())
    print(f"{size} x{scale} {variant}, {photograph.shape}: {psnr:.1f} dB")  # noqa: T201 (a figure for docs/log)
    assert psnr >= 60
    plan = fixed(network.config, *photograph.shape[:2], 512, FOOTPRINT)
    for axis, edges in ((0, {row[0].top for row in plan.rows()}), (1, {box.left for box in next(plan.rows())})):
        borders = [scale * edge - 1 for edge in sorted(edges) if edge]
        error, steps = (np.abs(np.diff(one, axis=axis)).mean((1 - axis, 2)) for one in (whole - tiles, tiles))
        expected = np.abs(np.diff(whole, axis=axis)).mean((1 - axis, 2))[borders]
        assert (steps[borders] <= expected + 1e-4).all()
        assert error[borders].max() < 1e-3


def test_a_small_disk_is_said_beforehand(tame: LAMNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = fixed(CONFIG, 100, 100, 64, FOOTPRINT, exact=True)
    need = 12 * CONFIG.channels * (100 + 2 * EDGE) ** 2
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=need - 1))
    with pytest.raises(
        BackendError, match=rf"expected {-(-need // 10**6)} MB free for --exact, found {need // 10**6} MB"
    ):
        Exact(TorchLayers(tame), plan, Plane(raster_of_array(np.zeros((1, 1, 3), np.uint8)), 0), tmp_path)


@pytest.mark.thorough
def test_a_full_gpu_gets_smaller_parts(tame: LAMNet, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = pixels.astype(np.float32) / 255
    whole = Upscaler(tame, "cpu", tile=None)(picture)
    real: Callable[[Tensor], Tensor] = tame.forward

    def small_only(x: Tensor) -> Tensor:
        if x.shape[2] * x.shape[3] > 100 * 80:
            raise torch.OutOfMemoryError("full")
        return real(x)

    monkeypatch.setattr(tame, "forward", small_only)
    parts = Upscaler(tame, "cpu", tile=None)(picture)
    assert -10 * np.log10(np.square(whole - parts).mean()) > 60


@pytest.mark.thorough
def test_ensemble_is_the_mean_of_turned_pictures(tame: LAMNet, pixels: np.ndarray) -> None:
    picture = pixels.astype(np.float32) / 255
    up, ensemble = Upscaler(tame, "cpu"), Upscaler(tame, "cpu", ensemble=True)
    turns = [(quarter, mirrored) for quarter in range(4) for mirrored in (False, True)]
    turned = [_turned_back(up(_turned(picture, *turn)), *turn) for turn in turns]
    np.testing.assert_allclose(ensemble(picture), np.mean(turned, 0), atol=1e-4)


def _turned(picture: np.ndarray, quarter: int, mirrored: bool) -> np.ndarray:
    turned = np.rot90(picture, quarter)
    return np.ascontiguousarray(np.flip(turned, 1) if mirrored else turned)


def _turned_back(picture: np.ndarray, quarter: int, mirrored: bool) -> np.ndarray:
    return np.rot90(np.flip(picture, 1) if mirrored else picture, -quarter)
