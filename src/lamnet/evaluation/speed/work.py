"""The work that is timed: a network's forward, a training step, the operator; and the two ceilings."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from lamnet.base.errors import BackendError
from lamnet.core import library
from lamnet.core.config import SIZES
from lamnet.core.network import Network
from lamnet.evaluation.speed import peers
from lamnet.evaluation.speed.candidate import CORE, OPERATORS, PATCHES, Candidate, Setting
from lamnet.evaluation.speed.measure import Timed, graphed
from lamnet.network import reading
from lamnet.network.model import LAMNet
from lamnet.ops import native
from lamnet.ops.backend import use_backend, why_not
from lamnet.ops.fsa import fsa_channels_last


def work(candidate: Candidate, setting: Setting) -> Callable[[], object]:
    """Make a candidate's tensors, and return the call that is timed."""
    device, dtype = torch.device(setting.device), getattr(torch, candidate.precision)
    if candidate.backend == CORE:
        return _core_call(candidate, setting)
    if candidate.backend and (reason := why_not(candidate.backend, device, dtype)):
        raise BackendError(f"{candidate.backend}: {reason}")
    if candidate.model in OPERATORS:
        forward = _operator(OPERATORS[candidate.model], setting, device, dtype)
    else:
        forward = _network_call(candidate, setting, device, dtype)

    def call() -> object:
        with use_backend(candidate.backend) if candidate.backend else nullcontext():
            return forward()

    return graphed(call) if "graph" in candidate.how else call


def _operator(dim: int, setting: Setting, device: torch.device, dtype: torch.dtype) -> Callable[[], object]:
    """Call FSA as the base network does, on an image of the output's size, which no cache holds."""
    shape = (1, *setting.output_size)
    config = SIZES["base"](setting.scale)
    value = torch.randn(*shape, config.channels // 2, device=device, dtype=dtype)
    weight = torch.randn(*shape, config.heads * config.window.taps, device=device, dtype=dtype)
    return lambda: fsa_channels_last(value, weight, config.window, dim, logits=True)


def network_of(model: str, scale: int) -> nn.Module:
    """Build a peer or a size with random weights, or load a weights file. Raises BadWeightsError for one of another scale."""
    if model in peers.NAMES:
        return peers.build(model, scale)
    if model in SIZES:
        return LAMNet(SIZES[model](scale)).eval()
    return reading.network_of(reading.load(model, scale))


def _network_call(
    candidate: Candidate, setting: Setting, device: torch.device, dtype: torch.dtype
) -> Callable[[], object]:
    network: Any = network_of(candidate.model, setting.scale).to(device)
    size = (1, 3, *setting.lr_size) if candidate.task == "image" else (PATCHES[0], 3, PATCHES[1], PATCHES[1])
    x = torch.rand(size, device=device)
    if candidate.task == "training":
        network.train().to(memory_format=torch.channels_last)  # as in lamnet train

        def step() -> None:
            network.zero_grad()
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                loss = network(x).abs().mean()
            loss.backward()

        return step
    network, x = network.to(dtype), x.to(dtype)
    if candidate.model in peers.NAMES and candidate.how != "eager":
        network, x = network.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if "compile" in candidate.how:
        network = torch.compile(network)
    return torch.no_grad()(lambda: network(x))


def _core_call(candidate: Candidate, setting: Setting) -> Callable[[], object]:
    network: Any = network_of(candidate.model, setting.scale)
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    core = Network(
        network.config, state, "bfloat16" if candidate.precision == "bfloat16" else "float32", setting.threads
    )
    pixels = np.random.default_rng(0).random((*setting.lr_size, 3), np.float32)
    return lambda: core(pixels)


def instructions(precision: str, threads: int) -> Timed:
    """Multiply-adds by the processor's own instruction, in registers, on so many threads."""
    dtype, rounds = native.DTYPES[getattr(torch, precision)], 10_000_000  # 30 ms: beside it a thread starts at once
    sums = np.zeros((threads, 64), np.float32)

    def one(thread: int) -> int:
        return int(library.library().lamnet_multiply_adds(rounds, dtype, sums[thread].ctypes.data))

    def call() -> object:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(one, range(threads)))

    timed = Timed(call, torch.device("cpu"), amount=float(threads * one(0)), pause=0.02)
    timed.warm_up()
    return timed


def product(precision: str, device: torch.device) -> Timed:
    side = 8192 if device.type == "cuda" else 2048
    a, b, out = (torch.ones(side, side, device=device, dtype=getattr(torch, precision)) for _ in range(3))
    timed = Timed(lambda: torch.mm(a, b, out=out), device, amount=float(side) ** 3)
    timed.warm_up()
    return timed


def copy(device: torch.device) -> Timed:
    source = torch.ones(2**28, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    timed = Timed(lambda: target.copy_(source), device, amount=2.0 * source.numel())
    timed.warm_up()
    return timed
