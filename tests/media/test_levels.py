"""Levels of float pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamnet import Upscaler
from lamnet.media import arrays
from support.pictures import doubled, gradient


@pytest.mark.parametrize("high", [1.0, 7.5])
def test_float_stays_float_beyond_one(upscaler: Upscaler, tmp_path: Path, high: float) -> None:
    pixels = gradient(3, np.float32) * np.float32(high)
    arrays.write_array(tmp_path / "a.tif", pixels)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    np.testing.assert_allclose(arrays.read_array(tmp_path / "b.tif"), doubled(pixels), atol=1e-6 * high)
