"""Sets of pairs that somebody has: which fit, and which are skipped."""

from __future__ import annotations

import hashlib
import itertools
import re
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.evaluation.resize import imresize
from lamnet.media import arrays
from lamnet.training import conversion, reading
from lamnet.training.loop import train
from lamnet.training.preparation import prepare
from lamnet.training.prepared import BICUBIC, PreparedSet
from support.pairs import picture, some_pairs
from support.sets import photographs, recipe


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return some_pairs(tmp_path)


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
        ((2, 4), lr, BadArgumentError, "scales: expected the one scale of the LR that is given, got 2, 4"),
        ((4,), hr, BadArgumentError, "lr: expected another folder than that of HR"),
        ((4,), tmp_path / "absent", BadDataError, "absent: expected a folder of photographs, found none"),
    ):
        with pytest.raises(error, match=words):
            prepare(hr, tmp_path / "set", scales, folder)
    for given, same in ((lr, hr), (lr, lr), (None, hr)):
        before = sorted(same.iterdir())
        with pytest.raises(BadArgumentError, match="out: expected another folder than that of the photographs"):
            prepare(hr, same, (4,), given)
        assert sorted(same.iterdir()) == before


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("side", [6, 7, 11])
def test_lr_too_small_to_be_compared_says_so(tmp_path: Path, side: int) -> None:
    for place in ("hr", "lr"):
        (tmp_path / place).mkdir()
    for number, height in enumerate((side, 12)):
        hr = picture(number, 8 * height, 96)
        arrays.write_array(tmp_path / "hr" / f"{number}.png", hr)
        arrays.write_array(tmp_path / "lr" / f"{number}.png", imresize(hr, Fraction(1, 8)))
    opened = prepare(tmp_path / "hr", tmp_path / "set", (8,), tmp_path / "lr")
    assert [(photo.name, photo.note) for photo in opened.photos] == [("1.png", "")]
    (small,) = opened.skipped
    assert small.reason == f"expected LR sides of at least 12 pixels to compare it with HR, found 12x{side}"


@pytest.mark.parametrize(("module", "name"), [(reading, "read"), (conversion, "fit"), (conversion, "crop_to_multiple")])
def test_a_pair_beyond_memory_is_skipped(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    """Wherever in its conversion memory is used up."""
    hr, lr = folders
    inner, calls = getattr(module, name), itertools.count()

    def full(*arguments: Any) -> Any:
        if next(calls) == 0:
            raise MemoryError
        return inner(*arguments)

    monkeypatch.setattr(module, name, full)
    opened = prepare(hr, tmp_path / "set", (4,), lr)
    (large,) = (photo for photo in opened.skipped if photo.reason == "expected a picture that fits into memory")
    assert {large.name, *(photo.name for photo in opened.photos)} == {"a.png", "b.png", "c.png"}


@pytest.mark.parametrize("nested", ["hr/LR", "lr/HR"])
def test_a_folder_of_pairs_in_the_other_one_is_no_part_of_it(
    folders: tuple[Path, Path], tmp_path: Path, nested: str
) -> None:
    hr, lr = folders
    expected = prepare(hr, tmp_path / "expected", (4,), lr)
    inner = tmp_path / nested
    (lr if nested == "hr/LR" else hr).rename(inner)
    hr, lr = (hr, inner) if nested == "hr/LR" else (inner, lr)
    opened = prepare(hr, tmp_path / "set", (4,), lr)
    assert (opened.photos, opened.unpaired) == (expected.photos, expected.unpaired)
    assert [photo.name for photo in opened.skipped] == [photo.name for photo in expected.skipped]


def test_results_of_photographs_are_no_photographs(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(96, 96), (60, 60), (60, 60), (60, 60), (60, 60)])
    for old, new in (("p1", "p0_x2"), ("p2", "p0_640x"), ("p3", "other_x2"), ("p4", "p0_x2.gif")):
        (photos / f"{old}.png").rename(photos / f"{new}.png")
    opened = prepare(photos, tmp_path / "set", (2,))
    assert [photo.name for photo in opened.photos] == ["other_x2.png", "p0.png"]
    assert {photo.name: photo.reason for photo in opened.skipped} == dict.fromkeys(
        ("p0_640x.png", "p0_x2.gif.png", "p0_x2.png"), "is by its name the result of p0.png"
    )


def test_lr_in_the_folder_of_photographs_is_no_photograph(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(96, 96)])
    photographs(photos / "LR_x2", [(48, 48), (60, 60)])
    opened = prepare(photos, tmp_path / "set", (2,))
    assert [photo.name for photo in opened.photos] == ["LR_x2/p1.png", "p0.png"]
    assert [(photo.name, photo.reason) for photo in opened.skipped] == [
        ("LR_x2/p0.png", "lies in a folder of LR, and its HR is among the photographs too; --lr takes such pairs")
    ]
    assert prepare(photos, tmp_path / "set", (2,)) == opened
