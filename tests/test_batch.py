"""`lamnet upscale` from outside: names of results, one line for each bad input, exit codes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig, batch, images, weights

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    weights.save(path, LAMNet(LAMNetConfig(scale=4, channels=8, groups=1, blocks=1, heads=2)))
    return path


@pytest.fixture
def lamnet(model: Path) -> Command:
    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from lamnet.cli import main; main()", "upscale", *map(str, arguments)]
        return subprocess.run(
            [*command, "--model", str(model), "--device", "cpu"], capture_output=True, text=True, check=False
        )

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good PNG and a good JPEG among a text file, an empty file and half a JPEG."""
    pixels = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    images.write_array(tmp_path / "good.png", pixels)
    images.write_array(tmp_path / "good.jpg", pixels)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    whole = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def test_bad_files_get_a_line_each_and_the_others_are_done(lamnet: Command, folder: Path) -> None:
    names = ["missing.png", "text.png", "empty.png", "half.jpg", "good.png", "good.jpg"]
    done = lamnet(*(folder / name for name in names))
    assert done.returncode == 1
    problems = done.stderr.splitlines()
    assert len(problems) == 4
    for name, line in zip(names, problems, strict=False):
        assert line.startswith(f"lamnet: {folder / name}: ")
    assert done.stdout.split() == [str(folder / "good_x4.png"), str(folder / "good_x4.jpg")]
    assert images.read_array(folder / "good_x4.jpg").shape == (80, 120, 3)
    assert not [path for path in folder.iterdir() if "partial" in path.name]


def test_a_result_is_replaced_only_when_asked(lamnet: Command, folder: Path) -> None:
    kept = folder / "good_x4.png"
    kept.write_text("mine")
    refused = lamnet(folder / "good.png")
    assert refused.returncode == 1
    assert "--overwrite" in refused.stderr
    assert kept.read_text() == "mine"
    assert lamnet(folder / "good.png", "--overwrite").returncode == 0
    assert images.read_array(kept).shape == (80, 120, 3)


def test_a_folder_goes_into_a_folder(lamnet: Command, folder: Path) -> None:
    done = lamnet(folder, "-o", folder / "out")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 3
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["good_x4.jpg", "good_x4.png"]


def test_a_named_result_says_the_format(lamnet: Command, folder: Path) -> None:
    assert lamnet(folder / "good.png", "-o", folder / "other.webp").returncode == 0
    assert (folder / "other.webp").read_bytes()[8:12] == b"WEBP"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--model", "nothing"], "nothing"), (["--scale", "3"], "x3"), (["--device", "tpu"], "tpu")],
)
def test_what_cannot_be_loaded_is_one_line(folder: Path, model: Path, arguments: list[str], expected: str) -> None:
    command = [sys.executable, "-c", "from lamnet.cli import main; main()", "upscale", str(folder / "good.png")]
    rest = arguments if "--model" in arguments else ["--model", str(model), *arguments]
    done = subprocess.run([*command, *rest], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert expected in done.stderr


def test_a_folder_that_cannot_be_made_fails_only_its_pictures(lamnet: Command, folder: Path) -> None:
    (folder / "file").touch()
    done = lamnet(folder / "good.png", folder / "good.jpg", "-o", folder / "file" / "out")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2


def test_names_of_results(tmp_path: Path) -> None:
    jobs = batch.plan_jobs([tmp_path / "a.png", tmp_path / "b.jpg"], None, 3)
    assert [job.target.name for job in jobs] == ["a_x3.png", "b_x3.jpg"]
    [job] = batch.plan_jobs([tmp_path / "a.png"], tmp_path / "deep", 2)
    assert job.target == tmp_path / "deep" / "a_x2.png"
