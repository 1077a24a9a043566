"""The commands where PyTorch is not installed, and that they leave it alone where it is."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import lamnet
from lamnet.media import arrays

pytestmark = pytest.mark.thorough

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""
COMMAND = "from lamnet.__main__ import main\nmain()"
UNTOUCHED = """
import sys
from lamnet.__main__ import main
try:
    main()
finally:
    assert "torch" not in sys.modules
"""


def called(code: str, *arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )


def lamnet_of(folder: Path, *arguments: object) -> str:
    """Run the command without PyTorch, and return what it prints."""
    done = called(BLOCKED + COMMAND, *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


BROKEN = """
from lamnet.core import library
library.FOLDER = library.Path("nowhere")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a picture of smooth noise in it, and the same one below it."""
    coarse = np.random.default_rng(0).integers(0, 256, (8, 10, 3), np.uint8)
    for place in (tmp_path, tmp_path / "photos"):
        place.mkdir(exist_ok=True)
        arrays.write_array(place / "a.png", coarse.repeat(6, 0).repeat(6, 1))
    return tmp_path


@pytest.mark.parametrize("options", ["", "--precision bfloat16", "--tile 32 --exact", "--ensemble", "--scale 1.5"])
def test_pictures_are_those_of_pytorch(folder: Path, options: str) -> None:
    torch = pytest.importorskip("torch")
    given = options if "--scale" in options else f"--scale 2 {options}"
    lamnet_of(folder, "upscale", "a.png", "-o", "b.png", "--model", "tiny", "--weights", "clean", *given.split())
    source, found = arrays.read_array(folder / "a.png"), arrays.read_array(folder / "b.png")
    goal = lamnet.Goal(factor=1.5) if "1.5" in options else None
    up = lamnet.Upscaler(lamnet.load("tiny", 2), "cpu", ensemble="ensemble" in options, goal=goal)
    assert str(up.engine.identity()["precision"]) == str(torch.float32)
    apart = np.abs(up(source).astype(int) - found.astype(int))
    assert apart.max() <= (6 if "bfloat16" in options else 1)


def test_folders_upscaler_and_dry_runs(folder: Path) -> None:
    assert lamnet_of(folder, "upscale", "photos", "-o", "out", "--model", "tiny", "--scale", "2").split()
    assert "60 x 48 -> 240 x 192" in lamnet_of(folder, "upscale", "a.png", "--dry-run")
    code = BLOCKED + "import lamnet\nlamnet.Upscaler('tiny', scale=2).file('a.png', 'c.png')"
    assert called(code, folder=folder).returncode == 0
    assert (folder / "c.png").read_bytes() == (folder / "out" / "a_x2.png").read_bytes()


def test_a_video(folder: Path) -> None:
    clips = pytest.importorskip("support.clips", reason='needs PyAV: pip install "lamnet-sr[video]"')
    clip = clips.clip(folder, "clip.mp4")
    assert "clip_x2.mp4" in lamnet_of(folder, "upscale", clip, "--model", "tiny", "--scale", "2")


def test_other_commands(folder: Path) -> None:
    assert "upscale" in lamnet_of(folder, "--help")
    assert "weights" in lamnet_of(folder, "info")
    assert "tiny" in lamnet_of(folder, "models")
    assert "1 photographs" in lamnet_of(folder, "prepare", "photos", "set")
    table = lamnet_of(folder, "evaluate", "tiny", "bicubic", "--data", "photos", "--scale", 2, "--ensemble")
    assert "tiny+" in table
    lamnet_of(folder, "export", "tiny", folder / "tiny-x4.param")
    if find_spec("skimage"):
        assert "side-by-side" in lamnet_of(folder, "demo")


@pytest.mark.parametrize(
    "arguments",
    [
        "train tiny_x4 --data set --out run",
        "bench",
        "figures curve run -o curve.png",
        "figures compare a.png tiny -o figure.png",
        "export tiny tiny.pt2",
        "upscale a.png --device cuda",
        "upscale a.png --precision float16",
        "upscale a.png --model published.pth",
        "evaluate published.pth --data photos",
    ],
)
def test_what_takes_pytorch_names_the_extra_in_one_line(folder: Path, arguments: str) -> None:
    (folder / "published.pth").write_bytes(b"\x80\x02")
    done = called(BLOCKED + COMMAND, *arguments.split(), folder=folder)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("lamnet: ")
    assert "lamnet-sr[torch" in line


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("upscale a.png --model a.png", "a.png: expected a weights file, of safetensors or torch.save, found "),
        ("info a.png", "a.png: expected a weights file, of safetensors or torch.save, found "),
        ("evaluate spandrel:none.pth --data photos --scale 2", "none.pth: no such file"),
        (
            "upscale a.png --device xpu",
            "device: expected cpu, or with PyTorch one such as cuda, cuda:1 or mps, got xpu",
        ),
    ],
)
def test_what_pytorch_would_not_take_asks_for_no_extra(folder: Path, words: str, problem: str) -> None:
    done = called(BLOCKED + COMMAND, *words.split(), folder=folder)
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("upscaling on ")]
    assert line.startswith(f"lamnet: {problem}")


@pytest.mark.parametrize("blocked", ["", BLOCKED])
def test_a_backend_that_is_none_is_refused(folder: Path, blocked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMNET_BACKEND", "bogus")
    done = called(blocked + COMMAND, "upscale", "a.png", "--model", "tiny", folder=folder)
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("upscaling on ")]
    assert line == "lamnet: LAMNET_BACKEND: expected one of native, triton, reference, got 'bogus'"


@pytest.mark.parametrize("name", ["lamnet.load", "lamnet.training.train"])
def test_the_package_names_the_extra(folder: Path, name: str) -> None:
    package, _, function = name.rpartition(".")
    done = called(BLOCKED + f"from {package} import {function}", folder=folder)
    assert done.stderr.splitlines()[-1].startswith(f"lamnet.base.errors.MissingExtraError: {name} needs torch")


def test_a_library_that_does_not_load_is_said_once_with_pytorch_and_is_the_end_without(folder: Path) -> None:
    pytest.importorskip("torch")
    words = ("upscale", "photos", "-o", "out", "--model", "tiny", "--scale", "2", "--overwrite")
    for device in ((), ("--device", "cpu")):
        done = called(BROKEN + COMMAND, *words, *device, folder=folder)
        said = [line for line in done.stderr.splitlines() if "PyTorch computes" in line]
        assert (done.returncode, len(said)) == (0, 1), done.stderr
        assert said[0].startswith("lamnet: core: expected its library for ")
    for asked in ("--precision float16", "--dry-run"):
        assert "PyTorch computes" not in called(BROKEN + COMMAND, *words, *asked.split(), folder=folder).stderr
    done = called(BLOCKED + BROKEN + COMMAND, *words, folder=folder)
    assert done.returncode == 1
    assert "core: expected its library for " in done.stderr


@pytest.mark.parametrize("blocked", ["", BLOCKED])
@pytest.mark.parametrize("options", ["", "--device cpu", "--precision bfloat16"])
def test_a_library_that_was_asked_for_by_name_and_does_not_load_is_the_end(
    folder: Path, blocked: str, options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMNET_KERNELS", str(folder / "nonexist.so"))
    words = ("upscale", "a.png", "-o", "b.png", "--model", "tiny", "--scale", "2", *options.split())
    done = called(blocked + COMMAND, *words, folder=folder)
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("upscaling on ")]
    assert line.startswith("lamnet: nonexist.so: expected a library of this package, found ")


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "models",
        "upscale a.png --model tiny --scale 2 --device cpu",
        "evaluate tiny bicubic --data photos --scale 2 --device cpu",
        "prepare photos set",
    ],
)
def test_where_it_is_installed_it_is_not_imported(folder: Path, arguments: str) -> None:
    done = called(UNTOUCHED, *arguments.split(), folder=folder)
    assert done.returncode == 0, done.stderr
