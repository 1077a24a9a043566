"""The device that a name stands for, and what one says whose memory is short."""

from __future__ import annotations

import numpy as np
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


@pytest.mark.parametrize("words", devices.OUT_OF_MEMORY)
def test_messages_about_memory_are_known(words: str) -> None:
    assert devices.is_out_of_memory(
        RuntimeError(f"[enforce fail at somewhere.cpp:1] . {words}: you tried to have 9 bytes")
    )


def test_pytorch_still_says_so() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**45)  # 128 TiB: more than a process can address
    assert devices.is_out_of_memory(caught.value)
    with pytest.raises(MemoryError):
        np.empty(2**45, np.float32)
