"""Atomic writes and optional packages: the file before or the whole new one, and one line of what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lamnet.base import extras, files
from lamnet.base.errors import BadDataError, BadImageError, BadWeightsError, MissingExtraError


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_appears_at_the_end(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with files.appearing(path, durable=durable) as partial:
        partial.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write() -> None:
        with files.appearing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_an_error_of_the_callers_kind(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "a.txt"
    with pytest.raises(BadDataError, match=r"a\.txt: cannot be written: No such file or directory"):
        files.write_text(path, "text")
    with pytest.raises(BadWeightsError, match=r"a\.txt: cannot be written"):
        files.write_text(path, "text", BadWeightsError)


def test_a_partial_file_is_hidden_and_has_a_name_that_systems_take(tmp_path: Path) -> None:
    assert files.partial_of(tmp_path / "a.png", ".rows") == tmp_path / ".a.png.rows.partial"
    files.write_text(tmp_path / ("q" * 255), "long")
    assert (tmp_path / ("q" * 255)).read_text() == "long"


def test_a_result_that_is_its_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    files.check_apart(tmp_path / "a", tmp_path / "c")
    with pytest.raises(BadImageError, match="another name"):
        files.check_apart(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("at", [0, 3, 6])
def test_bytes_are_inserted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    monkeypatch.setattr(files, "_BLOCK", 2)
    path = tmp_path / "a"
    path.write_bytes(b"abcdef")
    files.insert(path, at, b"123")
    assert path.read_bytes() == b"abcdef"[:at] + b"123" + b"abcdef"[at:]


def test_a_missing_package_is_one_line_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r'^clip\.mp4: video needs av, .*"lamnet-sr\[video\]"') as caught:
        extras.require("av", "video", "clip.mp4: video")
    assert "\n" not in str(caught.value)
    assert extras.require("json.decoder", "video", "a test") is sys.modules["json.decoder"]
