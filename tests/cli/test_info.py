"""What `lamnet info` and `lamnet models` say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import lamnet
from lamnet.cli.main import app
from lamnet.evaluation import machine
from lamnet.network import catalogue, weights
from lamnet.network.config import LAMNetConfig
from lamnet.network.model import LAMNet
from lamnet.ops.backend import BACKENDS, backends


def test_every_backend_is_listed_with_the_reason_it_cannot_run() -> None:
    found = {(backend, device): reason for backend, device, reason in backends()}
    assert {backend for backend, _ in found} == set(BACKENDS)
    assert found["reference", "cpu"] is None
    assert "it runs on cuda" in str(found["triton", "cpu"])
    if not torch.cuda.is_available():
        assert found["triton", "cuda"] == "no CUDA device"


def test_the_machine_names_versions_threads_and_processor() -> None:
    facts = machine.machine()
    assert facts["torch"] == torch.__version__
    assert facts["threads"] == str(torch.get_num_threads())
    assert "logical cores" in facts["processor"]


def test_models_come_with_size_training_data_and_psnr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lamnet.network.shipped._shipped_folder", lambda: tmp_path)
    weights.save(tmp_path / "tiny_x2.safetensors", LAMNet(LAMNetConfig.tiny(2)))
    weights.save(tmp_path / "tiny_x3.safetensors", LAMNet(LAMNetConfig.tiny(3)))
    (tmp_path / "tiny_x2.md").write_text("# tiny x2\n\n| | |\n|---|---|\n| photographs | 12 (3 megapixels), set p |\n")
    evaluation = {"model": "tiny", "scale": 2, "params": 1, "sets": {"Set5": {"psnr_y": 36.5, "ssim_y": 0.95}}}
    (tmp_path / "tiny_x2.json").write_text(json.dumps(evaluation))
    first, second = catalogue.models()
    assert (first.size, first.scale, first.data) == ("tiny", 2, "12 (3 megapixels), set p")
    assert first.psnr_y == {"Set5": 36.5}
    assert first.parameters == sum(parameter.numel() for parameter in LAMNet(LAMNetConfig.tiny(2)).parameters())
    assert (second.scale, second.data, second.psnr_y) == (3, "not recorded", {})
    app(["models"], result_action="return_value")
    out = capsys.readouterr().out
    assert "36.50" in out
    assert "Set5, PSNR-Y dB" in out


def test_info_prints_each_fact_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    app(["info"], result_action="return_value")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("torch ") and torch.__version__ in line for line in lines)
    assert any(line.startswith("reference on cpu") and line.endswith("runs") for line in lines)


def test_the_package_says_what_it_offers() -> None:
    assert dir(lamnet) == sorted([*lamnet.__all__, "__version__"])
    assert all(getattr(lamnet, name) for name in dir(lamnet))
