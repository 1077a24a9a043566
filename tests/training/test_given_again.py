"""A set of given LR that is prepared again: what is recorded of its pictures, and what is noticed of others."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lamnet.base.errors import BadDataError
from lamnet.media import arrays
from lamnet.training.journal import Journal
from lamnet.training.preparation import prepare
from lamnet.training.prepared import GivenPair, Photo, PreparedSet
from support.pairs import picture, some_pairs
from support.sets import photographs


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return some_pairs(tmp_path)


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


@pytest.mark.thorough
def test_lr_that_has_changed_come_or_gone_is_noticed(folders: tuple[Path, Path], tmp_path: Path) -> None:
    hr, lr = folders
    first = prepare(hr, tmp_path / "set", (4,), lr)
    kept = (lr / "ax4.png").read_bytes()

    def check(*differing: str) -> None:
        words = " and ".join([differing[0], *([f"{len(differing) - 1} more"] if differing[1:] else [])])
        with pytest.raises(BadDataError, match=rf"set: .*other files; they differ for {words}: use another folder"):
            prepare(hr, tmp_path / "set", (4,), lr)

    arrays.write_array(lr / "gx4.png", picture(6, 40, 48))
    check("g.png")
    (lr / "ax4.png").write_bytes(kept + b"x")
    check("a.png", "g.png")
    (lr / "gx4.png").unlink()
    (lr / "ax4.png").rename(lr / "a_LR.png")
    check("a.png")
    (lr / "a_LR.png").unlink()
    check("a.png")
    (lr / "ax4.png").write_bytes(kept)
    arrays.write_array(lr / "yx4.png", picture(6, 40, 48))
    assert prepare(hr, tmp_path / "set", (4,), lr) == first


@pytest.mark.thorough
def test_lr_that_has_changed_is_noticed_in_a_set_under_way(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hr, lr = folders
    _cut_off(hr, tmp_path / "set", lr, monkeypatch)
    for place in (tmp_path, lr):
        monkeypatch.chdir(place)
        _cut_off(hr, tmp_path / "set", Path(os.path.relpath(lr)), monkeypatch)
    (lr / "X4").mkdir()
    (lr / "ax4.png").rename(lr / "X4" / "ax4.png")
    with pytest.raises(BadDataError, match="holds part of a set of other photographs, scales or LR"):
        prepare(hr, tmp_path / "set", (4,), lr)


def _cut_off(hr: Path, out: Path, lr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepare pairs until the second one is written."""

    def full(journal: Journal, photo: Photo, pixels: dict[int, np.ndarray]) -> None:
        if photo.name == "c.png":
            raise KeyboardInterrupt
        add(journal, photo, pixels)

    add = Journal.add
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "add", full)
        with pytest.raises(KeyboardInterrupt):
            prepare(hr, out, (4,), lr)
    assert (out / "hr.u8").stat().st_size == 2 * 3 * 160 * 192


@pytest.mark.thorough
def test_a_folder_of_lr_is_the_same_however_it_is_typed(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In older sets, which record no whole path, where it leads to the same place."""
    hr, lr = folders
    monkeypatch.chdir(tmp_path)
    opened = prepare(hr, tmp_path / "set", (4,), Path("lr"))
    assert opened.lr == "given: lr"
    (tmp_path / "link").symlink_to("lr")
    index = tmp_path / "set" / "index.json"
    for recorded in (index.read_text(), _as_an_older_set(index)):
        index.write_text(recorded)
        for typed in (Path("lr"), lr, tmp_path / "hr" / ".." / "lr", Path("link")):
            assert prepare(hr, tmp_path / "set", (4,), typed).photos == opened.photos
        shutil.copytree(lr, tmp_path / "lr2", dirs_exist_ok=True)
        with pytest.raises(BadDataError, match="holds a set whose LR is given: lr; expected given: lr2: use another"):
            prepare(hr, tmp_path / "set", (4,), Path("lr2"))
    monkeypatch.chdir(hr)
    with pytest.raises(BadDataError, match=r"holds a set whose LR is given: lr; expected given: \.\./lr"):
        prepare(hr, tmp_path / "set", (4,), Path("../lr"))
    prepare(hr, tmp_path / "set2", (4,), Path("../lr"))
    monkeypatch.chdir(tmp_path)
    assert prepare(hr, tmp_path / "set2", (4,), Path("lr")).photos == opened.photos


@pytest.mark.thorough
def test_a_set_and_its_pictures_may_be_moved_together(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    for folder in folders:
        shutil.move(folder, tmp_path / "one" / folder.name)
    monkeypatch.chdir(tmp_path / "one")
    opened = prepare(Path("hr"), Path("set"), (4,), Path("lr"))
    for folder in ("hr", "lr", "set"):
        shutil.move(tmp_path / "one" / folder, tmp_path / "two" / folder)
    monkeypatch.chdir(tmp_path / "two")
    assert prepare(Path("hr"), Path("set"), (4,), Path("lr")) == opened


def _as_an_older_set(index: Path) -> str:
    found = json.loads(index.read_text())
    return json.dumps({key: found[key] for key in ("scales", "lr", "unpaired", "photos", "skipped")})


def test_an_older_set_without_its_pairs_opens_and_is_the_same(folders: tuple[Path, Path], tmp_path: Path) -> None:
    hr, lr = folders
    opened = prepare(hr, tmp_path / "set", (4,), lr)
    index = tmp_path / "set" / "index.json"
    index.write_text(_as_an_older_set(index))
    older = PreparedSet.open(tmp_path / "set")
    assert (older.pairs, older.lr_folder) == (None, "")
    assert (older.photos, older.fingerprint) == (opened.photos, opened.fingerprint)
    assert prepare(hr, tmp_path / "set", (4,), lr) == older


def test_what_is_recorded_of_pairs(folders: tuple[Path, Path], tmp_path: Path) -> None:
    hr, lr = folders
    (lr / "X4").mkdir()
    (lr / "ax4.png").rename(lr / "X4" / "ax4.png")
    (lr / "gx4.png").symlink_to("nowhere")
    opened = prepare(hr, tmp_path / "set", (4,), lr)
    lengths = [(lr / name).stat().st_size for name in ("X4/ax4.png", "bx4.png")]
    expected = [GivenPair("a.png", "X4/ax4.png", lengths[0]), GivenPair("b.png", "bx4.png", lengths[1])]
    assert opened.pairs is not None
    assert opened.pairs[:2] == tuple(expected)
    assert opened.pairs[-1] == GivenPair("g.png", "gx4.png", 0)
    assert opened.lr_folder == str(lr)
    assert opened.skipped[-1].reason == f"{lr / 'gx4.png'}: no such file"
    assert prepare(hr, tmp_path / "set", (4,), lr) == opened
    (lr / "gx4.png").unlink()
    arrays.write_array(lr / "gx4.png", picture(6, 40, 48))
    with pytest.raises(BadDataError, match=r"they differ for g\.png: "):
        prepare(hr, tmp_path / "set", (4,), lr)


def test_a_photograph_that_was_a_dead_link_is_noticed_once_it_is_there(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60)])
    (photos / "gone.png").symlink_to("nowhere")
    prepare(photos, tmp_path / "set", (2,))
    prepare(photos, tmp_path / "set", (2,))
    (photos / "gone.png").unlink()
    (photos / "gone.png").write_bytes((photos / "p0.png").read_bytes())
    with pytest.raises(BadDataError, match=r"they differ in gone\.png: use another folder"):
        prepare(photos, tmp_path / "set", (2,))
    index = tmp_path / "set" / "index.json"
    older = json.loads(index.read_text())
    for photo in (*older["photos"], *older["skipped"]):
        del photo["bytes"], photo["modified"]
    index.write_text(json.dumps(older))
    prepare(photos, tmp_path / "set", (2,))


@pytest.mark.parametrize("changed", ["hr/a.png", "lr/ax4.png"])
def test_a_picture_edited_at_the_same_length_is_noticed(
    folders: tuple[Path, Path], tmp_path: Path, changed: str
) -> None:
    """Files without compression always have the same length."""
    hr, lr = folders
    for path in (hr / "a.png", lr / "ax4.png"):
        _write_plain(path, arrays.read_array(path))
    first, lengths = prepare(hr, tmp_path / "set", (4,), lr), (tmp_path / changed).stat().st_size
    _write_plain(tmp_path / changed, 255 - (255 - arrays.read_array(tmp_path / changed)) // 2)
    assert (tmp_path / changed).stat().st_size == lengths
    with pytest.raises(BadDataError, match=r"from before a\.png or its LR was changed: use another folder"):
        prepare(hr, tmp_path / "set", (4,), lr)
    assert PreparedSet.open(tmp_path / "set") == first


def test_a_photograph_edited_at_the_same_length_is_noticed(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60), (60, 60)])
    _write_plain(photos / "p1.png", arrays.read_array(photos / "p1.png"))
    prepare(photos, tmp_path / "set", (2,))
    _write_plain(photos / "p1.png", 255 - arrays.read_array(photos / "p1.png"))
    with pytest.raises(BadDataError, match=r"from before p1\.png was changed: use another folder"):
        prepare(photos, tmp_path / "set", (2,))


def test_the_same_pictures_written_anew_are_the_same_set(folders: tuple[Path, Path], tmp_path: Path) -> None:
    hr, lr = folders
    first = prepare(hr, tmp_path / "set", (4,), lr)
    for path in (hr / "a.png", lr / "ax4.png", lr / "dx4.png"):
        os.utime(path, (1e9, 1e9))
    assert prepare(hr, tmp_path / "set", (4,), lr) == first


@pytest.mark.thorough
def test_a_picture_edited_while_a_set_is_under_way_is_read_again(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hr, lr = folders
    _write_plain(lr / "bx4.png", arrays.read_array(lr / "bx4.png"))
    _cut_off(hr, tmp_path / "set", lr, monkeypatch)
    _write_plain(lr / "bx4.png", 255 - (255 - arrays.read_array(lr / "bx4.png")) // 2)
    assert prepare(hr, tmp_path / "set", (4,), lr).photos == prepare(hr, tmp_path / "anew", (4,), lr).photos


def _write_plain(path: Path, pixels: np.ndarray) -> None:
    """Write a picture without compression, a little later than it was."""
    before = path.stat().st_mtime
    Image.fromarray(pixels).save(path, compress_level=0)
    os.utime(path, (before + 1, before + 1))
