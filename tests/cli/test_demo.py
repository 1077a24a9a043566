"""`lamnet demo`: four pictures, of which the input and bicubic are what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig
from lamnet.cli import demo
from lamnet.evaluation.resize import imresize
from lamnet.media import arrays


def test_four_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = LAMNet(LAMNetConfig(scale=4, channels=8, groups=1, blocks=1, heads=2))
    monkeypatch.setattr(demo, "load_best", lambda model, scale: network)
    paths = demo.run(tmp_path / "out")
    pixels = {name: arrays.read_array(path) for name, path in paths.items()}
    height, width = pixels["input"].shape[:2]
    assert pixels["input"].std() > 20
    np.testing.assert_array_equal(pixels["bicubic"], imresize(pixels["input"], 4))
    assert pixels["lamnet"].shape == (4 * height, 4 * width, 3)
    side = pixels["side-by-side"]
    assert side.shape[1] == 12 * width
    np.testing.assert_array_equal(side[-4 * height :, 8 * width :], pixels["lamnet"])
