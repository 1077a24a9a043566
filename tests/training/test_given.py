"""Pairs of LR and HR that somebody has: which belong together, which fit, and what is recorded of them."""

from __future__ import annotations

import hashlib
import re
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.evaluation.benchmarks import find_sets
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.media import arrays
from lamnet.training import preparation as module
from lamnet.training.given import Given, fit
from lamnet.training.loop import train
from lamnet.training.preparation import prepare
from lamnet.training.prepared import BICUBIC, PreparedSet
from support.sets import photographs, recipe


def _picture(seed: int, height: int = 160, width: int = 192) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = sum(size * gaussian_filter(rng.normal(0, 1, (height, width, 3)), (size, size, 0)) for size in (1, 3, 9))
    return (128 + 40 * noise / noise.std()).clip(0, 255).astype(np.uint8)


def _moved(picture: np.ndarray, down: float, right: float) -> np.ndarray:
    return shift(picture.astype(float), (down, right, 0), order=3, mode="nearest").clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("moved", [(0, 0), (0.3, -0.2), (-0.6, 0.6), (1.3, -2.6)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_shifts_are_found_also_under_another_exposure_and_noise(scale: int, moved: tuple[float, float]) -> None:
    hr = _picture(0, 48 * scale, 60 * scale)
    lr = 0.6 * _moved(imresize(hr, Fraction(1, scale)), *moved) + 30
    found = fit(hr, (lr + np.random.default_rng(1).normal(0, 4, lr.shape)).astype(np.uint8), scale)
    assert (found.down, found.right) == pytest.approx(moved, abs=0.1)
    assert found.likeness > 0.9


@pytest.mark.thorough
def test_photographs_lie_where_they_are_said_to_lie(shared: Path) -> None:
    """Shifts are measured to 0.1 pixels on Set14, for the upper left pixels of HR as LR too; turned pictures differ."""
    (benchmark,) = find_sets(shared / "data" / "benchmarks", 4, ["Set14"])
    for pair in benchmark.pairs:
        hr = _rgb(pair.hr)
        lr = imresize(hr, Fraction(1, 4))
        for moved in ((0.4, -0.4), (0.6, 0.0), (1.3, 2.6)):
            found = fit(hr, _moved(lr, *moved), 4)
            assert (found.down, found.right) == pytest.approx(moved, abs=0.1)
        nearest = fit(hr, hr[::4, ::4].copy(), 4)
        assert (nearest.down, nearest.right) == pytest.approx((0.375, 0.375), abs=0.1)
        assert nearest.likeness > 0.95
        assert fit(hr, lr[::-1, ::-1].copy(), 4).likeness < 0.5


def _rgb(path: Path) -> np.ndarray:
    hr = crop_to_multiple(arrays.read_array(path), 4)
    return hr.repeat(3, 2) if hr.shape[2] == 1 else hr


def test_other_pictures_are_not_alike_and_flat_ones_tell_nothing() -> None:
    hr = _picture(0)
    lr = imresize(hr, Fraction(1, 4))
    for other in (imresize(_picture(1), Fraction(1, 4)), lr[::-1].copy(), 255 - lr):
        assert fit(hr, other, 4).likeness < 0.5
    flat = np.full((160, 192, 3), 9, np.uint8)
    assert fit(flat, flat[:40, :48], 4).likeness == 1
    assert fit(flat, flat[:40, :48] + np.uint8([0, 0, 99]), 4).likeness == 0


def test_red_and_blue_exchanged_are_not_alike() -> None:
    """As OpenCV reads pictures: luma alone says little."""
    hr = np.repeat(_picture(0)[..., :1] // 2 + 60, 3, 2)
    hr[..., 0] = np.clip(hr[..., 0] + np.linspace(-50, 50, hr.shape[1]), 0, 255)
    lr = imresize(hr, Fraction(1, 4))
    assert fit(hr, lr, 4).likeness > 0.95
    assert fit(hr, lr[..., ::-1].copy(), 4).likeness < 0.5
    grey = np.repeat(lr[..., 1:2], 3, 2)
    assert fit(hr, grey, 4).likeness > 0.5


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("a.png", "a.jpg"),
        ("A.PNG", "a.png"),
        ("0001.png", "0001x4.png"),
        ("0001.png", "X4/0001x4.png"),
        ("b/a.png", "b/a_x4.png"),
        ("a_HR.png", "a_LR.png"),
        ("a_HR_x4.png", "a_LRBI_x4.png"),
        ("img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png"),
        ("a_LR4.png", "a_LR4.png"),
        ("a.b.png", "a.b.png"),
    ],
)
def test_names_that_belong_together(hr: str, lr: str) -> None:
    found = Given.find(Path("lr"), 4, [hr], [lr])
    assert (found.files, found.unpaired) == ({hr: Path("lr") / lr}, ())


def test_names_that_do_not_belong_together_are_listed() -> None:
    found = Given.find(Path("lr"), 4, ["a.png", "b.png"], ["ax2.png", "b.png", "c/b.png"])
    assert found.files == {"b.png": Path("lr/b.png")}
    assert found.unpaired == ("ax2.png", "c/b.png")
    assert Given.find(Path("lr"), 4, ["a.png"], ["X2/ax2.png", "X4/ax4.png"]).unpaired == ()
    twice = Given.find(Path("lr"), 4, ["a.png"], ["a.jpg", "a.png", "ax4.png"])
    assert twice.files == {"a.png": Path("lr/a.jpg")}
    assert twice.unpaired == ("a.png", "ax4.png")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """HR and LR by area, which is nobody's bicubic; one pair is shifted by a third, the others each do not fit."""
    hr, lr = tmp_path / "hr", tmp_path / "lr"
    hr.mkdir()
    lr.mkdir()
    for seed, name in enumerate("abcdefg"):
        picture = _picture(seed, 160, 193 if name == "b" else 192)
        small = picture[:, :192].reshape(40, 4, 48, 4, 3).mean((1, 3)).round().astype(np.uint8)
        if name == "c":
            small = _moved(small, 0.0, 0.33)
        if name == "d":
            small = _moved(small, 0.9, 0.0)
        if name == "e":
            small = small[:, :47]
        if name == "f":
            small = small[::-1]
        arrays.write_array(hr / f"{name}.png", picture)
        if name != "g":
            arrays.write_array(lr / f"{name}x4.png", np.ascontiguousarray(small))
    arrays.write_array(lr / "zx4.png", _picture(9, 40, 48))
    return hr, lr


def test_given_lr_is_taken_and_misfits_are_skipped_with_their_reason(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    hr, lr = folders
    opened = prepare(hr, tmp_path / "set", (4,), lr)
    assert [(photo.name, photo.height, photo.width) for photo in opened.photos] == [
        ("a.png", 160, 192),
        ("b.png", 160, 192),
        ("c.png", 160, 192),
    ]
    pixels, offsets = np.fromfile(opened.file(4), np.uint8), opened.offsets(4)
    for index, name in enumerate("abc"):
        expected = arrays.read_array(lr / f"{name}x4.png")
        np.testing.assert_array_equal(pixels[offsets[index] : offsets[index + 1]].reshape(expected.shape), expected)
    none, cropped, shifted = (photo.note for photo in opened.photos)
    assert none == ""
    assert cropped == "HR of 193x160 was cropped to 192x160"
    assert shifted.startswith("LR is shifted by +0.3")
    shift, size, other, absent = (photo.reason or "" for photo in opened.skipped)
    assert re.search(r"\+0\.(8|9)\d down, expected at most 0.5", shift)
    assert size == "expected LR of 48x40 for HR of 192x160 at x4, found 47x40"
    assert other.startswith("LR shows something else than HR")
    assert absent == f"found no LR picture for it in {lr}"
    assert (opened.lr, opened.unpaired) == (f"given: {lr}", ("zx4.png",))


@pytest.mark.thorough
def test_the_card_says_what_the_index_says(folders: tuple[Path, Path], tmp_path: Path) -> None:
    hr, lr = folders
    prepare(hr, tmp_path / "set", (4,), lr)
    train(recipe(steps=1), tmp_path / "set", tmp_path / "run")
    assert f"| degradation | given: {lr} |" in (tmp_path / "run" / "card.md").read_text()


def test_other_lr_is_another_set(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """The other LR has the same names, sizes and lengths of files."""
    hr, lr = folders
    first = prepare(hr, tmp_path / "set", (4,), lr)
    assert prepare(hr, tmp_path / "set", (4,), lr) == first
    with pytest.raises(BadDataError, match=r"holds a set whose LR is given: .*; expected bicubic"):
        prepare(hr, tmp_path / "set", (4,))
    shutil.copytree(lr, tmp_path / "lr2")
    arrays.write_array(tmp_path / "lr2" / "ax4.png", 255 - (255 - arrays.read_array(lr / "ax4.png")) // 2)
    second = prepare(hr, tmp_path / "set2", (4,), tmp_path / "lr2")
    assert [photo.name for photo in first.photos] == [photo.name for photo in second.photos]
    assert first.fingerprint != second.fingerprint


def test_sets_without_hashes_open_with_the_fingerprint_that_they_had(tmp_path: Path) -> None:
    prepare(photographs(tmp_path / "in", [(60, 60)]), tmp_path / "set", (2,))
    index = tmp_path / "set" / "index.json"
    text = index.read_text()
    pixels = PreparedSet.open(tmp_path / "set").photos[0].pixels
    bare = text.replace(f'"pixels": "{pixels}"', '"pixels": ""')
    index.write_text("\n".join(line for line in bare.splitlines() if not line.startswith(' "lr"')))
    opened = PreparedSet.open(tmp_path / "set")
    length = (tmp_path / "in" / "p0.png").stat().st_size
    assert opened.lr == BICUBIC
    listed = f'[["p0.png", 60, 60, {length}]]'
    assert opened.fingerprint == f"1 ({hashlib.sha256(listed.encode()).hexdigest()[:12]})"


def test_what_cannot_be_paired_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    hr, lr = folders
    for scales, folder, error, words in (
        ((2, 4), lr, BadArgumentError, "scales: expected the one of lr, got 2, 4"),
        ((4,), hr, BadArgumentError, "lr: expected another folder than that of HR"),
        ((4,), tmp_path / "absent", BadDataError, "absent: expected a folder of photographs, found none"),
    ):
        with pytest.raises(error, match=words):
            prepare(hr, tmp_path / "set", scales, folder)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("side", [6, 7, 11])
def test_lr_too_small_to_be_compared_says_so(tmp_path: Path, side: int) -> None:
    for place in ("hr", "lr"):
        (tmp_path / place).mkdir()
    for number, height in enumerate((side, 12)):
        hr = _picture(number, 8 * height, 96)
        arrays.write_array(tmp_path / "hr" / f"{number}.png", hr)
        arrays.write_array(tmp_path / "lr" / f"{number}.png", imresize(hr, Fraction(1, 8)))
    opened = prepare(tmp_path / "hr", tmp_path / "set", (8,), tmp_path / "lr")
    assert [(photo.name, photo.note) for photo in opened.photos] == [("1.png", "")]
    (small,) = opened.skipped
    assert small.reason == f"expected LR sides of at least 12 pixels to compare it with HR, found 12x{side}"


def test_a_pair_beyond_memory_is_skipped(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hr, lr = folders
    read = module._rgb8

    def full(path: Path) -> np.ndarray:
        if path.name in ("a.png", "bx4.png"):
            raise MemoryError
        return read(path)

    monkeypatch.setattr(module, "_rgb8", full)
    opened = prepare(hr, tmp_path / "set", (4,), lr)
    assert [photo.name for photo in opened.photos] == ["c.png"]
    assert [photo.reason for photo in opened.skipped[:2]] == ["expected a picture that fits into memory"] * 2
