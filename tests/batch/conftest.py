"""`lamnet upscale` with a small network, and a folder of good and bad pictures."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig
from lamnet.cli.main import main
from lamnet.media import arrays
from lamnet.network import weights
from support.commands import Command, Done, Start


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    weights.save(LAMNet(LAMNetConfig(scale=4, channels=8, groups=1, blocks=1, heads=2)), path)
    return path


@pytest.fixture
def lamnet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`lamnet ARGUMENTS`, in this process: starting PyTorch for every test would take minutes."""

    def call(*arguments: str | Path) -> Done:
        warnings.filterwarnings("ignore", "Cyclopts application invoked without tokens")
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


@pytest.fixture
def start(model: Path) -> Start:
    """`lamnet upscale ARGUMENTS` with the small network in a process of its own, after some Python."""

    def call(*arguments: str | Path, before: str = "") -> subprocess.Popen[str]:
        code = f"{before}\nfrom lamnet.cli.main import main; main()"
        rest = [*map(str, arguments)] + ([] if "--model" in arguments else ["--model", str(model)])
        command = [sys.executable, "-c", code, "upscale", *rest, "--device", "cpu"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return call
