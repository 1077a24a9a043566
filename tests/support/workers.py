"""A small network and one step of it in a worker: in a module that a spawned process can import."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from lamnet import LAMNet, LAMNetConfig


def network() -> LAMNet:
    torch.manual_seed(0)
    return LAMNet(LAMNetConfig(2, channels=32, groups=1, blocks=2, heads=2)).eval()


def picture(height: int = 24, width: int = 36) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def train_one_step(rank: int, port: int, results: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    wrapped = DistributedDataParallel(network().train())
    wrapped(picture(8 + rank, 9)).square().mean().backward()
    torch.save([parameter.grad for parameter in wrapped.parameters()], f"{results}/{rank}.pt")
    os._exit(
        0
    )  # DDP's reducer would end the process group while it holds the GIL, and sometimes hang (docs/log/training.md)
