"""Are the Triton kernels right on this card, in every format and direction, and is focal attention faster than PyTorch's?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.call import Call
from lamnet.core.window import PAPER_WINDOW
from lamnet.evaluation.speed.measure import Timed
from lamnet.network import layers
from lamnet.ops.backend import use_backend, why_not
from lamnet.ops.fsa import HEIGHT, WIDTH, fsa_channels_last
from lamnet.ops.reference import fsa_reference, fsa_reference_backward

# Of the greatest number of the result, as in tests/ops/test_triton.py; the format of training first, for time may run out.
TOLERANCES = {"bfloat16": 2e-2, "float32": 1e-5, "float16": 2e-3}
TRAINED = "bfloat16"
HEADS, CHANNELS = 4, 32  # of base, as the operator sees it
# Whole tiles and odd ones, the latter alone but for the format of training: each shape, format and axis is compiled, on an H100
# 6 seconds forwards and backwards.
SHAPES = [(3, 64, 64), (2, 37, 45)]
CONVOLUTIONS = [(CHANNELS, 1, 23), (CHANNELS, 23, 1), (4 * CHANNELS, 3, 3)]  # depthwise: channels and kernel


def check(call: Call) -> None:
    """Record the verdict for every format, and the backend to train with: "triton", or "reference" where it is not good."""
    device = "cpu" if call.dry else "cuda"
    found: dict[str, Any] = {"device": _name(device), "rows": [], "times": {}, "backend": "reference"}
    for name in TOLERANCES:
        shapes = [(1, 5, 7)] if call.dry else SHAPES if name == TRAINED else SHAPES[-1:]
        found |= _verdict(found, name, device, shapes)
        call.say("check", found)


def _verdict(found: dict[str, Any], name: str, device: str, shapes: list[tuple[int, int, int]]) -> dict[str, Any]:
    """The rows of a format added to those found, with its times; what is not good in the format of training has a reason."""
    if reason := why_not("triton", device, getattr(torch, name)):
        return {"reason": reason}
    rows = [_compared(name, shapes, dim, logits=True, device=device) for dim in (WIDTH, HEIGHT)]
    if device == "cuda":
        rows.append(_compared(name, shapes[-1:], WIDTH, logits=False, device=device))
    kernels = CONVOLUTIONS[:1] if device == "cpu" else CONVOLUTIONS
    rows += [_convolved(name, shapes[-1], *kernel, device=device) for kernel in kernels]
    times = {name: _times(name)} if device == "cuda" else {}
    verdict = {"rows": [*found["rows"], *rows], "times": {**found["times"], **times}}
    if name != TRAINED:
        return verdict
    if not all(row["right"] for row in rows):
        return {**verdict, "reason": f"wrong in {name}"}
    if times and times[name]["attention"]["triton"] > times[name]["attention"]["reference"]:
        return {**verdict, "reason": f"slower than plain PyTorch in {name}"}
    return {**verdict, "backend": "triton"}


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "cpu (Triton's interpreter)"


def _compared(name: str, shapes: list[tuple[int, int, int]], dim: int, logits: bool, device: str) -> dict[str, Any]:
    """The worst of the result and both gradients against float64 over all shapes, as a share of the greatest number."""
    from lamnet.ops import triton

    axis, begun, pairs = "width" if dim == WIDTH else "height", time.perf_counter(), list[tuple[Tensor, Tensor]]()
    for shape in shapes:
        # Halves of a wider image, as the network has them.
        value, grad = (_drawn((*shape, 2 * CHANNELS), name, device, seed)[..., CHANNELS:] for seed in (0, 1))
        weight = _drawn((*shape, HEADS * PAPER_WINDOW.taps), name, device, 2)
        gates = weight.double().tanh() if logits else weight.double()
        expected = fsa_reference(value.double(), gates, PAPER_WINDOW, dim)
        grads = fsa_reference_backward(grad.double(), value.double(), gates, PAPER_WINDOW, dim)
        expected_weight = grads[1] * (1 - gates.square()) if logits else grads[1]
        out = triton.fsa_forward(value, weight, PAPER_WINDOW, dim, logits)
        got = (out, *triton.fsa_backward(grad, value, weight, PAPER_WINDOW, dim, logits))
        pairs += zip(got, (expected, grads[0], expected_weight), strict=True)
    return _row(name, f"attention along the {axis}{' of logits' if logits else ''}", pairs, begun)


def _convolved(
    name: str, shape: tuple[int, int, int], channels: int, high: int, wide: int, device: str
) -> dict[str, Any]:
    """The worst of a depthwise convolution and its three gradients against float64, as a share of the greatest number."""
    from lamnet.ops import triton_depthwise

    begun = time.perf_counter()
    x, grad = (_drawn((*shape, 2 * channels), name, device, seed)[..., channels:] for seed in (0, 1))
    weight, bias = _drawn((channels, 1, high, wide), "float32", device, 2), _drawn((channels,), "float32", device, 3)
    inputs = [one.double().requires_grad_() for one in (x, weight, bias)]
    planes = F.conv2d(inputs[0].permute(0, 3, 1, 2), *inputs[1:], padding=(high // 2, wide // 2), groups=channels)
    expected = planes.permute(0, 2, 3, 1)
    truths = torch.autograd.grad(expected, inputs, grad.double())
    got = triton_depthwise.convolve(x, weight, bias), triton_depthwise.convolve(grad, weight, None, transposed=True)
    got += triton_depthwise.weight_grad(grad, x, weight.shape)
    return _row(name, f"convolution {high}x{wide}", list(zip(got, (expected.detach(), *truths), strict=True)), begun)


def _row(name: str, what: str, pairs: list[tuple[Tensor, Tensor]], begun: float) -> dict[str, Any]:
    """The worst error of results against their truths."""
    worst = 0.0
    for got, truth in pairs:
        error = (got.double() - truth).abs().max() / truth.abs().max().clamp(min=1e-3)
        worst = max(worst, float("inf") if error.isnan() else error.item())
    seconds = round(time.perf_counter() - begun, 2)
    return {"format": name, "kernel": what, "error": worst, "right": worst <= TOLERANCES[name], "seconds": seconds}


def _drawn(shape: tuple[int, ...], name: str, device: str, seed: int) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.to(device, getattr(torch, name))


def _times(
    name: str, device: str = "cuda", patches: tuple[int, int, int] = (16, 64, 64)
) -> dict[str, dict[str, float]]:
    """Milliseconds of forward and backward of some patches, by kernel and backend: attention along both axes, convolutions."""
    work = {"attention": _attention(name, device, patches)}
    for kernel in CONVOLUTIONS:
        work[f"convolution {kernel[1]}x{kernel[2]}"] = _convolution(name, device, patches, *kernel)
    times: dict[str, dict[str, float]] = {}
    for what, step in work.items():
        times[what] = {}
        for backend in ("triton", "reference"):
            with use_backend(backend):
                timed = Timed(step, torch.device(device))
                timed.warm_up()
                for _ in range(5):
                    timed.sample()
            times[what][backend] = round(timed.median * 1000, 3)
    return times


def _attention(name: str, device: str, patches: tuple[int, int, int]) -> Callable[[], None]:
    value = _drawn((*patches, CHANNELS), name, device, 0).requires_grad_()
    weight = _drawn((*patches, HEADS * PAPER_WINDOW.taps), name, device, 1).requires_grad_()
    grad = _drawn((*patches, CHANNELS), name, device, 2)

    def step() -> None:
        value.grad = weight.grad = None
        for dim in (WIDTH, HEIGHT):
            fsa_channels_last(value, weight, PAPER_WINDOW, dim, logits=True).backward(grad)

    return step


def _convolution(
    name: str, device: str, patches: tuple[int, int, int], channels: int, high: int, wide: int
) -> Callable[[], None]:
    layer = nn.Conv2d(channels, channels, (high, wide), padding=(high // 2, wide // 2), groups=channels).to(device)
    x, grad = (_drawn((*patches, channels), name, device, seed) for seed in (0, 1))
    x.requires_grad_()

    def step() -> None:
        x.grad = None
        layer.zero_grad()
        layers.depthwise(x, layer).backward(grad)

    return step
