"""Checkpoints: no code in them, the one before stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lamnet.base.errors import BadDataError, BadWeightsError
from lamnet.training import checkpoint
from lamnet.training.learner import Learner
from support.sets import recipe


def test_checkpoints_hold_no_code_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(BadWeightsError, match=r"checkpoint\.pt: expected a checkpoint of a training"):
        checkpoint.load(path, recipe())
    torch.save({"recipe": {}, "code": Learner}, path)
    with pytest.raises(BadWeightsError, match="expected a checkpoint of a training"):
        checkpoint.load(path, recipe())


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, recipe(), {"step": 1, "tensor": torch.zeros(3)})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(
            BadDataError, match=r"step 2 cannot be written \(.*No space left.*\); the one before is kept"
        ):
            checkpoint.save(path, recipe(), {"step": 2, "tensor": torch.zeros(3)})
    assert checkpoint.load(path, recipe())["step"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]
