from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamnet.base.errors import BadDataError
from lamnet.base.progress import finish
from lamnet.evaluation.benchmarks import BenchmarkSet, find_sets
from lamnet.evaluation.comparison import comparing
from lamnet.evaluation.results import find_results
from lamnet.media import arrays

NAMES = ("baby", "baby_face", "img_1", "img_10")


def write(path: Path, height: int = 24, width: int = 32, channels: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays.write_array(path, np.full((height, width, channels), 90, np.uint8))


@pytest.fixture
def sets(tmp_path: Path) -> list[BenchmarkSet]:
    for one in ("A", "B"):
        for name in NAMES:
            write(tmp_path / "data" / one / f"{name}.png", 25, 33)
    return find_sets(tmp_path / "data", 2)


@pytest.mark.parametrize(
    "pattern",
    [
        "{set}/{name}.png",
        "{set}/{name}x2.png",
        "{set}/x2/{name}_x2.png",
        "{set}/X2/{name}_SwinIR.tif",
        "{set}/{name}_my-net_x2.png",
        "{set}/{name} (2).webp",
        "{set}/{name}SR.png",
        "{set}/{name}_x2_SR.png",
        "{set}x2/{name}_net.png",
        "results-{set}/{name}_x2_SR.png",
        "x2/{set}/{name}.png",
        "visualization/{set}/{name}_SwinIR-DIV2K.png",
    ],
)
def test_results_are_found_however_they_are_called(tmp_path: Path, sets: list[BenchmarkSet], pattern: str) -> None:
    results = tmp_path / "results"
    for one in ("a", "B"):
        for name in NAMES:
            write(results / pattern.format(set=one, name=name))
    found = find_results(results, sets, 2)
    assert len(found) == 8
    for one, folder in zip(sets, ("a", "B"), strict=True):
        for pair in one.pairs:
            assert found[pair] == results / pattern.format(set=folder, name=pair.name)


def test_a_single_set_may_lie_in_the_folder_itself_with_other_scales(tmp_path: Path, sets: list[BenchmarkSet]) -> None:
    for name in NAMES:
        for scale in (2, 3, 4):
            write(tmp_path / "results" / f"{name}_net_x{scale}.png")
    found = find_results(tmp_path / "results", sets[:1], 2)
    assert {path.name for path in found.values()} == {f"{name}_net_x2.png" for name in NAMES}


def test_lr_and_hr_pictures_beside_the_results_are_left_alone(tmp_path: Path, sets: list[BenchmarkSet]) -> None:
    for name in NAMES:
        for kind in ("SR", "LR", "HR"):
            write(tmp_path / "results" / "A" / f"{name}_x2_{kind}.png")
    found = find_results(tmp_path / "results", sets[:1], 2)
    assert {path.name for path in found.values()} == {f"{name}_x2_SR.png" for name in NAMES}


def test_what_is_missing_double_or_of_another_size_is_listed(tmp_path: Path, sets: list[BenchmarkSet]) -> None:
    results = tmp_path / "results"
    for one in ("A", "B"):
        for name in NAMES:
            write(results / one / f"{name}.png")
    (results / "A" / "baby_face.png").unlink()
    write(results / "A" / "img_1.jpg")
    write(results / "B" / "baby.png", 25, 33)
    write(results / "B" / "img_1.png", channels=4)
    (results / "B" / "img_10.png").write_bytes(b"")  # damaged: left out where it is measured
    with pytest.raises(BadDataError) as caught:
        find_results(results, sets, 2)
    text = str(caught.value)
    assert "A baby_face: no result" in text
    assert "A img_1: several results, img_1.jpg and img_1.png" in text
    assert "B baby: baby.png is 33x25, expected 32x24" in text
    assert "B img_1: img_1.png has 4 channels" in text
    assert "img_10" not in text
    assert "A baby:" not in text
    assert "\n" not in text


def test_missing_folders_are_named(tmp_path: Path, sets: list[BenchmarkSet]) -> None:
    with pytest.raises(BadDataError, match="found no such folder"):
        find_results(tmp_path / "absent", sets, 2)
    (tmp_path / "results").mkdir()
    with pytest.raises(BadDataError, match="expected a folder A of results"):
        find_results(tmp_path / "results", sets, 2)


@pytest.mark.parametrize("half", ["hr", "lr"])
def test_no_result_is_wanted_of_a_picture_that_is_damaged(tmp_path: Path, half: str) -> None:
    for name in NAMES:
        write(tmp_path / "data" / "A" / "HR" / f"{name}.png")
        write(tmp_path / "data" / "A" / "LR_bicubic" / "X2" / f"{name}.png", 12, 16)
        write(tmp_path / "results" / f"{name}.png")
    sets = find_sets(tmp_path / "data", 2)
    (tmp_path / "results" / "baby.png").unlink()
    with pytest.raises(BadDataError, match=r"found A baby: no result$"):
        find_results(tmp_path / "results", sets, 2)
    damaged = tmp_path / "data" / "A" / ("HR" if half == "hr" else "LR_bicubic/X2") / "baby.png"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    found = find_results(tmp_path / "results", sets, 2)
    assert sorted(pair.name for pair in found) == sorted({*NAMES} - {"baby"})
    (row,) = finish(comparing([], 2, tmp_path / "data", results=[tmp_path / "results"]))
    assert list(row["sets"]["A"]["images"]) == ["baby_face", "img_1", "img_10"]
    assert str(damaged) in row["sets"]["A"]["left_out"]["baby"]


def test_a_damaged_result_is_left_out_whichever_part_is_damaged(tmp_path: Path, sets: list[BenchmarkSet]) -> None:
    for name in NAMES:
        write(tmp_path / "results" / f"{name}.png")
    whole = (tmp_path / "results" / "baby.png").read_bytes()
    (tmp_path / "results" / "baby.png").write_bytes(whole[: len(whole) - 20])
    (tmp_path / "results" / "img_1.png").write_bytes(b"x" + whole[1:])
    (tmp_path / "results" / "img_10.png").write_bytes(b"")
    (row,) = finish(comparing([], 2, tmp_path / "data", ["A"], results=[tmp_path / "results"]))
    assert list(row["sets"]["A"]["images"]) == ["baby_face"]
    assert row["sets"]["A"]["left_out"].keys() == {"baby", "img_1", "img_10"}


def test_the_result_of_a_picture_that_is_left_out_is_nobody_elses(tmp_path: Path) -> None:
    for name in NAMES:
        write(tmp_path / "data" / "A" / f"{name}.png")
        write(tmp_path / "results" / f"{name}x2.png")
    (tmp_path / "data" / "A" / "baby_face.png").write_bytes(b"")
    (tmp_path / "results" / "babyx2.png").rename(tmp_path / "results" / "baby_x2.png")
    found = find_results(tmp_path / "results", find_sets(tmp_path / "data", 2), 2)
    assert sorted(path.name for path in found.values()) == ["baby_x2.png", "img_10x2.png", "img_1x2.png"]
