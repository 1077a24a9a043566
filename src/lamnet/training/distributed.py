"""One worker or many: the workers that `torchrun` started, and the few messages between them."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from lamnet.base.errors import BadArgumentError, LamnetError

_ENVIRONMENT = (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))
# Neither gloo nor nccl has an error class of its own for a peer that died.
_LOST = re.compile(r"gloo|nccl|connection|broken pipe|socket|timed out", re.IGNORECASE)


class LostWorkerError(LamnetError):
    """Another worker of the same training has died."""


@dataclass(frozen=True)
class Workers:
    """This worker's rank among `world`, and its device."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """True for the worker that writes files and shows progress."""
        return self.rank == 0

    def agreed(self, value: float) -> float:
        """Return the first worker's value on all workers."""
        if self.world == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return shared.item()

    def shared(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return the first worker's state of tensors and numbers on all workers, on their CPUs."""
        contents = io.BytesIO()
        if self.first:
            torch.save(state, contents)
        holder = [contents.getvalue()]
        dist.broadcast_object_list(holder, 0, device=self.device)
        return torch.load(io.BytesIO(holder[0]), map_location="cpu", weights_only=True)

    def mean(self, value: Tensor) -> Tensor:
        """Replace a tensor by its mean over all workers, and return it."""
        if self.world > 1:
            dist.all_reduce(value)
            value /= self.world
        return value

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over all workers, in one message."""
        if self.world > 1:
            means, start = self.mean(torch.cat([tensor.flatten() for tensor in tensors])), 0
            for tensor in tensors:
                tensor.copy_(means[start : start + tensor.numel()].view(tensor.shape))
                start += tensor.numel()

    def wait(self) -> None:
        """Wait until all workers have come here."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def join(patches: int) -> Generator[Workers]:
    """Join the workers that torchrun started, or be the only one; they share `patches` (of a micro-batch) evenly.

    Raises BadArgumentError where they cannot, LostWorkerError when another worker has died.
    """
    world, rank, local = (int(os.environ.get(name, default)) for name, default in _ENVIRONMENT)
    if patches % world:
        raise BadArgumentError(f"batch / accumulate: expected a multiple of the {world} workers, got {patches}")
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if world == 1:
        yield Workers(0, 1, device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Workers(rank, world, device)
    except RuntimeError as error:
        if _LOST.search(str(error)):
            reason = str(error).split("\n", 1)[0]
            raise LostWorkerError(
                f"worker {rank} of {world}: another one is gone ({reason}); the same command continues from the last checkpoint"
            ) from error
        raise
    finally:
        dist.destroy_process_group()
