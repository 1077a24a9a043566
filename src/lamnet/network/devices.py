"""Devices of PyTorch by name."""

from __future__ import annotations

import torch

from lamnet.base.errors import BackendError


def pick(name: str | torch.device | None) -> torch.device:
    """Pick the device of a name: "cpu", "cuda", "cuda:1", "mps", ...; for None the best one here.

    Raises BackendError when it cannot be used here.
    """
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise BackendError(f"device: expected one that works here, got {name}: {str(error).splitlines()[0]}") from error
    return device
