"""`lamnet upscale` from outside: names of results, one line for each bad input, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig, Upscaler
from lamnet.base import files
from lamnet.base.errors import BadArgumentError
from lamnet.batch import jobs
from lamnet.cli.main import main
from lamnet.media import arrays
from lamnet.network import weights


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    weights.save(path, LAMNet(LAMNetConfig(scale=4, channels=8, groups=1, blocks=1, heads=2)))
    return path


pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


@dataclass
class Done:
    """What a call printed, line by line, and its exit code."""

    code: int
    out: list[str]
    err: list[str]


Command = Callable[..., Done]


@pytest.fixture
def lamnet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`lamnet ARGUMENTS`, in this process: starting PyTorch for every test would take minutes."""

    def call(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["lamnet", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        printed = capsys.readouterr()
        return Done(int(str(code or 0)), printed.out.splitlines(), printed.err.splitlines())

    return call


@pytest.fixture
def upscale(lamnet: Command, model: Path) -> Command:
    return lambda *arguments: lamnet("upscale", *arguments, "--model", model, "--device", "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good PNG and a good JPEG among a text file, an empty file and half a JPEG."""
    pixels = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    arrays.write_array(tmp_path / "good.png", pixels)
    arrays.write_array(tmp_path / "good.jpg", pixels)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def test_bad_files_get_a_line_each_and_the_others_are_done(upscale: Command, folder: Path) -> None:
    names = ["missing.png", "text.png", "empty.png", "half.jpg", "good.png", "good.jpg"]
    done = upscale(*(folder / name for name in names))
    assert done.code == 1
    problems = done.err
    assert len(problems) == 4
    for name, line in zip(names, problems, strict=False):
        assert line.startswith(f"lamnet: {folder / name}: ")
    assert done.out == [str(folder / "good_x4.png"), str(folder / "good_x4.jpg")]
    assert arrays.read_array(folder / "good_x4.jpg").shape == (80, 120, 3)
    assert not [path for path in folder.iterdir() if "partial" in path.name]


def test_a_result_is_replaced_only_when_asked(upscale: Command, folder: Path) -> None:
    kept = folder / "good_x4.png"
    kept.write_text("mine")
    refused = upscale(folder / "good.png")
    assert refused.code == 1
    assert "--overwrite" in refused.err[0]
    assert kept.read_text() == "mine"
    assert upscale(folder / "good.png", "--overwrite").code == 0
    assert arrays.read_array(kept).shape == (80, 120, 3)


def test_a_folder_goes_into_a_folder(upscale: Command, folder: Path) -> None:
    done = upscale(folder, "-o", folder / "out")
    assert done.code == 1
    assert len(done.err) == 3
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["good_x4.jpg", "good_x4.png"]


def test_a_named_result_says_the_format(upscale: Command, folder: Path) -> None:
    assert upscale(folder / "good.png", "-o", folder / "other.webp").code == 0
    assert (folder / "other.webp").read_bytes()[8:12] == b"WEBP"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "nothing"], "nothing"),
        (["--scale", "5"], "at most 4"),
        (["--memory", "much"], "2GB"),
        (["--to", "big"], "3840x2160"),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(
    lamnet: Command, folder: Path, model: Path, arguments: list[str], expected: str
) -> None:
    rest = arguments if "--model" in arguments else ["--model", str(model), *arguments]
    done = lamnet("upscale", folder / "good.png", *rest)
    assert done.code == 1
    assert len(done.err) == 1
    assert expected in done.err[0]


def test_a_folder_that_cannot_be_made_fails_only_its_pictures(upscale: Command, folder: Path) -> None:
    (folder / "file").touch()
    done = upscale(folder / "good.png", folder / "good.jpg", "-o", folder / "file" / "out")
    assert done.code == 1
    assert len(done.err) == 2


def planned(*arguments: Any) -> list[jobs.Job]:
    return list(jobs.find(*arguments))


def test_names_of_results(tmp_path: Path) -> None:
    found = planned([str(tmp_path / "a.b.png"), str(tmp_path / "b.jpg")], None, "_x3")
    assert [job.target.name for job in found] == ["a.b_x3", "b_x3"]
    [job] = planned([str(tmp_path / "a.png")], tmp_path / "deep", "_x2")
    assert job.target == tmp_path / "deep" / "a_x2"
    [job] = planned([str(tmp_path / "a.png")], tmp_path / "b.tif", "_x2")
    assert (job.target, job.needs_suffix) == (tmp_path / "b.tif", False)
    with pytest.raises(BadArgumentError, match="folder"):
        planned(["a.png", "b.png"], tmp_path / "b.tif", "_x2")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Pictures at two depths, a loop of links, a hidden folder, and results of an earlier call."""
    for name in ("a.png", "a_x4.png", "sub/b.jpg", "sub/.cache/c.png", "out/a_x4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        arrays.write_array(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.png").symlink_to(tmp_path / "broken.png")
    return tmp_path


def test_folders_are_searched_below_and_mirrored(tree: Path) -> None:
    found = planned([str(tree)], tree / "out", "_x4")
    assert [job.source.relative_to(tree) for job in found] == [Path("a.png"), Path("a_x4.png"), Path("sub/b.jpg")]
    assert [job.target.relative_to(tree) for job in found] == [
        Path("out/a_x4"),
        Path("out/a_x4_x4"),
        Path("out/sub/b_x4"),
    ]


def test_results_beside_their_sources_are_no_sources(tree: Path) -> None:
    found = planned([str(tree)], None, "_x4")
    assert [str(job.source.relative_to(tree)) for job in found] == ["a.png", "out/a_x4.png", "sub/b.jpg"]


def test_patterns(tree: Path) -> None:
    found = planned([str(tree / "**" / "?.*g")], tree / "flat", "_x4")
    assert [job.source.name for job in found] == ["a.png", "b.jpg"]
    assert all(job.found for job in found)


def test_a_second_call_over_a_folder_goes_on(upscale: Command, folder: Path) -> None:
    for name in ("text.png", "empty.png", "half.jpg"):
        (folder / name).unlink()
    (folder / "out").mkdir()
    (folder / "out" / "good_x4.png").write_text("done before")
    done = upscale(folder, "-o", folder / "out")
    assert done.code == 0
    assert len(done.out) == 2
    assert len(done.err) == 1
    assert (folder / "out" / "good_x4.png").read_text() == "done before"


def test_two_calls_at_once_do_nothing_twice(folder: Path, model: Path) -> None:
    command = [sys.executable, "-m", "lamnet", "upscale", folder, "-o", folder / "out", "--model", model]
    target = folder / "out" / "good_x4.png"
    target.parent.mkdir()
    with files.alone(target):
        other = subprocess.Popen([*command, "--device", "cpu"], stderr=subprocess.PIPE, text=True)
        while not (folder / "out" / "good_x4.jpg").exists():
            assert other.poll() is None
            time.sleep(0.05)
        target.write_text("ours")
    _, err = other.communicate()
    assert target.read_text() == "ours"
    assert f"lamnet: {target}: was there already and is kept; --overwrite replaces it" in err.splitlines()
    assert sorted(path.name for path in target.parent.iterdir()) == ["good_x4.jpg", "good_x4.png"]


def test_what_cannot_be_made_is_said_of_the_result(upscale: Command, folder: Path) -> None:
    (folder / ".b.png.rows.partial").mkdir()
    done = upscale(folder / "good.png", "-o", folder / "b.png")
    assert done.err == [f"lamnet: {folder / 'b.png'}: cannot be written: Is a directory"]


def test_the_source_is_never_its_own_result(upscale: Command, folder: Path) -> None:
    before = (folder / "good.png").read_bytes()
    done = upscale(folder / "good.png", "-o", folder / "good.png", "--overwrite")
    assert done.code == 1
    assert (folder / "good.png").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "name", "size"),
    [
        (["--scale", "2.5"], "good_x2.5.png", (50, 75)),
        (["--scale", "2"], "good_x2.png", (40, 60)),
        (["--to", "60x200"], "good_60x200.png", (40, 60)),
        (["--to", "x70"], "good_x70.png", (70, 105)),
    ],
)
def test_any_size(upscale: Command, folder: Path, arguments: list[str], name: str, size: tuple[int, int]) -> None:
    assert upscale(folder / "good.png", *arguments).code == 0
    assert arrays.read_array(folder / name).shape[:2] == size


def test_a_size_beyond_the_network_is_refused(upscale: Command, folder: Path) -> None:
    done = upscale(folder / "good.png", "--to", "3840x2160")
    assert done.code == 1
    assert f"{folder / 'good.png'}: scale: expected at most 4 times" in done.err[0]


def test_a_dry_run_says_and_does_nothing(upscale: Command, folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = upscale(folder, "--dry-run", "--tile", "8")
    assert sorted(folder.iterdir()) == before
    assert done.code == 1
    assert len(done.err) == 3
    assert len(done.out) == 2
    assert "30 x 20 -> 120 x 80, 12 tiles of up to 8" in done.out[0]


@pytest.mark.parametrize("name", ["two\nlines.png", "sp ace[1].png", "ünï.png", "[Q=1].png", "-dash.png"])
def test_awkward_names(upscale: Command, tmp_path: Path, name: str) -> None:
    arrays.write_array(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    done = upscale(tmp_path / name)
    assert (done.code, done.err) == (0, [])
    assert len(done.out) == 1
    assert arrays.read_array(tmp_path / name.replace(".png", "_x4.png")).shape == (16, 16, 3)


def started(*arguments: str | Path, before: str = "") -> subprocess.Popen[str]:
    """`lamnet upscale ARGUMENTS` in a process of its own, after some Python."""
    code = f"{before}\nfrom lamnet.cli.main import main; main()"
    command = [sys.executable, "-c", code, "upscale", *map(str, arguments), "--device", "cpu"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_disk_that_fills_up_is_one_line(folder: Path, model: Path) -> None:
    arrays.write_array(folder / "large.png", np.zeros((200, 200, 3), np.uint8))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    process = started(folder / "large.png", folder / "good.png", "--model", model, before=limit)
    out, err = process.communicate()
    assert process.returncode == 1
    assert out.splitlines() == [str(folder / "good_x4.png")]
    [line] = err.splitlines()
    assert "large_x4.png: cannot be written" in line
    assert not [path for path in folder.iterdir() if "partial" in path.name or path.name == "large_x4.png"]


def test_ctrl_c_leaves_no_part_of_a_result(folder: Path, model: Path) -> None:
    arrays.write_array(folder / "large.png", np.zeros((2000, 3000, 3), np.uint8))
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = started(folder / "large.png", "--model", model, "--tile", "64", before=listen)
    while not [path for path in folder.iterdir() if path.name.endswith(".partial") and path.stat().st_size]:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert not [path for path in folder.iterdir() if "large" in path.name and path.name != "large.png"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
@pytest.mark.parametrize(("size", "scale", "tile"), [("tiny", 2, 384), ("base", 4, 160)])
def test_a_process_stays_within_its_plan(folder: Path, size: str, scale: int, tile: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5 * tile, 6 * tile, 3), np.uint8)
    arrays.write_array(folder / "large.png", noise)
    plan = Upscaler(weights.load(size, scale), tile=tile).plan(*noise.shape[:2])
    process = started(folder / "large.png", "--model", size, "--scale", str(scale), "--tile", str(tile))
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert 1024 * usage.ru_maxrss <= plan.memory


def test_a_manifest_stays_where_nothing_was_tried(upscale: Command, lamnet: Command, folder: Path, model: Path) -> None:
    manifest = folder.parent / "failed.jsonl"
    manifest.write_text("earlier\n")
    refused = lamnet("upscale", folder, "--model", model, "--device", "cuda:99", "--manifest", manifest)
    assert refused.code == 1
    assert manifest.read_text() == "earlier\n"
    upscale(folder, "--manifest", manifest)
    assert "earlier" not in manifest.read_text()
    assert sorted(path.name for path in folder.parent.iterdir() if "partial" in path.name) == []


@pytest.mark.parametrize("kind", ["", ".lock", ".rows"])
def test_links_in_the_place_of_partial_files_lead_nowhere(
    upscale: Command, folder: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "victim").write_text("precious")
    source = next(path for path in sorted(folder.iterdir()) if path.suffix == ".png")
    result = tmp_path / "out.png"
    files.partial_of(result, kind).symlink_to(tmp_path / "victim")
    upscale(source, "-o", result)
    assert (tmp_path / "victim").read_text() == "precious"
