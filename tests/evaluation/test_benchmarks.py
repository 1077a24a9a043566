from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.evaluation import benchmarks
from lamnet.evaluation.benchmarks import find_sets
from lamnet.evaluation.protocol import Protocol
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.media import arrays

NAMES = ("baby", "fox2", "img_001")


def picture(seed: int, height: int = 49, width: int = 64, channels: int = 3) -> NDArray[np.uint8]:
    """A smooth picture with some noise; sides that no scale divides."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(height)[:, None, None] / 5 + seed) + np.cos(np.arange(width)[:, None] / 7)
    return (127 + 50 * waves + rng.normal(0, 8, (height, width, channels))).clip(0, 255).astype(np.uint8)


def write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays.write_array(path, pixels)


def build(hr_name: Callable[[str, int], Path], lr_name: Callable[[str, int], Path] | None) -> None:
    for seed, name in enumerate(NAMES):
        for scale in (2, 4):
            write(hr_name(name, scale), picture(seed))
            if lr_name:
                write(lr_name(name, scale), imresize(crop_to_multiple(picture(seed), scale), 1 / scale))


LAYOUTS: dict[str, tuple[str, str | None]] = {
    "as downloaded with EDSR": ("S/HR/{name}.png", "S/LR_bicubic/X{scale}/{name}x{scale}.png"),
    "flat LR folders": ("S/HR/{name}.png", "S/LRBICX{scale}/{name}.png"),
    "BasicSR": ("S/GTmod12/{name}.png", "S/LRbicx{scale}/{name}.png"),
    "underscores": ("S/GT/{name}.png", "S/LR_bicubic_x{scale}/{name}_x{scale}.png"),
    "LR": ("S/HR/{name}_HR.png", "S/LR/X{scale}/{name}_LR.png"),
    "DIV2K in a folder": ("S/S_valid_HR/{name}.png", "S/S_valid_LR_bicubic/X{scale}/{name}x{scale}.png"),
    "DIV2K": ("S_HR/{name}.png", "S_LR_bicubic/X{scale}/{name}x{scale}.png"),
    "DIV2K flat": ("S_HR/{name}.png", "S_LR_bicubic_X{scale}/{name}x{scale}.png"),
    "other case and suffix": ("S/hr/{name}.PNG", "S/lr_bicubic/x{scale}/{name}X{scale}.tif"),
    "RCAN": ("HR/S/x{scale}/{name}_HR_x{scale}.png", "LRBI/S/x{scale}/{name}_LRBI_x{scale}.png"),
    "RCAN, plain names": ("HR/S/x{scale}/{name}.png", "LRBI/S/x{scale}/{name}.png"),
    "a folder a scale": ("S/HR/x{scale}/{name}.png", "S/LR/x{scale}/{name}.png"),
    "a folder a scale, flat": ("S/HR_x{scale}/{name}.png", "S/LR_x{scale}/{name}.png"),
    "cropped for each scale": ("S/GTmod{scale}/{name}.png", "S/LRbicx{scale}/{name}.png"),
    "original": ("S/original/{name}.png", "S/LR_bicubic/X{scale}/{name}.png"),
    "HR alone": ("S/{name}.png", None),
    "HR alone in HR": ("S/HR/{name}.png", None),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scale", [2, 4])
def test_every_layout_gives_the_same_pairs(tmp_path: Path, layout: str, scale: int) -> None:
    hr, lr = LAYOUTS[layout]
    build(
        lambda name, scale: tmp_path / hr.format(name=name, scale=scale),
        lr and (lambda name, scale: tmp_path / lr.format(name=name, scale=scale)),
    )
    (found,) = find_sets(tmp_path, scale)
    assert found.name == ("S_valid" if layout == "DIV2K in a folder" else "S")
    assert find_sets(tmp_path, scale, ["s"]) == [found]
    assert [pair.name for pair in found.pairs] == list(NAMES)
    for seed, pair in enumerate(found.pairs):
        np.testing.assert_array_equal(arrays.read_array(pair.hr), picture(seed))
        if lr is None:
            assert pair.lr is None
        else:
            assert pair.lr == tmp_path / lr.format(name=pair.name, scale=scale)


@pytest.mark.parametrize("below", [".", "image_SRF_{scale}"])
@pytest.mark.parametrize("scale", [2, 4])
def test_the_layout_with_hr_and_lr_side_by_side(tmp_path: Path, below: str, scale: int) -> None:
    for seed, name in enumerate(NAMES):
        for each in (2, 4):
            hr = crop_to_multiple(picture(seed), each)
            folder = tmp_path / "S" / below.format(scale=each)
            write(folder / f"{name}_SRF_{each}_HR.png", hr)
            write(folder / f"{name}_SRF_{each}_LR.png", imresize(hr, 1 / each))
            write(folder / f"{name}_SRF_{each}_bicubic.png", imresize(imresize(hr, 1 / each), each))
    (found,) = find_sets(tmp_path, scale)
    assert [pair.name for pair in found.pairs] == list(NAMES)
    for pair in found.pairs:
        assert pair.hr.name == f"{pair.name}_SRF_{scale}_HR.png"
        assert pair.lr == pair.hr.with_name(f"{pair.name}_SRF_{scale}_LR.png")
    with pytest.raises(BadDataError, match="no pictures for x3, only for x2, x4"):
        find_sets(tmp_path, 3)


@pytest.fixture
def two_sets(tmp_path: Path) -> Path:
    for one in "AB":
        build(
            lambda name, _, one=one: tmp_path / one / "HR" / f"{name}.png",
            lambda name, scale, one=one: tmp_path / one / f"LR_bicubic/X{scale}/{name}x{scale}.png",
        )
    return tmp_path


def test_sets_are_chosen_by_name_in_the_order_asked_for(two_sets: Path) -> None:
    assert [one.name for one in find_sets(two_sets, 2)] == ["A", "B"]
    assert [one.name for one in find_sets(two_sets, 2, ["b", "A"])] == ["B", "A"]
    assert [one.name for one in find_sets(two_sets / "A", 2)] == ["A"]
    assert [one.name for one in find_sets(two_sets / "A", 2, ["A"])] == ["A"]
    with pytest.raises(BadDataError, match="expected the sets D, C, found A, B"):
        find_sets(two_sets, 2, ["A", "D", "C"])


def refusal(data: Path, scale: int = 2, border: int = 2) -> str:
    with pytest.raises(BadDataError) as caught:
        find_sets(data, scale, smallest=2 * border + 11)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_that_is_missing_is_listed_over_all_sets(two_sets: Path) -> None:
    (two_sets / "A/LR_bicubic/X2/babyx2.png").unlink()
    (two_sets / "B/HR/fox2.png").unlink()
    text = refusal(two_sets)
    assert "A baby.png: no LR picture" in text
    assert "B fox2x2.png: no HR picture" in text


def test_pairs_that_do_not_fit_are_listed(two_sets: Path) -> None:
    write(two_sets / "A/LR_bicubic/X2/babyx2.png", picture(0, 30, 31))
    write(two_sets / "B/HR/fox2.png", picture(1, 100, 64))
    text = refusal(two_sets)
    assert "A baby: LR is 31x30, expected 32x24 for HR of 64x49" in text
    assert "B fox2: LR is 32x24, expected 32x50 for HR of 64x100" in text


def test_what_cannot_be_measured_is_left_out_with_its_reason(two_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hr = two_sets / "A" / "HR"
    arrays.write_array(hr / "baby.png", picture(0).astype(np.uint16) * 257)
    (hr / "img_001.png").write_text("not a picture")
    write(two_sets / "B/HR/baby.png", picture(0, 8, 64))
    write(two_sets / "B/HR/img_001.png", picture(1, channels=4))
    monkeypatch.setattr(benchmarks, "LARGEST", 49 * 64)
    write(two_sets / "B/HR/fox2.png", picture(0, 70, 70))
    with pytest.raises(
        BadDataError, match=r"B: expected complete pairs for x2, found B baby: .*; B fox2: .*; B img_001: "
    ):
        find_sets(two_sets / "B", 2, smallest=15)
    assert [len(one.pairs) for one in find_sets(two_sets, 2, smallest=15)] == [1, 0]
    write(two_sets / "B/HR/img_001.png", picture(1))
    one, other = find_sets(two_sets, 2, smallest=15)
    assert [pair.name for pair in one.pairs] == ["fox2"]
    assert one.left_out["baby"] == "baby.png has 16 bits, expected 8 bits"
    assert one.left_out["img_001"].startswith(f"{hr / 'img_001.png'}: expected a picture")
    assert [pair.name for pair in other.pairs] == ["img_001"]
    assert other.left_out == {
        "baby": "HR is 64x8, expected at least 15 pixels each way to measure",
        "fox2": "fox2.png is 70x70, expected at most 3,136 pixels",
    }
    write(two_sets / "B/HR/baby.png", picture(1, channels=4))
    assert find_sets(two_sets, 2)[1].left_out["baby"] == "baby.png has 4 channels, expected 1 (grey) or 3 (RGB)"


@pytest.mark.parametrize("folder", ["HR", "LR_bicubic/X2"])
@pytest.mark.parametrize("twin", ["{stem}.tif", "{stem}.PNG"])
def test_names_that_differ_only_in_suffix_or_case_are_refused(two_sets: Path, folder: str, twin: str) -> None:
    original = next((two_sets / "A" / folder).glob("baby*"))
    write(original.with_name(twin.format(stem=original.stem)), picture(0))
    assert "which differ only in case or suffix" in refusal(two_sets)


@pytest.mark.parametrize("name", ["babyx2.png", "baby_LR.png", "Baby_LRBI_x2.png", "babyx4.png"])
def test_lr_beside_hr_is_refused_and_not_measured_as_hr(tmp_path: Path, name: str) -> None:
    scale = 4 if "4" in name else 2
    write(tmp_path / "S" / "baby.png", picture(0))
    write(tmp_path / "S" / name, imresize(crop_to_multiple(picture(0), scale), 1 / scale))
    found = refusal(tmp_path)
    assert (
        f"S: {name}, which is LR of baby.png, in one folder with it; a folder LR_bicubic/X{scale} may hold it" in found
    )


def test_a_result_beside_its_picture_is_no_lr(tmp_path: Path) -> None:
    write(tmp_path / "S" / "baby.png", picture(0))
    write(tmp_path / "S" / "baby_x2.png", picture(1, 98, 128))
    assert [pair.name for pair in find_sets(tmp_path, 2)[0].pairs] == ["baby", "baby_x2"]


@pytest.mark.parametrize("below", ["Set5", "more"])
def test_pictures_beside_folders_of_pictures_are_refused_until_one_is_named(tmp_path: Path, below: str) -> None:
    data = tmp_path / "N"
    write(data / "stray.png", picture(0))
    write(data / below / "baby.png", picture(1))
    assert refusal(data) == (
        f"{data}: expected pictures or folders of them, found both, stray.png and {below}; "
        f"name the sets that are meant, N, {below}, or move the others"
    )
    assert [one.name for one in find_sets(data, 2, ["N", below])] == ["N", below]


def test_a_missing_scale_is_named(two_sets: Path) -> None:
    assert "A: no LR for x3, only for x2, x4" in refusal(two_sets, 3)
    for scale in (2, 4):
        write(two_sets / f"nested/HR/S/x{scale}/baby.png", picture(0))
    assert "S: no HR for x3, only for x2, x4" in refusal(two_sets / "nested", 3)


def test_hr_cropped_for_another_scale_is_the_last_choice(tmp_path: Path) -> None:
    for crop in (2, 3):
        write(tmp_path / f"S/GTmod{crop}/baby.png", crop_to_multiple(picture(0), crop))
    assert [find_sets(tmp_path, scale)[0].pairs[0].hr.parent.name for scale in (2, 3)] == ["GTmod2", "GTmod3"]


def test_pictures_too_small_for_what_is_measured_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "S/baby.png", picture(0, 9, 30))
    assert len(find_sets(tmp_path, 2, smallest=Protocol(("psnr_y",)).smallest_at(2))) == 1
    with pytest.raises(BadDataError, match="S baby: HR is 30x9, expected at least 15 pixels each way"):
        find_sets(tmp_path, 2, smallest=Protocol().smallest_at(2))
    assert Protocol(("lpips",)).smallest_at(2) == 32


def test_a_set_that_is_there_twice_is_refused(two_sets: Path) -> None:
    with pytest.raises(BadDataError, match="expected each set once, found A twice"):
        find_sets(two_sets, 2, ["A", "a"])


def test_two_folders_of_lr_for_one_scale_are_refused(two_sets: Path) -> None:
    write(two_sets / "A/LRBICX2/baby.png", picture(0))
    text = refusal(two_sets)
    assert "A: several folders for x2: " in text
    assert "LRBICX2" in text


def test_empty_and_missing_folders_are_refused(tmp_path: Path) -> None:
    assert "found none" in refusal(tmp_path)
    assert "found no such folder" in refusal(tmp_path / "absent")
    write(tmp_path / "file.png", picture(0))
    assert "expected a folder of benchmark sets, found a file" in refusal(tmp_path / "file.png")
    (tmp_path / "file.png").unlink()
    (tmp_path / "S" / "HR").mkdir(parents=True)
    (tmp_path / "S" / "HR" / "baby.xcf").write_bytes(b"8BPS")
    assert "S: no pictures in HR (of the kinds " in refusal(tmp_path)


@pytest.mark.parametrize("scale", [0, -2, 16, 2.0])
def test_scales_that_no_network_has_are_refused(two_sets: Path, scale: int) -> None:
    with pytest.raises(BadArgumentError, match=f"scale: expected a whole number from 1 to 9, got {scale}"):
        find_sets(two_sets, scale)


@pytest.mark.parametrize(("names", "found"), [("Set5", "Set5"), ([], "none")])
def test_names_of_sets_are_a_list(two_sets: Path, names: list[str], found: str) -> None:
    with pytest.raises(BadArgumentError, match=f"sets: expected a list of names, got {found}$"):
        find_sets(two_sets, 2, names)


def test_an_lr_folder_that_names_no_scale_serves_the_one_that_fits(tmp_path: Path) -> None:
    for seed, name in enumerate(NAMES):
        write(tmp_path / "S/HR" / f"{name}.png", picture(seed))
        write(tmp_path / "S/LR" / f"{name}.png", imresize(crop_to_multiple(picture(seed), 4), 1 / 4))
    (found,) = find_sets(tmp_path, 4)
    assert [pair.lr for pair in found.pairs] == [tmp_path / "S/LR" / f"{name}.png" for name in NAMES]
    assert "S baby: LR is 16x12, expected 32x24" in refusal(tmp_path, 2)


def test_an_empty_lr_folder_does_not_mean_that_lr_is_made(two_sets: Path) -> None:
    for path in (two_sets / "A/LR_bicubic/X2").iterdir():
        path.unlink()
    text = refusal(two_sets)
    assert [f"A {name}.png: no LR picture" in text for name in NAMES] == [True] * 3


def test_other_degradations_and_other_files_are_left_alone(two_sets: Path) -> None:
    write(two_sets / "A/LR_unknown/X2/babyx2.png", picture(0, 20, 20))
    (two_sets / "A/HR/Thumbs.db").write_bytes(b"")
    (two_sets / "A/HR/._baby.png").write_bytes(b"of macOS")
    (two_sets / "notes").mkdir()
    assert [len(one.pairs) for one in find_sets(two_sets, 2)] == [3, 3]
