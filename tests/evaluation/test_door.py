"""Names that programs import from lamnet.evaluation and lamnet.training."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

NAMES = {
    "lamnet.evaluation": ["Protocol", "evaluate", "imresize", "psnr", "ssim"],
    "lamnet.training": ["Recipe", "prepare", "train"],
}


@pytest.mark.parametrize("room", NAMES)
def test_names_are_those_and_no_module(room: str) -> None:
    door = import_module(room)
    assert dir(door) == NAMES[room]
    for name in NAMES[room]:
        assert callable(getattr(door, name))
    with pytest.raises(AttributeError, match=f"module '{room}' has no attribute 'absent'"):
        door.absent  # noqa: B018


@pytest.mark.parametrize("room", NAMES)
def test_a_door_opens_without_pytorch(room: str) -> None:
    code = f"import sys, {room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
