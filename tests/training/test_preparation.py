"""Prepared sets: the pixels, skipped pictures, cut-off calls."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.evaluation.resize import imresize
from lamnet.media import arrays
from lamnet.training import conversion, preparation, reading
from lamnet.training.conversion import Converted
from lamnet.training.journal import Journal
from lamnet.training.pairs import PatchSampler
from lamnet.training.preparation import prepare
from lamnet.training.prepared import Photo, PreparedSet
from support.mutations import COUNTS, mutated
from support.sets import photographs


def _hr(opened: PreparedSet, index: int, scale: int = 1) -> np.ndarray:
    pixels = np.fromfile(opened.file(scale), np.uint8)
    start, end = opened.offsets(scale)[index : index + 2]
    photo = opened.photos[index]
    return pixels[start:end].reshape(photo.height // scale, photo.width // scale, 3)


def test_holds_hr_cropped_and_lr_of_mirrored_bicubic(tmp_path: Path) -> None:
    opened = prepare(photographs(tmp_path / "in", [(61, 75), (48, 50)]), tmp_path / "out")
    assert [(photo.height, photo.width) for photo in opened.photos] == [(60, 72), (48, 48)]
    for index, name in enumerate(("p0.png", "p1.png")):
        hr = _hr(opened, index)
        np.testing.assert_array_equal(hr, arrays.read_array(tmp_path / "in" / name)[: hr.shape[0], : hr.shape[1]])
        for scale in (2, 3, 4):
            np.testing.assert_array_equal(_hr(opened, index, scale), imresize(hr, Fraction(1, scale), "mirror"))


def test_every_format_and_mode_becomes_8_bit_rgb(tmp_path: Path) -> None:
    photos = tmp_path / "in"
    photos.mkdir()
    ramp = np.tile(np.arange(60, dtype=np.uint8) * 4, (60, 1))
    rgba = np.dstack([ramp, ramp.T, 255 - ramp, np.full_like(ramp, 7)])
    Image.fromarray(ramp).save(photos / "a_grey.png")
    Image.fromarray(rgba).save(photos / "b_alpha.png")
    Image.fromarray(ramp.astype(np.uint16) * 257).save(photos / "c_16bit.png")
    for suffix in ("jpg", "webp", "avif", "tif"):
        Image.fromarray(rgba[..., :3]).save(photos / f"d_{suffix}.{suffix}", quality=95)
    opened = prepare(photos, tmp_path / "out", (2,))
    assert len(opened.photos) == 7
    grey, alpha, deep, *coded = (_hr(opened, index) for index in range(7))
    np.testing.assert_array_equal(grey, np.dstack([ramp] * 3))
    np.testing.assert_array_equal(alpha, rgba[..., :3])
    np.testing.assert_array_equal(deep, np.dstack([ramp] * 3))
    for pixels in coded:
        assert np.abs(pixels.astype(int) - rgba[..., :3]).mean() < 6


def test_folders_may_be_strings(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60)])
    assert len(prepare(str(photos), str(tmp_path / "out"), (2,)).photos) == 1


def test_skips_and_lists_unreadable_and_too_small_files(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60), (30, 90)])
    (photos / "text.png").write_text("no picture")
    (photos / "empty.jpg").touch()
    opened = prepare(photos, tmp_path / "out")
    assert [photo.name for photo in opened.photos] == ["p0.png"]
    reasons = {photo.name: photo.reason or "" for photo in opened.skipped}
    assert reasons.keys() == {"p1.png", "text.png", "empty.jpg"}
    assert "at least 48 pixels, found 90x30" in reasons["p1.png"]
    assert reasons["text.png"].startswith("expected a picture")


def test_a_folder_without_usable_photographs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(BadDataError, match="expected photographs, found no picture in it or below"):
        prepare(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "in" / "text.png").write_text("no picture")
    with pytest.raises(BadDataError, match=r"among 1 pictures, the first: text\.png: expected a picture"):
        prepare(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(BadDataError, match="expected a folder of photographs, found none"):
        prepare(tmp_path / "nowhere", tmp_path / "out")


def test_a_folder_that_cannot_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = photographs(tmp_path / "in", [(60, 60)])
    (photos / "closed").mkdir()
    listed = os.scandir

    def scandir(path: str) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for _ in range(2):
        opened = prepare(photos, tmp_path / "out")
        listed_there = [(photo.name, photo.reason) for photo in opened.skipped]
        assert listed_there == [("closed", "cannot be read: Permission denied")]


def test_a_finished_set_is_left_alone_and_another_one_refused(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60)])
    prepare(photos, tmp_path / "out")
    before = (tmp_path / "out" / "hr.u8").stat().st_mtime_ns
    prepare(photos, tmp_path / "out")
    assert (tmp_path / "out" / "hr.u8").stat().st_mtime_ns == before
    with pytest.raises(BadDataError, match=r"scales \[2, 3, 4\]; expected \[2\]"):
        prepare(photos, tmp_path / "out", (2,))
    photographs(photos, [(60, 60), (48, 48)])
    with pytest.raises(BadDataError, match=r"these 2 photographs, found one of 1 others; they differ in p1\.png:"):
        prepare(photos, tmp_path / "out")
    (photos / "p1.png").unlink()
    Image.new("RGB", (60, 60)).save(photos / "p0.png")
    with pytest.raises(BadDataError, match=r"they differ in p0\.png:"):
        prepare(photos, tmp_path / "out")


@pytest.mark.parametrize("scales", [(), (0,), (-2,), (1, 2), (9,)])
def test_scales_that_cannot_be_trained(tmp_path: Path, scales: tuple[int, ...]) -> None:
    photos = photographs(tmp_path / "in", [(60, 60)])
    with pytest.raises(BadArgumentError, match="scales: expected whole numbers from 2 to 8, got"):
        prepare(photos, tmp_path / "out", scales)
    assert not (tmp_path / "out").exists()


def test_folders_below_count_and_hidden_ones_do_not(tmp_path: Path) -> None:
    for place in ("in", "in/b ü/c", "in/.hidden", "in/a"):
        photographs(tmp_path / place, [(60, 60)])
    (tmp_path / "in" / ".p.png").write_bytes((tmp_path / "in" / "p0.png").read_bytes())
    (tmp_path / "in" / "gone.png").symlink_to("nowhere")
    (tmp_path / "in" / "manifest.csv").write_text("file,licence\na/p0.png,CC0\n")
    opened = prepare(tmp_path / "in", tmp_path / "out", (2,))
    assert [(photo.name, photo.licence) for photo in opened.photos] == [
        ("a/p0.png", "CC0"),
        ("b ü/c/p0.png", ""),
        ("p0.png", ""),
    ]
    assert [photo.name for photo in opened.skipped] == ["gone.png"]


@pytest.mark.thorough
def test_colours_of_any_space_and_depth_come_out_the_same(tmp_path: Path) -> None:
    photos = tmp_path / "in"
    photos.mkdir()
    rows, columns = np.mgrid[0:60, 0:60] / 60
    rgb = np.dstack([rows, columns, 1 - rows])
    picture = Image.fromarray((rgb * 255).astype(np.uint8))
    tifffile.imwrite(photos / "a_float.tif", rgb.astype(np.float32), photometric="rgb")
    tifffile.imwrite(photos / "b_hdr.tif", rgb.astype(np.float32) * 300, photometric="rgb")
    tifffile.imwrite(photos / "c_10bit.tif", (rgb * 1023).astype(np.uint16), photometric="rgb")
    lab = ImageCms.profileToProfile(
        picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    lab.save(photos / "d_lab.tif")
    tifffile.imwrite(photos / "e_long.tif", (rgb * 2**31).astype(np.uint32), photometric="rgb")
    opened = prepare(photos, tmp_path / "out", (2,))
    for index in range(5):
        assert np.abs(_hr(opened, index) - rgb * 255).mean() < 1.5, opened.photos[index].name
    assert not opened.skipped


def test_a_damaged_set_is_refused(tmp_path: Path) -> None:
    opened = prepare(photographs(tmp_path / "in", [(60, 60)]), tmp_path / "out")
    opened.file(4).write_bytes(b"short")
    with pytest.raises(BadDataError, match=r"lr_x4\.u8: expected 675 bytes, found 5"):
        PreparedSet.open(tmp_path / "out")
    (tmp_path / "out" / "index.json").write_text("{}")
    with pytest.raises(BadDataError, match="expected the index of a prepared set"):
        PreparedSet.open(tmp_path / "out")


def test_licences_come_from_a_manifest(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60), (60, 60)])
    (photos / "manifest.csv").write_text('file,licence\np1.png,"CC BY 4.0, Somebody"\n')
    assert [photo.licence for photo in prepare(photos, tmp_path / "out").photos] == ["", "CC BY 4.0, Somebody"]


def test_licences_that_were_corrected_reach_a_finished_set(tmp_path: Path) -> None:
    photos, out = photographs(tmp_path / "in", [(48, 48), (48, 48)]), tmp_path / "out"
    manifest = photos / "manifest.csv"
    manifest.write_text("file,licence\np0.png,CC0\n")
    first = prepare(photos, out)
    manifest.write_text("file,licence\np0.png,CC BY-NC 4.0\np1.png,CC0\n")
    again = prepare(photos, out)
    assert [photo.licence for photo in again.photos] == ["CC BY-NC 4.0", "CC0"]
    assert again == PreparedSet.open(out)
    assert again.fingerprint == first.fingerprint  # so that trainings on it go on
    manifest.unlink()
    assert prepare(photos, out) == again


def test_two_licences_for_one_photograph_are_refused(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(48, 48)])
    (photos / "manifest.csv").write_text("file,licence\np0.png,CC0\np0.png,CC0\np0.png,CC BY 4.0\n")
    with pytest.raises(
        BadDataError, match=r"manifest\.csv: expected one licence for p0\.png, found CC0 and CC BY 4\.0$"
    ):
        prepare(photos, tmp_path / "out")


def test_a_manifest_may_begin_with_a_mark_and_has_to_be_a_table_of_licences(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60)])
    manifest = photos / "manifest.csv"
    for content, found in (
        (
            "file,licence\np0.png,© J. Müller\n".encode("latin-1"),
            "expected a table of licences, found no text in UTF-8",
        ),
        (b"file;licence\np0.png;CC0\n", "expected columns file and licence, with commas between, found file;licence"),
        (b"", "expected columns file and licence, with commas between, found none"),
    ):
        manifest.write_bytes(content)
        with pytest.raises(BadDataError, match=rf"manifest\.csv: {found}"):
            prepare(photos, tmp_path / "out", (2,))
    manifest.write_bytes("file,licence\r\np0.png,© J. Müller\r\n".encode("utf-8-sig"))
    assert [photo.licence for photo in prepare(photos, tmp_path / "out", (2,)).photos] == ["© J. Müller"]


@pytest.mark.thorough
@pytest.mark.parametrize("count", COUNTS)
def test_damaged_indexes_are_refused_or_read(tmp_path: Path, count: int) -> None:
    opened = prepare(photographs(tmp_path / "in", [(48, 48), (20, 20), (48, 60)]), tmp_path / "out")
    refused = 0
    for content in mutated((tmp_path / "out" / "index.json").read_bytes(), count):
        (tmp_path / "out" / "index.json").write_bytes(content)
        try:
            read = PreparedSet.open(tmp_path / "out")
        except BadDataError:
            refused += 1
            continue
        sampler = PatchSampler(read, read.scales[0], 8, 2, 0)
        sampler.draw(0)
        assert (read.megapixels, len(read.fingerprint) > 10) == (opened.megapixels, True)
    assert count // 4 < refused < count


@pytest.mark.parametrize(("module", "name"), [(reading, "read"), (conversion, "imresize")])
def test_a_picture_beyond_memory_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    inner = getattr(module, name)

    def full(first: object, *others: object) -> object:
        if getattr(first, "shape", (0,))[0] == 72 or getattr(first, "path", Path()).name == "p1.png":
            raise MemoryError
        return inner(first, *others)

    monkeypatch.setattr(module, name, full)
    opened = prepare(photographs(tmp_path / "in", [(60, 60), (72, 60)]), tmp_path / "out", (2,))
    assert [photo.name for photo in opened.photos] == ["p0.png"]
    assert [photo.reason for photo in opened.skipped] == ["expected a picture that fits into memory"]


@pytest.mark.thorough
def test_a_picture_that_is_too_large_is_skipped(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60)])
    Image.new("1", (22000, 22000)).save(photos / "huge.png")
    opened = prepare(photos, tmp_path / "out")
    assert [photo.name for photo in opened.photos] == ["p0.png"]
    (huge,) = opened.skipped
    assert "expected at most 100,000,000 pixels, found 22000 x 22000" in (huge.reason or "")


def test_few_photographs_are_in_memory_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred megapixels are 300 MB, and half as much again with LR."""
    converted, held = list[str](), list[int]()
    convert, add = preparation.convert, Journal.add

    def counting(folder: Path, source: Photo, scales: Sequence[int]) -> Converted:
        converted.append(source.name)
        return convert(folder, source, scales)

    def slowly(journal: Journal, photo: Photo, pixels: Mapping[int, np.ndarray]) -> None:
        time.sleep(0.05)  # for the others to be converted meanwhile
        held.append(len(converted) - len(journal.photos))
        add(journal, photo, pixels)

    monkeypatch.setattr(preparation, "convert", counting)
    monkeypatch.setattr(Journal, "add", slowly)
    opened = prepare(photographs(tmp_path / "in", [(60, 60)] * 12), tmp_path / "out", (2,))
    assert [photo.name for photo in opened.photos] == sorted(converted)
    assert max(held) <= 4
