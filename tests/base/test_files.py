"""Atomic writes and optional packages: the file before or the whole new one, and one line of what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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


def test_what_is_no_regular_file_is_written_through(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "out").symlink_to("/dev/stdout")
    for name in ("null", "out"):
        files.check_place(tmp_path / name)
        files.write_text(tmp_path / name, "figures\n")
    assert capfd.readouterr().out == "figures\n"
    os.mkfifo(tmp_path / "pipe")
    files.check_place(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_text)
        files.write_text(tmp_path / "pipe", "figures")
        assert read.result() == "figures"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null", "out", "pipe"]
    assert (tmp_path / "null").is_symlink()
    assert (tmp_path / "pipe").is_fifo()


def test_stdout_in_a_file_keeps_what_was_written_before(tmp_path: Path) -> None:
    code = "from lamnet.base.files import write_text; from pathlib import Path; print('table');"
    code += "write_text(Path('/dev/stdout'), 'figures\\n'); print('end')"
    with (tmp_path / "all").open("w") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert (tmp_path / "all").read_text() == "table\nfigures\nend\n"


def test_text_is_read_within_bounds(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("äb")
    assert files.read_text(tmp_path / "file", 3) == "äb"
    with pytest.raises(ValueError, match="more than 2 bytes"):
        files.read_text(tmp_path / "file", 2)
    (tmp_path / "file").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="no text"):
        files.read_text(tmp_path / "file")
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        files.read_text(Path("/dev/zero"), 1000)
    with pytest.raises(IsADirectoryError):
        files.read_text(tmp_path)


def test_a_pipe_is_read_where_somebody_writes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert files.read_text(tmp_path / "pipe") == ""
    read, write = os.pipe()
    os.write(write, b"text")
    os.close(write)
    assert files.read_text(Path(f"/dev/fd/{read}")) == "text"
    os.close(read)


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "link").symlink_to("below/file")
    for text in ("one", "two"):
        files.write_text(tmp_path / "link", text)
        assert (tmp_path / "below" / "file").read_text() == text
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "below").iterdir()] == ["file"]


def test_a_place_is_tried_first(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadDataError, match="folder: cannot be written: Is a directory"):
        files.check_place(tmp_path / "folder")
    with pytest.raises(BadDataError, match="folder: cannot be written: Is a directory"):
        files.write_text(tmp_path / "folder", "text")
    with pytest.raises(BadDataError, match="file: cannot be written: No such file or directory"):
        files.check_place(tmp_path / "absent" / "file")
    (tmp_path / "file").write_text("before")
    files.check_place(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


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
