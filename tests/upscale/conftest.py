"""A small network, pixels and clips to upscale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig, Upscaler


@pytest.fixture(scope="session")
def upscaler() -> Upscaler:
    """A network with random weights, ready to run."""
    torch.manual_seed(0)
    return Upscaler(LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2)), "cpu")


@pytest.fixture(scope="module")
def network() -> LAMNet:
    """A network of two blocks with random weights."""
    torch.manual_seed(0)
    return LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=2, heads=2)).eval()


@pytest.fixture
def pixels() -> np.ndarray:
    """Slopes in three colours, (40, 50, 3)."""
    rows, columns = np.mgrid[0:40, 0:50]
    return np.stack([rows * 6, columns * 5, (rows + columns) * 2], -1).astype(np.uint8)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """A function that makes a clip of this name, as `support.clips.clip` does."""
    clips = pytest.importorskip("support.clips", reason='needs PyAV: pip install "lamnet-sr[video]"')

    def call(name: str, *arguments: Any, **tags: Any) -> Path:
        return clips.clip(tmp_path, name, *arguments, **tags)

    return call
