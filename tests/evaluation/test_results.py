from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamnet.base.errors import BadDataError
from lamnet.evaluation.benchmarks import BenchmarkSet, find_sets
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
    (results / "B" / "img_10.png").write_bytes(b"")
    with pytest.raises(BadDataError) as caught:
        find_results(results, sets, 2)
    text = str(caught.value)
    assert "A baby_face: no result" in text
    assert "A img_1: several results, img_1.jpg and img_1.png" in text
    assert "B baby: baby.png is 33x25, expected 32x24" in text
    assert "B img_1: img_1.png has 4 channels" in text
    assert "B img_10: " in text
    assert "A baby:" not in text
    assert "\n" not in text


def test_missing_folders_are_named(tmp_path: Path, sets: list[BenchmarkSet]) -> None:
    with pytest.raises(BadDataError, match="found no such folder"):
        find_results(tmp_path / "absent", sets, 2)
    (tmp_path / "results").mkdir()
    with pytest.raises(BadDataError, match="expected a folder A of results"):
        find_results(tmp_path / "results", sets, 2)
