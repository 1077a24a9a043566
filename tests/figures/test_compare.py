from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data
from skimage.metrics import structural_similarity

from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.base.progress import finish
from lamnet.evaluation.comparison import compare as measure
from lamnet.evaluation.protocol import Protocol
from lamnet.evaluation.resize import imresize
from lamnet.figures.compare import Comparison, compare, creating, draw
from lamnet.figures.inputs import by_label, output_of, read_pair
from lamnet.figures.region import Region, most_different
from lamnet.media import arrays
from support.figures import assert_readable, captions, pixels, small_network


def astronaut() -> NDArray[np.uint8]:
    return np.ascontiguousarray(data.astronaut()[:180, 100:340])


def example(count: int, region: Region | None = None) -> Comparison:
    hr = astronaut()
    blurred = imresize(imresize(hr, 1 / 4), 4)
    noise = np.random.default_rng(0).normal(0, 20, hr.shape)
    outputs = {f"Network-{i}": np.clip(blurred + noise * i, 0, 255).astype(np.uint8) for i in range(1, count)}
    return compare(hr, {"Bicubic": blurred, **outputs}, region)


@pytest.mark.parametrize("count", [1, 3, 6, 11])
@pytest.mark.parametrize("region", [Region(10, 20, 60, 40), Region(100, 30, 30, 80)], ids=["wide", "tall"])
@pytest.mark.thorough
def test_every_output_has_a_readable_panel(count: int, region: Region) -> None:
    comparison = example(count, region)
    figure = draw(comparison, "astronaut (x4)")
    assert len(figure.axes) == 1 + 1 + count  # the whole picture, HR, the outputs
    np.testing.assert_array_equal(pixels(figure, 0), comparison.hr)
    np.testing.assert_array_equal(pixels(figure, 1), region.of(comparison.hr))
    for index, crop in enumerate(comparison.crops):
        np.testing.assert_array_equal(pixels(figure, 2 + index), crop.pixels)
        assert captions(figure)[2 + index] == [crop.name, f"{crop.psnr:.2f}/{crop.ssim:.4f}"]
    assert_readable(figure)
    assert_readable(draw(comparison, "astronaut (x4)", wide=True), 7.16)


def test_the_best_is_bold_and_the_figures_are_said_to_be_of_the_crop() -> None:
    comparison = example(3, Region(10, 20, 60, 40))
    best = max(comparison.crops, key=lambda crop: crop.psnr)
    whole, _, *panels = draw(comparison, "astronaut (x4)").axes
    assert whole.texts[1].get_text() == "figures: of the crop, on Y"
    bold = [axes.texts[0].get_text() for axes in panels if axes.texts[1].get_weight() == "bold"]
    assert bold == [best.name]


def test_panels_keep_the_aspect_and_the_box_is_the_region() -> None:
    region = Region(100, 30, 30, 80)
    figure = draw(example(3, region), "astronaut")
    whole, *crops = (axes.get_window_extent() for axes in figure.axes)
    assert whole.width / whole.height == pytest.approx(240 / 180, rel=0.01)
    assert [crop.width / crop.height for crop in crops] == pytest.approx([30 / 80] * 4, rel=0.01)
    for box in figure.axes[0].patches:
        assert (*box.get_xy(), box.get_width(), box.get_height()) == (99.5, 29.5, 30, 80)


def test_values_are_those_of_evaluate_on_the_crop(tmp_path: Path) -> None:
    comparison = example(2, Region(31, 17, 48, 40))
    for folder in ("Set/HR", "results"):
        (tmp_path / folder).mkdir(parents=True)
    arrays.write_array(tmp_path / "Set/HR/crop.png", np.ascontiguousarray(comparison.region.of(comparison.hr)))
    arrays.write_array(tmp_path / "results/crop.png", np.ascontiguousarray(comparison.crops[1].pixels))
    (found,) = measure([], 2, tmp_path / "Set", protocol=Protocol(border=0), results=[tmp_path / "results"])
    scores = found["sets"]["Set"]
    assert comparison.crops[1].psnr == pytest.approx(scores["psnr_y"], abs=1e-6)
    assert comparison.crops[1].ssim == pytest.approx(scores["ssim_y"], abs=1e-6)


def test_ssim_of_the_crop_is_scikit_images() -> None:
    comparison = example(2, Region(31, 17, 47, 39))
    coefficients = np.array([65.481, 128.553, 24.966]) / 255
    truth, found = (
        picture @ coefficients for picture in (comparison.region.of(comparison.hr), comparison.crops[1].pixels)
    )
    _, full = structural_similarity(
        truth, found, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert comparison.crops[1].ssim == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-4)


def test_region_is_found_where_the_networks_differ() -> None:
    hr = np.full((120, 160, 3), 100, np.uint8)
    bicubic, first, second = hr.copy(), hr.copy(), hr.copy()
    bicubic[:40, :40] = 250  # bicubic differs most, but here from two networks that agree
    second[70:90, 110:130] = 130
    found = compare(hr, {"Bicubic": bicubic, "A": first, "B": second}).region
    assert found.left <= 110 < 130 <= found.left + found.width
    assert found.top <= 70 < 90 <= found.top + found.height
    only = compare(hr, {"Bicubic": bicubic, "A": first}).region
    assert only.left + only.width <= 40
    assert only.top + only.height <= 40


def test_most_different_is_the_greatest_sum_of_variances() -> None:
    planes = np.random.default_rng(1).random((3, 20, 30))
    variance = planes.var(0)
    best = max((variance[top : top + 5, left : left + 7].sum(), left, top) for top in range(16) for left in range(24))
    assert most_different(list(planes), 7, 5) == Region(*best[1:], 7, 5)


def test_create_writes_the_figure_of_a_file(tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "astronaut.png", astronaut())
    network = small_network(tmp_path / "small.safetensors", 2)
    other = tmp_path / "other.png"
    arrays.write_array(other, astronaut())
    models = [network, f"Perfect={other}"]
    found = finish(creating(tmp_path / "astronaut.png", models, 2, Region(8, 8, 40, 40), tmp_path / "figure.pdf"))
    assert [crop.name for crop in found.crops] == ["Bicubic", "small", "Perfect"]
    assert found.crops[2].psnr == np.inf
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    hr = astronaut()
    with pytest.raises(BadArgumentError, match=r"A: expected an output of HR's shape"):
        compare(hr, {"A": hr[:-1]})
    with pytest.raises(BadArgumentError, match="inside 240x180 pixels, got 200 0 41 20"):
        compare(hr, {"A": hr}, Region(200, 0, 41, 20))
    with pytest.raises(BadArgumentError, match="at least 11 pixels"):
        compare(hr, {"A": hr}, Region(0, 0, 40, 10))
    with pytest.raises(BadArgumentError, match="one side at most 4 times the other, got 12x60"):
        compare(hr, {"A": hr}, Region(0, 0, 12, 60))
    with pytest.raises(BadArgumentError, match="two outputs or more"):
        compare(hr, {"A": hr})
    with pytest.raises(BadArgumentError, match="found tiny twice"):
        by_label(["tiny=a", "tiny=b"])
    arrays.write_array(tmp_path / "deep.png", hr.astype(np.uint16) * 257)
    with pytest.raises(BadImageError, match=r"deep.png.*expected 8 bits"):
        read_pair(tmp_path / "deep.png", 2)
    with pytest.raises(BadImageError, match=r"deep.png.*expected 8 bits"):
        output_of(str(tmp_path / "deep.png"), 2, hr)


def test_grey_pictures_become_rgb(tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "grey.png", astronaut()[:31, :33, :1])
    hr, lr = read_pair(tmp_path / "grey.png", 4)
    assert (hr.shape, lr.shape) == ((28, 32, 3), (7, 8, 3))
    assert (hr[..., 0] == hr[..., 2]).all()
