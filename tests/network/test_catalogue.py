"""The selection of networks for a call, and the facts of those that ship."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.core.config import LAMNetConfig
from lamnet.network import catalogue, reading, weights
from lamnet.network.model import LAMNet


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped weights: tiny x2, x3 and x4, and base x2."""
    monkeypatch.setattr("lamnet.core.shipped._shipped_folder", lambda: tmp_path)
    for scale in (2, 3, 4):
        weights.save(LAMNet(LAMNetConfig.tiny(scale)), tmp_path / f"tiny_x{scale}.safetensors")
    weights.save(LAMNet(LAMNetConfig(2, 16, 1, 1)), tmp_path / "base_x2.safetensors")
    return tmp_path


def _scales(found: catalogue.Selection) -> list[int]:
    return [one.scale for one in found.networks]


@pytest.mark.parametrize(
    ("given", "scales", "factor"),
    [
        ({}, [4], 4),
        ({"factor": 2.5}, [3], 2.5),
        ({"factor": 1.5}, [2], 1.5),
        ({"any_factor": True}, [2, 3, 4], None),
    ],
)
@pytest.mark.usefixtures("folder")
def test_the_smallest_scale_that_reaches_the_factor(given: dict, scales: list[int], factor: float | None) -> None:
    found = catalogue.select("tiny", **given)
    assert (_scales(found), found.factor) == (scales, factor)


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
def test_without_a_name_the_best_of_each_scale() -> None:
    found = catalogue.select(None, any_factor=True)
    assert [one.network.config.channels for one in found.networks] == [16, 32, 32]
    with pytest.raises(BadArgumentError, match="scale: expected at most 4 with this model, got 5"):
        catalogue.select(None, 5)
    with pytest.raises(BadWeightsError, match="scale: expected one that weights ship for, got 7"):
        catalogue.load_best(None, 7)
    with pytest.raises(BadWeightsError, match="large: has no weights yet"):
        catalogue.select("large")


@pytest.mark.thorough
def test_a_file_is_read_once_and_says_the_factor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, paths = reading.read, []
    monkeypatch.setattr(reading, "read", lambda path: (paths.append(path), read(path))[1])
    file = folder / "tiny_x3.safetensors"
    found = catalogue.select(str(file))
    assert (_scales(found), found.factor, paths) == ([3], 3, [file])
    assert catalogue.select(str(file), any_factor=True).factor is None
    assert catalogue.select(str(file), 1.5).factor == 1.5
    with pytest.raises(BadArgumentError, match="scale: expected at most 3 with this model, got 4"):
        catalogue.select(str(file), 4)


@pytest.mark.thorough
def test_models_come_with_size_training_data_and_psnr(folder: Path) -> None:
    record = {"photographs": 12, "megapixels": 3, "set": "own"}
    weights.save(LAMNet(LAMNetConfig.tiny(3)), folder / "tiny_x3.safetensors", record, torch.bfloat16)
    others = {"tiny_x2": {"photographs": 5, "megapixels": 1, "set": "p"}, "tiny_x3": {"photographs": 1}}
    (folder / catalogue.TRAINED_ON).write_text(json.dumps(others))
    evaluation = {"model": "tiny", "scale": 2, "params": 1, "sets": {"Set5": {"psnr_y": 36.5, "ssim_y": 0.95}}}
    (folder / "tiny_x2.json").write_text(json.dumps(evaluation))
    small, first, second, third = catalogue.models()
    assert (small.size, first.size, first.scale, first.data) == ("base", "tiny", 2, "5 (1 megapixels), folder p")
    assert first.psnr_y == {"Set5": 36.5}
    assert first.parameters == sum(parameter.numel() for parameter in LAMNet(LAMNetConfig.tiny(2)).parameters())
    assert (second.scale, second.data, second.psnr_y) == (3, "12 (3 megapixels), folder own", {})
    assert second.bytes < third.bytes
    assert third.data == "not recorded"
