"""The device that a name stands for."""

from __future__ import annotations

import pytest
import torch

from lamnet.base.errors import BackendError
from lamnet.network import devices


def test_a_name_is_its_device_and_none_the_best_here() -> None:
    assert devices.pick("cpu") == torch.device("cpu")
    assert devices.pick(torch.device("cpu")) == torch.device("cpu")
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert devices.pick(None) == torch.device("cpu")


@pytest.mark.parametrize("name", ["nonsense", "cuda:99", "meta"])
def test_a_device_that_does_not_work_here_is_refused(name: str) -> None:
    with pytest.raises(BackendError, match=f"device: expected one that works here, got {name}: ."):
        devices.pick(name)
