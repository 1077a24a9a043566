"""stdin, stdout, FIFOs and devices in the place of files, and what a call says of its results' names, format and quality."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lamnet.base import files
from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.batch import names
from lamnet.media import arrays
from support.commands import Command

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="FIFOs of POSIX")


@pytest.fixture
def png(tmp_path: Path) -> Path:
    arrays.write_array(tmp_path / "a.png", PIXELS)
    return tmp_path / "a.png"


@pytest.mark.thorough
def test_from_stdin_to_stdout(png: Path, model: Path) -> None:
    code = "from lamnet.cli.main import main; main()"
    command = [sys.executable, "-c", code, "upscale", "-", "--model", model, "--device", "cpu"]
    done = subprocess.run(command, input=png.read_bytes(), capture_output=True, check=True)
    assert done.stderr == b""
    assert Image.open(io.BytesIO(done.stdout)).size == (36, 24)
    again = subprocess.run([*command, "-o", "-", "--format", "jpg", "--json"], input=done.stdout, capture_output=True)
    assert Image.open(io.BytesIO(again.stdout)).format == "JPEG"
    assert json.loads(again.stderr)["target"] == "-"
    refused = subprocess.run(command, input=b"text", capture_output=True)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr.startswith(b"lamnet: -: expected a picture")


def test_fifos(upscale: Command, png: Path, tmp_path: Path) -> None:
    for name in ("in", "out.webp"):
        os.mkfifo(tmp_path / name)
    got: list[bytes] = []
    ends = [
        threading.Thread(target=lambda: (tmp_path / "in").write_bytes(png.read_bytes())),
        threading.Thread(target=lambda: got.append((tmp_path / "out.webp").read_bytes())),
    ]
    for end in ends:
        end.start()
    done = upscale(tmp_path / "in", "-o", tmp_path / "out.webp", "--overwrite", "--format", "webp")
    for end in ends:
        end.join()
    assert (done.code, done.err) == (0, [])
    assert got[0][8:12] == b"WEBP"
    assert (tmp_path / "out.webp").is_fifo()
    refused = upscale(tmp_path / "in")
    assert refused.err == [f"lamnet: {tmp_path / 'in'}: expected a place for the result of a stream, --out"]
    assert "got the stream -" in upscale(png, png.with_name("b.png"), "-o", "-").err[0]


def test_a_dry_run_reads_no_stream_and_a_kept_result_of_one_has_no_age(
    upscale: Command, png: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "in")
    refused = upscale(tmp_path / "in", "-o", tmp_path, "--dry-run")
    assert refused.err == [
        f"lamnet: {tmp_path / 'in'}: expected files for a dry run, which reads no stream, found a stream"
    ]
    (tmp_path / "in_x4.png").write_bytes(png.read_bytes())
    os.utime(tmp_path / "in_x4.png", (0, 0))
    end = threading.Thread(target=lambda: (tmp_path / "in").write_bytes(png.read_bytes()))
    end.start()
    done = upscale(tmp_path / "in", "-o", tmp_path)
    end.join()
    assert done.code == 0
    assert not any("older" in line for line in [*done.out, *done.err])


def test_a_manifest_that_cannot_be_written_is_named_before_the_work(
    upscale: Command, png: Path, tmp_path: Path
) -> None:
    done = upscale(png, "--manifest", tmp_path / "none" / "failures.json")
    assert done.code == 1
    assert "failures.json: cannot be written" in done.err[0]
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_what_is_no_regular_file_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    files.write_text(tmp_path / "link", "new")
    assert ((tmp_path / "file").read_text(), (tmp_path / "link").is_symlink()) == ("new", True)
    files.write_text(Path(os.devnull), "nothing")
    assert files.is_stream(Path(os.devnull))
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadImageError, match="Is a directory"):
        files.write_text(tmp_path / "folder", "text", BadImageError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "link"]


def test_a_manifest_on_stdout(upscale: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest")
    got: list[str] = []
    end = threading.Thread(target=lambda: got.append((tmp_path / "manifest").read_text()))
    end.start()
    upscale(tmp_path / "absent.png", "--manifest", tmp_path / "manifest")
    end.join()
    assert json.loads(got[0]) == {
        "source": str(tmp_path / "absent.png"),
        "problem": f"{tmp_path / 'absent.png'}: no such file",
    }


def test_names_format_and_quality(upscale: Command, png: Path) -> None:
    sizes: list[int] = []
    for quality in (20, 95):
        arguments = ("--format", "jpg", "--quality", str(quality), "--name", f"{{stem}}-q{quality}-{{goal}}")
        done = upscale(png.parent, *arguments)
        assert (done.code, done.err) == (0, [])
        assert done.out == [str(png.with_name(f"a-q{quality}-x4.jpg"))]
        assert upscale(png, *arguments).code == 0  # kept
        sizes.append(Path(done.out[0]).stat().st_size)
        Path(done.out[0]).unlink()
    assert sizes[0] < sizes[1]
    done = upscale(png, "--quality", "80")
    assert done.err == [f"lamnet: {png.with_name('a_x4.png')}: quality 80 means nothing in .png"]
    arrays.write_array(png.with_name("deep.png"), PIXELS.astype(np.uint16) * 257)
    done = upscale(png.with_name("deep.png"), "--format", "jpg")
    assert "16 bits became 8 bits, the most that .jpg holds" in done.err[0]


def test_results_under_a_pattern_of_ones_own_are_no_sources(upscale: Command, png: Path) -> None:
    for _ in range(2):
        done = upscale(png.parent, "--name", "big {stem}")
        assert done.out == [str(png.with_name("big a.png"))]


def test_a_json_line_for_each(upscale: Command, folder: Path) -> None:
    done = upscale(folder, "--json")
    lines = [json.loads(line) for line in done.out]
    assert (done.code, done.err) == (1, [])
    assert {Path(line["source"]).name: line["reason"] is None for line in lines} == {
        "empty.png": False,
        "good.jpg": True,
        "good.png": True,
        "half.jpg": False,
        "text.png": False,
    }
    assert lines[1]["target"] == str(folder / "good_x4.jpg")
    assert lines[0]["problem"].startswith(f"{folder / 'empty.png'}: ")


@pytest.mark.parametrize("name", ["x4", "{stem}/{goal}", "{stem}{scale}", "{goal}", "{stem}" + "q" * 60])
def test_patterns_that_would_not_do(name: str) -> None:
    with pytest.raises(BadArgumentError, match="name: expected a name with"):
        names.checked(name)


@pytest.mark.parametrize("arguments", [["--format", "xyz"], ["--format", "bmp"], ["--quality", "0"]])
def test_what_there_is_none_of(upscale: Command, png: Path, arguments: list[str]) -> None:
    done = upscale(png, *arguments)
    assert (done.code, len(done.err)) == (1, 1)
    assert f"{arguments[0][2:]}: expected" in done.err[0]


@pytest.mark.thorough
@pytest.mark.parametrize(("closed", "rest"), [(">&-", ""), (">&- 2>&-", ""), (">/dev/full", "no more lines")])
def test_a_stdout_that_takes_nothing_ends_no_batch(
    png: Path, model: Path, tmp_path: Path, closed: str, rest: str
) -> None:
    (tmp_path / "b.png").write_bytes(png.read_bytes())
    code = "from lamnet.cli.main import main; main()"
    command = [sys.executable, "-c", code, "upscale", png, "b.png", "--model", model, "--device", "cpu", "-o", "out"]
    line = f"{shlex.join(map(str, command))} {closed}"
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert rest in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 2
