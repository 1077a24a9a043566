"""A prepared set in the making: cut off, damaged, continued, or on a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamnet.base.errors import BadDataError
from lamnet.base.progress import finish
from lamnet.training import preparation as module
from lamnet.training.journal import Journal
from lamnet.training.preparation import prepare, preparing
from lamnet.training.prepared import Photo, PreparedSet
from support.mutations import COUNTS, mutated
from support.sets import photographs


def test_goes_on_where_it_was_cut_off_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = photographs(tmp_path / "in", [(60, 60), (72, 48), (48, 96), (60, 84)])
    whole = prepare(photos, tmp_path / "whole")
    convert, done, allowed = module.convert, list[str](), {"p0.png", "p1.png"}

    def cut_off(folder: Path, source: Photo, scales: list[int]):
        if source.name not in allowed:
            raise KeyboardInterrupt
        done.append(source.name)
        return convert(folder, source, scales)

    monkeypatch.setattr(module, "convert", cut_off)
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


def _cut_off(photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    """Prepare until a photograph is converted, and stop there."""
    convert = module.convert

    def stopping(folder: Path, source: Photo, scales: list[int]):
        if source.name >= after:
            raise KeyboardInterrupt
        return convert(folder, source, scales)

    with monkeypatch.context() as patched:
        patched.setattr(module, "convert", stopping)
        with pytest.raises(KeyboardInterrupt):
            prepare(photos, out)


def _same(one: PreparedSet, other: PreparedSet) -> bool:
    files = all(one.file(scale).read_bytes() == other.file(scale).read_bytes() for scale in (1, *other.scales))
    return files and (one.photos, one.skipped, one.scales) == (other.photos, other.skipped, other.scales)


def _change_byte(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
@pytest.mark.parametrize("count", COUNTS)
def test_damaged_journals_end_in_the_whole_set_or_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    photos = photographs(tmp_path / "in", [(48, 48), (48, 50), (48, 60)])
    whole = prepare(photos, tmp_path / "whole", (2,))
    convert, known = module.convert, dict[str, Any]()

    def remembered(folder: Path, source: Photo, scales: list[int]):
        if source.name not in known:
            known[source.name] = convert(folder, source, scales)
        return known[source.name]

    monkeypatch.setattr(module, "convert", remembered)
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


def test_two_at_once_do_not_ruin_the_set(tmp_path: Path) -> None:
    photos = photographs(tmp_path / "in", [(60, 60), (72, 48)])
    first = preparing(photos, tmp_path / "out")
    next(first)
    with pytest.raises(BadDataError, match=rf"out: .* in use by process {os.getpid()} on "):
        prepare(photos, tmp_path / "out")
    assert _same(finish(first), prepare(photos, tmp_path / "whole"))
    prepare(photos, tmp_path / "out")


_STOPS_AT_THE_THIRD = """
import sys, time
from pathlib import Path
from lamnet.training import journal, preparation
journal._SYNCED_EVERY_S = 0
convert = preparation.convert
def stopping(folder, source, scales):
    if source.name == "p2.png":
        time.sleep(60)
    return convert(folder, source, scales)
preparation.convert = stopping
preparation.prepare(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.thorough
def test_what_a_killed_call_has_locked_is_taken_over_and_goes_on(tmp_path: Path) -> None:
    photos, out = photographs(tmp_path / "in", [(60, 60), (72, 48), (48, 96), (60, 84)]), tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", _STOPS_AT_THE_THIRD, photos, out])
    journal = out / "journal.jsonl"
    while not journal.exists() or journal.read_text().count("\n") < 3:  # what it is about, and two photographs
        assert process.poll() is None
        time.sleep(0.02)
    with pytest.raises(BadDataError, match=f"in use by process {process.pid} "):
        prepare(photos, out)
    process.kill()
    process.wait()
    assert (out / ".lock").exists()
    assert _same(prepare(photos, out), prepare(photos, tmp_path / "whole"))
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in (tmp_path / "whole").iterdir())


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


def _photo(name: str) -> tuple[Photo, dict[int, np.ndarray]]:
    hr = np.full((48, 50, 3), len(name), np.uint8)
    return Photo(name, 48, 50, bytes=9), {1: hr, 2: hr[::2, ::2]}


def test_a_journal_keeps_whole_photographs_and_ends_in_an_index(tmp_path: Path) -> None:
    sources = [Photo(name, bytes=9) for name in ("a", "bb", "ccc")]
    with Journal(tmp_path, (2,), sources) as journal:
        journal.add(*_photo("a"))
        journal.add(Photo("bb", bytes=9, reason="too small"), {})
    with Journal(tmp_path, (2,), sources) as journal:
        assert [photo.name for photo in journal.usable] == ["a"]
        assert [photo.reason for photo in journal.skipped] == ["too small"]
        journal.add(*_photo("ccc"))
        journal.write_index()
    opened = PreparedSet.open(tmp_path)
    assert [photo.name for photo in opened.photos] == ["a", "ccc"]
    assert list(opened.whole_photos()) == list(opened.photos)
    assert not (tmp_path / "journal.jsonl").exists()


def test_a_journal_of_other_photographs_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path, (2,), [Photo("a", bytes=9)]) as journal:
        journal.add(*_photo("a"))
    with pytest.raises(BadDataError, match="holds part of a set of other photographs"):
        Journal(tmp_path, (2,), [Photo("other", bytes=9)])
