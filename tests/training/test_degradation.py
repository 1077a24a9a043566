"""Degradations of training patches: each part against a second opinion, and all of it a function of seed and step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.evaluation import lossy
from lamnet.evaluation.resize import imresize
from lamnet.training import degradation, noise, reduction
from lamnet.training.degradation import MARGIN, Degradation, degrade
from lamnet.training.degraded import DegradedSampler
from lamnet.training.preparation import prepare
from lamnet.training.prepared import PreparedSet
from support.sets import photographs, prepared

FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
PHOTO = degradation.photo()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return PreparedSet.open(prepared(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def patch() -> np.ndarray:
    """(96, 96, 3), smooth noise; 8 LR pixels and a margin at x4."""
    smooth = gaussian_filter(np.random.default_rng(0).normal(0, 1, (96, 96, 3)), (3, 3, 0))
    return (128 + 30 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("scale", [2, 4])
def test_clean_is_what_the_prepared_set_holds(tmp_path: Path, scale: int) -> None:
    side = (8 + 2 * MARGIN) * scale
    opened = prepare(photographs(tmp_path / "in", [(side + 16, side + 24)]), tmp_path / "out", (2, 4))
    hr = np.fromfile(opened.file(1), np.uint8).reshape(side + 16, side + 24, 3)
    lr = np.fromfile(opened.file(scale), np.uint8).reshape((side + 16) // scale, (side + 24) // scale, 3)
    for top, left in ((0, 0), (8, 16), (16, 24)):
        made = degrade(hr[top : top + side, left : left + side], scale, degradation.clean(), generator())
        y, x = top // scale + MARGIN, left // scale + MARGIN
        np.testing.assert_array_equal(made, lr[y : y + 8, x : x + 8])


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("new", [24, 31, 48])
def test_filters_are_those_of_pillow(patch: np.ndarray, name: reduction.Filter, new: int) -> None:
    made = reduction.reduce(patch, None, reduction.resizing(name, 96, new))
    theirs = np.asarray(Image.fromarray(patch).resize((new, new), FILTERS[name]), np.float64)
    assert np.abs(made - theirs)[1:-1, 1:-1].max() < 1.6  # Pillow rounds between the axes


@pytest.mark.parametrize("deviation", [0.4, 1.2, 2.4])
def test_blur_is_a_gaussian(patch: np.ndarray, deviation: float) -> None:
    same = np.eye(96, dtype=np.float32)
    made = reduction.reduce(patch, reduction.gaussian(deviation, deviation, 0.3), same)
    exact = gaussian_filter(
        patch.astype(float), (deviation, deviation, 0), mode="nearest", radius=int(np.ceil(3 * deviation))
    )
    assert np.abs(made - exact).max() < 0.01


def test_a_kernel_has_its_deviations_along_its_axes() -> None:
    kernel = reduction.gaussian(3.0, 1.0, np.pi / 6)
    y, x = np.indices(kernel.shape) - len(kernel) // 2
    covariance = [[(kernel * a * b).sum() for a in (x, y)] for b in (x, y)]
    values, vectors = np.linalg.eigh(covariance)
    np.testing.assert_allclose(values**0.5, [1, 3], rtol=0.03)
    assert abs(vectors[1, 1] / vectors[0, 1]) == pytest.approx(np.tan(np.pi / 6), rel=0.03)
    assert vectors[0, 1] * vectors[1, 1] > 0  # y runs downwards


def test_blur_along_an_angle_is_the_convolution(patch: np.ndarray) -> None:
    kernel = reduction.gaussian(3.0, 1.0, 0.7)
    made = reduction.reduce(patch, kernel, np.eye(96, dtype=np.float32))
    reach = len(kernel) // 2
    padded = np.pad(patch.astype(float), ((reach, reach), (reach, reach), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape, (0, 1))
    assert np.abs(made - (windows * kernel).sum((-2, -1))).max() < 1.5


def test_blur_and_filters_keep_what_is_flat() -> None:
    flat = np.full((96, 96, 3), 200, np.uint8)
    for name in reduction.FILTERS:
        matrix = reduction.resizing(name, 61, 24) @ reduction.resizing(name, 96, 61)
        np.testing.assert_allclose(reduction.reduce(flat, reduction.gaussian(4, 1, 0.5), matrix), 200, atol=0.01)


@pytest.mark.parametrize("grey", [False, True])
def test_gaussian_noise_has_its_deviation(grey: bool) -> None:
    added = noise.gaussian(np.full((300, 300, 3), 90, np.uint8), 6, grey, generator()) - 90
    np.testing.assert_allclose(added.std((0, 1)), 6, rtol=0.02)
    assert (np.corrcoef(added.reshape(-1, 3).T)[0, 1] > 0.99) == grey


@pytest.mark.parametrize("grey", [False, True])
def test_poisson_noise_grows_with_the_root_of_the_value(grey: bool) -> None:
    for level in (25, 102, 255):
        flat = np.full((300, 300, 3), level, np.uint8)
        added = noise.poisson(flat, 8, grey, generator()) - level
        np.testing.assert_allclose(added.std((0, 1)), 8 * (level / 255) ** 0.5, rtol=0.02)
        np.testing.assert_allclose(added.mean((0, 1)), 0, atol=0.1)
        assert (np.corrcoef(added.reshape(-1, 3).T)[0, 1] > 0.99) == grey


def test_poisson_noise_leaves_black(patch: np.ndarray) -> None:
    black = np.zeros_like(patch)
    np.testing.assert_array_equal(noise.poisson(black, 8, False, generator()), 0)


def test_the_blocks_of_jpeg_are_anywhere() -> None:
    """Under quality 1 a slope becomes steps, from one block to the next: eight pixels apart, at every offset."""
    slope = np.broadcast_to(np.arange(128, dtype=np.uint8)[:, None, None], (128, 128, 3))
    how = Degradation(clean=0, compression=1, quality=(1, 1))
    offsets: set[int] = set()
    for seed in range(60):
        jumps = np.abs(np.diff(degrade(slope, 2, how, generator(seed))[..., 1].astype(int), axis=0)).mean(1)
        (places,) = np.nonzero(jumps)
        assert len(set(places % 8)) == 1
        offsets.add(int(places[0]) % 8)
    assert offsets == set(range(8))


def test_a_second_compression_has_another_grid(patch: np.ndarray) -> None:
    how = Degradation(clean=0, compression=1, quality=(30, 30))
    once = [degrade(patch, 2, how, generator(seed)) for seed in range(4)]
    twice = [degrade(patch, 2, replace(how, twice=1.0), generator(seed)) for seed in range(4)]
    assert all((a != b).any() for a, b in zip(once, twice, strict=True))


@pytest.mark.parametrize("part", ["blur", "noise", "compression", "other_filters", "in_parts"])
def test_every_part_does_something(patch: np.ndarray, part: str) -> None:
    base = Degradation(clean=0)
    plain = degrade(patch, 2, base, generator(3)).astype(int)
    other = degrade(patch, 2, replace(base, **{part: 1.0}), generator(3)).astype(int)
    assert np.abs(plain - other).max() >= 1
    assert np.abs(plain - other).mean() < 30


def test_drawn_patches_get_no_blur_and_no_noise(patch: np.ndarray) -> None:
    how = Degradation(clean=0, drawn_clean=0, blur=1, noise=1)
    plain = degrade(patch, 2, Degradation(clean=0), generator(3)).astype(int)
    assert np.abs(degrade(patch, 2, how, generator(3), drawn=True) - plain).max() == 0
    assert np.abs(degrade(patch, 2, how, generator(3)) - plain).max() > 3


def test_alone_is_only_one_kind_in_proportion_to_the_shares() -> None:
    how = Degradation(clean=0, alone=1, blur=0.5, noise=0.1, compression=0.4)
    drawn = [degradation._only_one(how, generator(seed)) for seed in range(500)]
    counts = [sum(getattr(one, kind) for one in drawn) for kind in ("blur", "noise", "compression")]
    assert sum(counts) == 500
    assert np.abs(np.array(counts) - (250, 50, 200)).max() < 35


@pytest.mark.parametrize("part", ["blur", "noise", "compression"])
def test_alone_with_one_kind_is_that_kind(patch: np.ndarray, part: str) -> None:
    how = replace(Degradation(clean=0, alone=1), **{part: 0.01})
    plain = degrade(patch, 2, Degradation(clean=0), generator(3)).astype(int)
    assert np.abs(degrade(patch, 2, how, generator(3)) - plain).max() >= 1
    assert np.array_equal(degrade(patch, 2, replace(how, **{part: 0.0}), generator(3)), plain)


def test_together_is_all_three_kinds_for_those_that_are_not_alone(
    patch: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Degradation] = []
    reduced = degradation._reduced

    def watched(hr: np.ndarray, scale: int, how: Degradation, *rest: object, **options: bool) -> np.ndarray:
        seen.append(how)
        return reduced(hr, scale, how, *rest, **options)

    monkeypatch.setattr(degradation, "_reduced", watched)
    how = Degradation(clean=0, drawn_clean=0, alone=0.5, together=0.6, blur=0.2, noise=0.1, compression=0.4)
    for seed in range(300):
        degrade(patch, 2, how, generator(seed))
    kinds = [sum((one.blur, one.noise, one.compression)) for one in seen]
    counts = [sum(abs(kind - n) < 1e-9 for kind in kinds) for n in (1, 3, 0.7)]  # alone, together, as the shares say
    assert sum(counts) == 300
    assert np.abs(np.array(counts) - (150, 90, 60)).max() < 35
    for seed in range(300, 310):
        degrade(patch, 2, how, generator(seed), drawn=True)
    assert seen[300:] == [how] * 10


@pytest.mark.thorough
def test_a_share_is_clean(patch: np.ndarray) -> None:
    bicubic = degrade(patch, 4, degradation.clean(), generator())
    how = replace(PHOTO, clean=0.3, blur=0, other_filters=0, in_parts=0, noise=1)
    same = sum(np.array_equal(degrade(patch, 4, how, generator(seed)), bicubic) for seed in range(400))
    assert 90 <= same <= 150


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_shapes_and_types(scale: int) -> None:
    side = (12 + 2 * MARGIN) * scale
    hr = generator().integers(0, 256, (side, side, 3), np.uint8)
    for seed in range(20):
        lr = degrade(hr, scale, PHOTO, generator(seed))
        assert (lr.shape, lr.dtype) == ((12, 12, 3), np.uint8)


def test_degraded_patches_stay_in_place(patch: np.ndarray) -> None:
    """No part moves the picture: the mean over many degradations is near what is clean, nearer than a shift of a pixel."""
    patch = np.repeat(patch[..., :1], 3, 2)  # grey: chroma is made smaller anyway
    clean = degrade(patch, 2, degradation.clean(), generator()).astype(float)
    mean = np.mean([degrade(patch, 2, replace(PHOTO, clean=0), generator(seed)) for seed in range(200)], 0)
    still = np.abs(mean - clean)[1:-1, 1:-1].mean()
    for shift in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        assert still < 0.4 * np.abs(np.roll(mean, shift, (0, 1)) - clean)[1:-1, 1:-1].mean()


def test_a_batch_is_a_function_of_seed_and_step(data: PreparedSet) -> None:
    first, again = (DegradedSampler(data, PHOTO, 4, 8, 4, seed=3) for _ in range(2))
    again.draw(0)
    for mine, other in zip(first.draw(7), again.draw(7), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert (first.draw(8)[0] != first.draw(7)[0]).any()
    assert (DegradedSampler(data, PHOTO, 4, 8, 4, seed=4).draw(7)[0] != first.draw(7)[0]).any()


def test_workers_share_the_batch_of_one_process(data: PreparedSet) -> None:
    sampler = DegradedSampler(data, PHOTO, 4, 8, 6, seed=0)
    parts = [sampler.draw(5, part, 3) for part in range(3)]
    for side, whole in enumerate(sampler.draw(5)):
        np.testing.assert_array_equal(np.concatenate([part[side] for part in parts]), whole)


@pytest.mark.thorough
def test_every_symmetry_and_place_is_drawn(tmp_path: Path) -> None:
    opened = prepare(photographs(tmp_path / "in", [(48, 48)]), tmp_path / "out", (2,))
    drawn = DegradedSampler(opened, degradation.clean(), 2, 24, 400, seed=0).draw(0)
    hr = np.fromfile(opened.file(1), np.uint8).reshape(48, 48, 3)
    turned = [np.rot90(side, k) for side in (hr, hr[:, ::-1]) for k in range(4)]
    bicubic = {imresize(side, 1 / 2, "mirror").transpose(2, 0, 1).tobytes() for side in turned}
    assert {patch.tobytes() for patch in drawn[0]} == bicubic
    assert {patch.tobytes() for patch in drawn[1]} == {side.transpose(2, 0, 1).tobytes() for side in turned}


def test_a_set_without_the_scale_will_do_but_not_too_small_pictures(data: PreparedSet) -> None:
    assert DegradedSampler(data, PHOTO, 3, 8, 2, 0).draw(0)[0].shape == (2, 3, 8, 8)
    with pytest.raises(
        BadDataError, match=r"at least 128x128 pixels for LR patches of 32x32 at x4, the largest allows 18x18"
    ):
        DegradedSampler(data, PHOTO, 4, 32, 1, 0)


def test_names_and_ranges_are_checked() -> None:
    assert degradation.degradation_named("clean") == Degradation()
    assert degradation.degradation_named("photo") == PHOTO
    with pytest.raises(BadArgumentError, match="degradation: expected clean or photo, got foto"):
        degradation.degradation_named("foto")
    with pytest.raises(BadArgumentError, match=r"noise: expected a share from 0 to 1, got 1.5"):
        Degradation(noise=1.5)
    with pytest.raises(BadArgumentError, match=r"quality: expected two rising numbers from 1 to 100, got \(90, 40\)"):
        Degradation(quality=(90, 40))
    with pytest.raises(BadArgumentError, match=r"blur_deviation: expected two rising numbers from 0.01 to 1.2"):
        Degradation(blur_deviation=(0.1, 4))


def test_photo_is_weak() -> None:
    """Users of photo networks ask for clean pictures to stay clean."""
    nothing = (1 - PHOTO.alone) * (1 - PHOTO.blur) * (1 - PHOTO.noise) * (1 - PHOTO.compression)
    assert PHOTO.clean + (1 - PHOTO.clean) * nothing > 0.1
    assert PHOTO.noise_deviation[1] <= 12
    assert PHOTO.quality[0] >= 32
    assert degradation.clean().clean == 1


def test_lossy_keeps_the_shape(patch: np.ndarray) -> None:
    for made in (lossy.jpeg(patch[:13, :9], 60), lossy.webp(patch[:13, :9], 60)):
        assert made.shape == (13, 9, 3)
