"""PyTorch's own tools on the network: compile, export, autocast, inference mode, distributed training."""

from __future__ import annotations

import os
import shutil
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from support.workers import network, picture, train_one_step


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.slow
def test_compiles_whole_forward_and_backward() -> None:
    eager, x = network(), picture()
    compiled = torch.compile(eager, fullgraph=True)
    torch.testing.assert_close(compiled(x), eager(x), rtol=1e-4, atol=1e-5)
    grads: list[Tensor] = []
    for one in (compiled, eager):
        eager.zero_grad()
        one(x).square().mean().backward()
        grads.append(eager.groups[0].blocks[0].mixer.horizontal.project.weight.grad.clone())
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-3, atol=1e-7)


@pytest.mark.thorough
def test_traces_whole_without_a_compiler() -> None:
    eager, x = network(), picture()
    traced = torch.compile(eager, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(traced(x), eager(x), rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
def test_exports_with_free_sizes() -> None:
    eager = network()
    height, width = torch.export.Dim("height", min=4), torch.export.Dim("width", min=4)
    program = torch.export.export(eager, (picture(),), dynamic_shapes=({2: height, 3: width},))
    for size in ((24, 36), (31, 17)):
        torch.testing.assert_close(program.module()(picture(*size)), eager(picture(*size)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.thorough
def test_autocast_stays_finite_and_close(dtype: torch.dtype) -> None:
    eager, x = network(), picture()
    with torch.no_grad():
        expected = eager(x)
        with torch.autocast("cpu", dtype):
            out = eager(x)
            large = eager(torch.ones(1, 3, 512, 640))
    assert large.isfinite().all()
    assert (out.float() - expected).abs().max() < 0.02


def test_inference_mode_gives_the_same() -> None:
    eager, x = network(), picture()
    with torch.inference_mode():
        out = eager(x)
    torch.testing.assert_close(out, eager(x).detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="this PyTorch has no gloo")
@pytest.mark.thorough
def test_two_workers_share_the_mean_gradient(tmp_path: os.PathLike[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(train_one_step, (port, str(tmp_path)), nprocs=2)
    both = [torch.load(f"{tmp_path}/{rank}.pt") for rank in range(2)]
    alone = network().train()
    sum(alone(picture(8 + rank, 9)).square().mean() / 2 for rank in range(2)).backward()
    for first, second, parameter in zip(*both, alone.parameters(), strict=True):
        assert torch.equal(first, second)
        torch.testing.assert_close(first, parameter.grad, rtol=1e-4, atol=1e-7)
