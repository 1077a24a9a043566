"""What the tests of picture files share."""

from __future__ import annotations

import pytest

from lamnet import LAMNetConfig, Upscaler
from support.pictures import Repeats


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(Repeats(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2)), "cpu")
