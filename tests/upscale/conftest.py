"""Clips and a small network for the tests of videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lamnet import LAMNet, LAMNetConfig, Upscaler


@pytest.fixture(scope="session")
def upscaler() -> Upscaler:
    """A network with random weights, ready to run."""
    torch.manual_seed(0)
    return Upscaler(LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2)), "cpu")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """A function that makes a clip of this name, as `support.clips.clip` does."""
    clips = pytest.importorskip("support.clips", reason='needs PyAV: pip install "lamnet-sr[video]"')

    def call(name: str, *arguments: Any, **tags: Any) -> Path:
        return clips.clip(tmp_path, name, *arguments, **tags)

    return call
