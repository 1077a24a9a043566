"""Prepared sets: the pixels, skipped pictures, cut-off calls."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from lamnet.base.errors import BadArgumentError, BadDataError
from lamnet.base.progress import finish
from lamnet.evaluation.resize import imresize
from lamnet.media import arrays
from lamnet.training import preparation as module
from lamnet.training.pairs import PatchSampler
from lamnet.training.preparation import prepare, preparing
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


def test_skips_and_lists_unreadable_and_too_small_files(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60), (30, 90)])
    (photos / "text.png").write_text("no picture")
    (photos / "empty.jpg").touch()
    opened = prepare(photos, tmp_path / "out")
    assert [photo.name for photo in opened.photos] == ["p0.png"]
    reasons = {photo.name: photo.reason or "" for photo in opened.skipped}
    assert reasons.keys() == {"p1.png", "text.png", "empty.jpg"}
    assert "at least 48 pixels, found 90x30" in reasons["p1.png"]


def test_a_folder_without_usable_photographs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(BadDataError, match="expected photographs, found no picture in it or below"):
        prepare(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "in" / "text.png").write_text("no picture")
    with pytest.raises(BadDataError, match=r"among 1 pictures, the first: text\.png"):
        prepare(tmp_path / "in", tmp_path / "out")
    with pytest.raises(BadDataError, match="expected a folder of photographs, found none"):
        prepare(tmp_path / "nowhere", tmp_path / "out")


def test_goes_on_where_it_was_cut_off_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = photographs(tmp_path / "in", [(60, 60), (72, 48), (48, 96), (60, 84)])
    whole = prepare(photos, tmp_path / "whole")
    convert, done, allowed = module._convert, list[str](), {"p0.png", "p1.png"}

    def cut_off(folder: Path, source: Photo, scales: list[int]):
        if source.name not in allowed:
            raise KeyboardInterrupt
        done.append(source.name)
        return convert(folder, source, scales)

    monkeypatch.setattr(module, "_convert", cut_off)
    with pytest.raises(KeyboardInterrupt):
        prepare(photos, tmp_path / "cut")
    with (tmp_path / "cut" / "hr.u8").open("ab") as file:
        file.write(b"half a picture")
    with (tmp_path / "cut" / "journal.jsonl").open("a") as file:
        file.write('{"name": "p2.p')
    with pytest.raises(BadDataError, match="found no index"):
        PreparedSet.open(tmp_path / "cut")
    done.clear()
    allowed |= {"p2.png", "p3.png"}
    resumed = prepare(photos, tmp_path / "cut")
    assert sorted(done) == ["p2.png", "p3.png"]
    assert resumed.photos == whole.photos
    for scale in (1, 2, 3, 4):
        assert resumed.file(scale).read_bytes() == whole.file(scale).read_bytes()


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


def _cut_off(photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    """Prepare until a photograph is converted, and stop there."""
    convert = module._convert

    def stopping(folder: Path, source: Photo, scales: list[int]):
        if source.name >= after:
            raise KeyboardInterrupt
        return convert(folder, source, scales)

    with monkeypatch.context() as patched:
        patched.setattr(module, "_convert", stopping)
        with pytest.raises(KeyboardInterrupt):
            prepare(photos, out)


def _same(one: PreparedSet, other: PreparedSet) -> bool:
    files = all(one.file(scale).read_bytes() == other.file(scale).read_bytes() for scale in (1, *other.scales))
    return files and (one.photos, one.skipped, one.scales) == (other.photos, other.skipped, other.scales)


def _change_byte(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda out: (out / "hr.u8").unlink(),
        lambda out: (out / "lr_x3.u8").write_bytes(b""),
        lambda out: (out / "hr.u8").write_bytes((out / "hr.u8").read_bytes()[:-1]),
        lambda out: _change_byte(out / "lr_x2.u8", 5),
        lambda out: _change_byte(out / "hr.u8", -1),
        lambda out: (out / "hr.u8").write_bytes(bytes((out / "hr.u8").stat().st_size)),
        lambda out: (out / "hr.u8").open("ab").write(b"more"),
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_what_is_not_whole_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], object], finished: bool
) -> None:
    photos = photographs(tmp_path / "in", [(60, 60), (30, 90), (72, 48), (48, 96)])
    whole = prepare(photos, tmp_path / "whole")
    if finished:
        prepare(photos, tmp_path / "out")
    else:
        _cut_off(photos, tmp_path / "out", monkeypatch, "p3.png")
    damage(tmp_path / "out")
    assert _same(prepare(photos, tmp_path / "out"), whole)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in (tmp_path / "whole").iterdir()
    )


@pytest.mark.parametrize("order", [(0, 1, 1, 1), (0, 0, 2), (0, 2, 1), (0, 1, 2, 3, 2, 3, 1, 2), (0,), ()])
def test_lines_of_a_journal_that_do_not_belong_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    photos = photographs(tmp_path / "in", [(60, 60), (60, 60), (72, 48), (48, 96)])
    whole = prepare(photos, tmp_path / "whole")
    _cut_off(photos, tmp_path / "out", monkeypatch, "p3.png")
    journal = tmp_path / "out" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[line] for line in order))
    assert _same(prepare(photos, tmp_path / "out"), whole)


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_journals_end_in_the_whole_set_or_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    photos = photographs(tmp_path / "in", [(48, 48), (48, 50), (48, 60)])
    whole = prepare(photos, tmp_path / "whole", (2,))
    convert, known = module._convert, dict[str, Any]()

    def remembered(folder: Path, source: Photo, scales: list[int]):
        if source.name not in known:
            known[source.name] = convert(folder, source, scales)
        return known[source.name]

    monkeypatch.setattr(module, "_convert", remembered)
    out, refused = tmp_path / "out", 0
    prepare(photos, out, (2,))
    index = json.loads((out / "index.json").read_text())
    settings = {"scales": [2], "sources": [[photo["name"], photo["bytes"]] for photo in index["photos"]]}
    journal = "".join(json.dumps(entry) + "\n" for entry in [settings, *index["photos"][:2]]).encode()
    for content in mutated(journal, count):
        (out / "index.json").unlink(missing_ok=True)
        (out / "journal.jsonl").write_bytes(content)
        try:
            read = prepare(photos, out, (2,))
            assert _same(
                replace(read, photos=tuple(replace(photo, licence="", note="") for photo in read.photos)), whole
            )
        except BadDataError:
            refused += 1
    assert refused < count * 3 // 4


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


def test_two_at_once_do_not_ruin_the_set(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60), (72, 48)])
    first = preparing(photos, tmp_path / "out")
    next(first)
    with pytest.raises(BadDataError, match=rf"out: .* in use by process {os.getpid()} on "):
        prepare(photos, tmp_path / "out")
    assert _same(finish(first), prepare(photos, tmp_path / "whole"))
    prepare(photos, tmp_path / "out")


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("only Linux has a device that is always full")
    photos = photographs(tmp_path / "in", [(60, 60)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lr_x3.u8").symlink_to("/dev/full")
    with pytest.raises(BadDataError, match=r"lr_x3\.u8: cannot be written"):
        prepare(photos, tmp_path / "out")
    (tmp_path / "out" / "lr_x3.u8").unlink()
    assert len(prepare(photos, tmp_path / "out").photos) == 1


def test_a_picture_that_is_too_large_is_skipped(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60)])
    Image.new("1", (22000, 22000)).save(photos / "huge.png")
    opened = prepare(photos, tmp_path / "out")
    assert [photo.name for photo in opened.photos] == ["p0.png"]
    (huge,) = opened.skipped
    assert "expected at most 100,000,000 pixels, found 22000 x 22000" in (huge.reason or "")
