"""Photographs of `make gpu`: coding them, packing them, and patches of them on the device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu import codec, pack
from gpu.patches import Ahead, Degraded, Drawn, Resident
from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.evaluation.metrics import to_y
from lamnet.training.degradation import photo
from lamnet.training.degraded import DegradedSampler
from lamnet.training.pairs import PatchSampler
from lamnet.training.preparation import prepare
from lamnet.training.prepared import PreparedSet
from lamnet.training.recipes import recipe_named
from support.sets import photographs

CPU = torch.device("cpu")


def photograph(height: int, width: int, noise: float, seed: int = 0) -> NDArray[np.uint8]:
    """A slope of colours with noise on it."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(20, 230, width)[None, :, None] * np.array([1.0, 0.8, 0.6]) + np.zeros((height, 1, 1))
    return (slope + rng.normal(0, noise, (height, width, 3))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(48, 64), (37, 53), (8, 8), (1, 1)])
def test_a_photograph_comes_back_as_it_was_within_its_steps(size: tuple[int, int]) -> None:
    pixels = photograph(*size, noise=6)
    coded = codec.encode(pixels)
    back = codec.decode(coded, *size)
    assert back.shape == pixels.shape
    assert np.abs(back.astype(float) - pixels).mean() < 4
    assert np.abs(to_y(back) - to_y(pixels)).mean() < 2
    assert len(coded) < 0.5 * pixels.size + 64


def test_coefficients_beyond_a_byte_come_back() -> None:
    pixels = (np.indices((40, 24)).sum(0) // 4 % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    assert np.abs(codec.decode(codec.encode(pixels), 40, 24).astype(int) - pixels).max() <= 12


@pytest.mark.parametrize("damaged", [b"", b"garbage", codec.encode(np.zeros((16, 16, 3), np.uint8))])
def test_other_bytes_than_a_photographs_are_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        codec.decode(damaged, 64, 64)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photographs of different sizes, at x4."""
    folder = tmp_path_factory.mktemp("gpu")
    sizes = [(96, 72), (72, 96), (64, 64), (100, 60), (48, 120)]
    prepare(photographs(folder / "photos", sizes), folder / "set", (4,))
    return folder / "set"


@pytest.mark.thorough
def test_a_pack_holds_what_there_is_to_learn_and_fits_its_limit(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "HARDEST", 0.2)
    data = PreparedSet.open(prepared)
    _, second, third, *flat = sorted(range(5), key=lambda place: -pack._error(data, place, 4))
    order = pack._ranked(data, 4)
    assert sorted(order[:2]) == sorted([second, third])
    assert order[2:] == flat
    names = [data.photos[place].name for place in order]
    whole = pack.write(tmp_path / "whole", prepared, prepared, 10**6, 4)
    assert [one.name for one in whole.entries if not one.watched] == names
    assert sum(one.watched for one in whole.entries) == 5
    limit = (tmp_path / "whole").stat().st_size - 1
    less = pack.write(tmp_path / "less", prepared, prepared, limit, 4)
    assert [one.name for one in less.entries if not one.watched] == names[:-1]
    assert (tmp_path / "less").stat().st_size <= limit
    with pytest.raises(BadArgumentError, match="megabytes: expected room"):
        pack.write(tmp_path / "none", prepared, None, 500, 4)


@pytest.mark.thorough
def test_a_pack_becomes_a_prepared_set_once(prepared: Path, tmp_path: Path) -> None:
    made = pack.write(tmp_path / "pack", prepared, None, 10**6, 4)
    got = pack.unpack(made, tmp_path / "set", [4])
    written = (tmp_path / "set" / "hr.u8").stat().st_mtime_ns
    hr = np.fromfile(got.file(1), np.uint8)
    assert (hr == np.concatenate([pixels.ravel() for _, pixels in made.photographs(watched=False)])).all()
    assert {(photo.name, photo.height) for photo in got.photos} == {(one.name, one.height) for one in made.entries}
    pack.unpack(made, tmp_path / "set", [4])
    assert (tmp_path / "set" / "hr.u8").stat().st_mtime_ns == written


@pytest.mark.parametrize("keep", [0, 7, 200, -1])
def test_a_pack_that_is_cut_off_is_named(prepared: Path, tmp_path: Path, keep: int) -> None:
    pack.write(tmp_path / "pack", prepared, None, 10**6, 4)
    (tmp_path / "cut").write_bytes((tmp_path / "pack").read_bytes()[:keep])
    with pytest.raises(BadDataError, match="cut: expected a pack of photographs, found"):
        pack.Pack.open(tmp_path / "cut")


def test_patches_on_the_device_are_those_of_the_sampler(prepared: Path) -> None:
    data = PreparedSet.open(prepared)
    sampler = PatchSampler(data, 4, 9, 16, 3)
    resident = Ahead(Resident(data, sampler, CPU), CPU)
    for step in (0, 0, 1, 77):
        for got, expected in zip(resident.take(step), sampler.draw(step), strict=True):
            assert (got.numpy() == expected).all()


def test_patches_drawn_on_the_device_are_all_pairs_and_some_negatives(prepared: Path) -> None:
    data = PreparedSet.open(prepared)
    sampler = PatchSampler(data, 4, 9, 1, 3)
    places = [
        (*sampler.positions.at(position), turn) for position in range(sampler.positions.count) for turn in range(8)
    ]
    lr_of = {hr.tobytes(): lr.tobytes() for lr, hr in (sampler._pair(*place) for place in places)}
    drawn = Drawn(data, replace(recipe_named("tiny_x4_stable"), patch=9, batch=4000, negative=0.25), CPU)
    lr, hr = (np.ascontiguousarray(side.permute(0, 2, 3, 1).numpy()) for side in drawn.take())
    positives = {place for place, one in enumerate(hr) if one.tobytes() in lr_of}
    assert 2800 < len(positives) < 3200
    seen = set[bytes]()
    for place, pair in enumerate(zip(lr, hr, strict=True)):
        of_lr, of_hr = pair if place in positives else (255 - side for side in pair)
        assert lr_of[of_hr.tobytes()] == of_lr.tobytes()
        seen.add(of_hr.tobytes())
    assert len(seen) > 0.5 * len(lr_of)  # drawn evenly it is 0.57 of them
    assert (hr != drawn.take()[1].permute(0, 2, 3, 1).numpy()).any()


def test_degraded_patches_of_many_processes_are_those_of_the_sampler(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    sampler = DegradedSampler(PreparedSet.open(prepared), photo(), 4, 9, 4, 3)
    loader = Ahead(Degraded(sampler, CPU), CPU)
    for step in (5, 6, 7, 7, 2):  # in order, once more, and back
        for got, expected in zip(loader.take(step), sampler.draw(step), strict=True):
            assert (got.numpy() == expected).all()
