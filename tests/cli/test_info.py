"""The lines of `lamnet info` and `lamnet models`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import lamnet
from lamnet.cli.main import app
from lamnet.core.config import LAMNetConfig
from lamnet.network import weights
from lamnet.network.model import LAMNet


def test_models_are_listed_with_their_figures(capsys: pytest.CaptureFixture[str]) -> None:
    app(["models"], result_action="return_value")
    out = capsys.readouterr().out
    assert "885 (174 megapixels), folder train_set" in out
    assert "Set5, PSNR-Y dB" in out


def test_info_prints_each_fact_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    app(["info"], result_action="return_value")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("torch ") and torch.__version__ in line for line in lines)
    assert any(line.startswith("native on cpu") and line.endswith("runs") for line in lines)


def test_info_describes_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "own.safetensors"
    weights.save(
        LAMNet(LAMNetConfig(3, 16, 1, 2)),
        path,
        {"steps": 7, "recipe": {"lr": 0.5, "batch": 4, "clip": 0.0, "network": None, "betas": [0.9, 0.99]}},
    )
    app(["info", str(path)], result_action="return_value")
    printed = capsys.readouterr().out.splitlines()
    lines = dict(line.split(maxsplit=1) for line in printed if " " in line)
    assert lines["file"] == str(path)
    assert (lines["scale"], lines["channels"], lines["blocks"], lines["steps"]) == ("3", "16", "2", "7")
    assert printed[printed.index("recipe") + 1 :] == [
        f"{'  lr':18} 0.5",
        f"{'  batch':18} 4",
        f"{'  betas':18} 0.9, 0.99",
    ]
    app(["info", "tiny:photo", "--scale", "2"], result_action="return_value")
    assert "133,164" in capsys.readouterr().out


def test_the_package_says_what_it_offers() -> None:
    assert dir(lamnet) == sorted([*lamnet.__all__, "__version__"])
    assert all(getattr(lamnet, name) for name in dir(lamnet))
