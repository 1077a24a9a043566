"""The network's other operators on channels-last images: 1x1 convolution, depthwise convolution, information exchange.

Each is plain PyTorch, the definition, except where the C kernels run: then it is one operator that computes what stands
before or after it while a tile of pixels is in the cache, and its backward.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lamnet.errors import BadArgumentError
from lamnet.ops import native
from lamnet.ops.backend import backend_for
from lamnet.ops.native import check, dense_last, empty_like

Before = Literal["nothing", "normalise", "relu", "gate"]
BEFORE: tuple[Before, ...] = ("nothing", "normalise", "relu", "gate")


def linear(
    x: Tensor, weight: Tensor, bias: Tensor, before: Before = "nothing", residual: Tensor | None = None
) -> Tensor:
    """residual + before(x) @ weight^T + bias over the last dimension.

    `before` is nothing; "normalise", layer norm without its affine part; "relu"; or "gate", which turns the halves
    z1, z2 of the channels into [gelu(z1)*z1, gelu(z1)*z2].
    """
    if not _native(x):
        y = F.linear(_before(x, before), weight, bias)
        return y if residual is None else residual + y
    tensors = autocast(x, weight, bias) if residual is None else autocast(x, weight, bias, residual)
    return torch.ops.lamnet.linear(*tensors[:3], BEFORE.index(before), tensors[3] if residual is not None else None)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise convolution of (B, H, W, C) with weight (C, 1, kh, kw), kh and kw odd, zero padding that keeps the size."""
    if _native(x):
        return torch.ops.lamnet.depthwise(*autocast(x, weight, bias))
    padding = weight.shape[2] // 2, weight.shape[3] // 2
    return F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=padding, groups=x.shape[3]).permute(0, 2, 3, 1)


def feed_forward(
    x: Tensor, first: tuple[Tensor, Tensor], between: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
) -> Tensor:
    """x + linear(gate(depthwise(linear(normalise(x))))); weight and bias of each of the three convolutions."""
    if _native(x) and not differentiates(x, *first, *between, *second):
        return torch.ops.lamnet.feed_forward(*autocast(x, *first, *between, *second))
    return linear(depthwise(linear(x, *first, "normalise"), *between), *second, "gate", residual=x)


def exchange_means(c: Tensor, s: Tensor) -> Tensor:
    """The two means of the IEM over all pixels, (B, 2, D) float32: of s, and of s times the mean of c over channels.

    They are all that ties a pixel to the whole image; whoever works in parts gathers and replays them.
    """
    if _native(c):
        return torch.ops.lamnet.exchange_means(*autocast(c, s))
    flat = s.flatten(1, 2).float()  # (B, HW, D)
    r = c.flatten(1, 2).float().mean(-1, keepdim=True)  # (B, HW, 1)
    return torch.stack([flat.mean(1), (flat * r).mean(1)], 1)


def exchange(c: Tensor, s: Tensor, means: Tensor) -> Tensor:
    """[c * one gate per pixel, s * one gate per channel], (B, H, W, 2D), by the means of `exchange_means`."""
    if _native(c):
        return torch.ops.lamnet.exchange(*autocast(c, s), means)
    m, sr = means.to(c.dtype).unbind(1)  # (B, D) each
    pixel_gate = torch.sigmoid(torch.einsum("bhwd,bd->bhw", c, m) / c.shape[-1])
    return torch.cat([c * pixel_gate[..., None], s * torch.sigmoid(sr)[:, None, None]], -1)


def exchange_linear(c: Tensor, s: Tensor, means: Tensor, project: tuple[Tensor, Tensor], residual: Tensor) -> Tensor:
    """residual + linear(exchange(c, s, means)); weight and bias of the 1x1 convolution."""
    if _native(c) and not differentiates(c, s, means, *project, residual):
        c, s, weight, bias, residual = autocast(c, s, *project, residual)
        return torch.ops.lamnet.exchange_linear(c, s, means, weight, bias, residual)
    return linear(exchange(c, s, means), *project, residual=residual)


def _native(x: Tensor) -> bool:
    return backend_for(x.device.type, x.dtype) == "native"


def differentiates(*tensors: Tensor) -> bool:
    """Whether a gradient may be asked of what is computed from these."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The operands in the dtype of an autocast region, as PyTorch's own layers take them; elsewhere as they are."""
    if not torch.is_autocast_enabled("cpu"):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype("cpu")) for tensor in tensors)


def _before(x: Tensor, before: Before) -> Tensor:
    if before == "normalise":
        return F.layer_norm(x, x.shape[-1:])
    if before == "relu":
        return F.relu(x)
    if before == "gate":
        z1, z2 = x.chunk(2, dim=-1)
        gelu = F.gelu(z1)
        return torch.cat([gelu * z1, gelu * z2], -1)
    return x


def _rows(x: Tensor) -> Tensor:
    """(pixels, channels), a view where the pixels lie at equal distances."""
    return dense_last(x.reshape(-1, x.shape[-1]))


def _check_image(name: str, x: Tensor) -> None:
    check(name, x, x.shape, x.dtype)
    if x.dim() != 4:
        raise BadArgumentError(f"{name}: expected (B, H, W, C), got {tuple(x.shape)}")


def _check_linear(x: Tensor, weight: Tensor, before: int) -> None:
    check("x", x, x.shape, x.dtype)
    if x.dim() < 1 or weight.dim() != 2:
        raise BadArgumentError(
            f"weight: expected (outputs, inputs) for x (..., inputs), got {tuple(weight.shape)} for {tuple(x.shape)}"
        )
    check("weight", weight, (weight.shape[0], x.shape[-1]), x.dtype)
    if not 0 <= before < len(BEFORE) or (BEFORE[before] == "gate" and x.shape[-1] % 2):
        raise BadArgumentError(
            f"before: expected 0 to {len(BEFORE) - 1}, 3 only for an even number of channels, got {before}"
        )


def _check_depthwise(x: Tensor, weight: Tensor) -> None:
    _check_image("x", x)
    if weight.dim() != 4 or not weight.shape[2] % 2 or not weight.shape[3] % 2:
        raise BadArgumentError(f"weight: expected (C, 1, kh, kw) with kh and kw odd, got {tuple(weight.shape)}")
    check("weight", weight, (x.shape[3], 1, *weight.shape[2:]), x.dtype)


@torch.library.custom_op("lamnet::linear", mutates_args=())
def _linear(x: Tensor, weight: Tensor, bias: Tensor, before: int, residual: Tensor | None) -> Tensor:
    _check_linear(x, weight, before)
    check("bias", bias, weight.shape[:1], x.dtype)
    if residual is not None:
        check("residual", residual, (*x.shape[:-1], weight.shape[0]), x.dtype)
    rows, out = _rows(x), x.new_empty((*x.shape[:-1], weight.shape[0]))
    start = None if residual is None else _rows(residual)
    numbers = [*rows.shape, weight.shape[0], before, rows.stride(0), 0, 0 if start is None else start.stride(0)]
    native.call("linear", [rows, weight.contiguous(), bias.contiguous(), start, out], numbers)
    return out


@torch.library.custom_op("lamnet::linear_backward", mutates_args=())
def _linear_backward(grad: Tensor, x: Tensor, weight: Tensor, before: int) -> tuple[Tensor, Tensor, Tensor]:
    _check_linear(x, weight, before)
    check("grad", grad, (*x.shape[:-1], weight.shape[0]), x.dtype)
    native.keep_memory()
    rows, grad_rows = _rows(x), _rows(grad)
    grads = empty_like(x), empty_like(weight), weight.new_empty(weight.shape[0])
    numbers = [*rows.shape, weight.shape[0], before, rows.stride(0), grad_rows.stride(0), 0]
    native.call("linear_backward", [grad_rows, rows, weight.contiguous(), *grads], numbers)
    return grads


@_linear.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, before: int, residual: Tensor | None) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


@_linear_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, before: int) -> tuple[Tensor, Tensor, Tensor]:
    return empty_like(x), empty_like(weight), weight.new_empty(weight.shape[0])


def _linear_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, _, ctx.before, residual = inputs
    ctx.residual = residual is not None
    ctx.save_for_backward(x, weight)


def _linear_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    grad = grad.contiguous()  # once for all: the residual hands it on, and a convolution's lies channel by channel
    grads = torch.ops.lamnet.linear_backward(grad, *ctx.saved_tensors, ctx.before)
    return *grads, None, grad if ctx.residual else None


_linear.register_autograd(_linear_autograd, setup_context=_linear_context)


@torch.library.custom_op("lamnet::depthwise", mutates_args=())
def _depthwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    _check_depthwise(x, weight)
    check("bias", bias, weight.shape[:1], x.dtype)
    x, out = dense_last(x), empty_like(x)
    native.call("depthwise", [x, weight.contiguous(), bias.contiguous(), out], [*_sizes(x, weight), 0, 0, 0])
    return out


@torch.library.custom_op("lamnet::depthwise_backward", mutates_args=())
def _depthwise_backward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    _check_depthwise(x, weight)
    check("grad", grad, x.shape, x.dtype)
    x, grad = dense_last(x), dense_last(grad)
    grads = empty_like(x), empty_like(weight), weight.new_empty(weight.shape[0])
    numbers = [*_sizes(x, weight), *grad.stride()[:3]]
    native.call("depthwise_backward", [grad, x, weight.contiguous(), *grads], numbers)
    return grads


def _sizes(x: Tensor, weight: Tensor) -> list[int]:
    return [*x.shape, *weight.shape[2:], *x.stride()[:3]]


@_depthwise.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return empty_like(x)


@_depthwise_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return empty_like(x), empty_like(weight), weight.new_empty(weight.shape[0])


def _depthwise_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _depthwise_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    return torch.ops.lamnet.depthwise_backward(grad, *ctx.saved_tensors)


_depthwise.register_autograd(_depthwise_autograd, setup_context=_depthwise_context)


@torch.library.custom_op("lamnet::feed_forward", mutates_args=())
def _feed_forward(x: Tensor, w1: Tensor, b1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor, b3: Tensor) -> Tensor:
    _check_linear(x, w1, BEFORE.index("normalise"))
    _check_image("x", x)
    channels, hidden = x.shape[3], w1.shape[0]
    if hidden % 2:
        raise BadArgumentError(f"w1: expected an even number of outputs, got {hidden}")
    check("b1", b1, (hidden,), x.dtype)
    check("taps", taps, (hidden, 1, 3, 3), x.dtype)
    check("b2", b2, (hidden,), x.dtype)
    check("w3", w3, (channels, hidden), x.dtype)
    check("b3", b3, (channels,), x.dtype)
    tensors = [tensor.contiguous() for tensor in (x, w1, b1, taps, b2, w3, b3)]
    out = empty_like(x)
    native.call("feed_forward", [*tensors, out], [*x.shape, w1.shape[0]])
    return out


@_feed_forward.register_fake
def _(x: Tensor, w1: Tensor, b1: Tensor, taps: Tensor, b2: Tensor, w3: Tensor, b3: Tensor) -> Tensor:
    return empty_like(x)


@torch.library.custom_op("lamnet::exchange_means", mutates_args=())
def _exchange_means(c: Tensor, s: Tensor) -> Tensor:
    numbers, c, s = _pair(c, s)
    means = c.new_empty((numbers[0], 2, numbers[2]), dtype=torch.float32)
    native.call("exchange_means", [c, s, means], numbers)
    return means


@torch.library.custom_op("lamnet::exchange_means_backward", mutates_args=())
def _exchange_means_backward(grad: Tensor, c: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    grads, grad = (empty_like(c), empty_like(s)), grad.contiguous()
    check("grad", grad, (c.shape[0], 2, c.shape[-1]), torch.float32)
    numbers, c, s = _pair(c, s)
    native.call("exchange_means_backward", [c, s, grad, *grads], numbers)
    return grads


@torch.library.custom_op("lamnet::exchange", mutates_args=())
def _exchange(c: Tensor, s: Tensor, means: Tensor) -> Tensor:
    out, means = c.new_empty((*c.shape[:-1], 2 * c.shape[-1])), means.float().contiguous()
    numbers, c, s = _pair(c, s, means)
    native.call("exchange", [c, s, means, out], numbers)
    return out


@torch.library.custom_op("lamnet::exchange_backward", mutates_args=())
def _exchange_backward(grad: Tensor, c: Tensor, s: Tensor, means: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    grads = empty_like(c), empty_like(s), means.new_empty(means.shape, dtype=torch.float32)
    check("grad", grad, (*c.shape[:-1], 2 * c.shape[-1]), c.dtype)
    grad, means = grad.contiguous(), means.float().contiguous()
    numbers, c, s = _pair(c, s, means)
    native.call("exchange_backward", [c, s, grad, means, *grads], numbers)
    return grads


@torch.library.custom_op("lamnet::exchange_linear", mutates_args=())
def _exchange_linear(c: Tensor, s: Tensor, means: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    shape, residual, means = c.shape, residual.contiguous(), means.float().contiguous()
    numbers, c, s = _pair(c, s, means)
    outputs = residual.shape[-1]
    check("residual", residual, (*shape[:3], outputs), c.dtype)
    check("weight", weight, (outputs, 2 * numbers[2]), c.dtype)
    check("bias", bias, (outputs,), c.dtype)
    out = empty_like(residual)
    tensors = [c, s, means, weight.contiguous(), bias.contiguous(), residual, out]
    native.call("exchange_linear", tensors, [*numbers[:-1], outputs])
    return out


@_exchange_linear.register_fake
def _(c: Tensor, s: Tensor, means: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    return empty_like(residual)


def _pair(c: Tensor, s: Tensor, means: Tensor | None = None) -> tuple[list[int], Tensor, Tensor]:
    """`geometry` of csrc/exchange.c and both images as rows, all of them checked."""
    _check_image("c", c)
    check("s", s, c.shape, c.dtype)
    batch, height, width, channels = c.shape
    if means is not None:
        check("means", means, (batch, 2, channels), torch.float32)
    c, s = _rows(c), _rows(s)
    return [batch, height * width, channels, c.stride(0), s.stride(0), 0], c, s


@_exchange_means.register_fake
def _(c: Tensor, s: Tensor) -> Tensor:
    return c.new_empty((c.shape[0], 2, c.shape[3]), dtype=torch.float32)


@_exchange_means_backward.register_fake
def _(grad: Tensor, c: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    return empty_like(c), empty_like(s)


@_exchange.register_fake
def _(c: Tensor, s: Tensor, means: Tensor) -> Tensor:
    return c.new_empty((*c.shape[:-1], 2 * c.shape[-1]))


@_exchange_backward.register_fake
def _(grad: Tensor, c: Tensor, s: Tensor, means: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return empty_like(c), empty_like(s), means.new_empty(means.shape, dtype=torch.float32)


def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _exchange_means_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    return torch.ops.lamnet.exchange_means_backward(grad, *ctx.saved_tensors)


def _exchange_autograd(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
    return torch.ops.lamnet.exchange_backward(grad, *ctx.saved_tensors)


_exchange_means.register_autograd(_exchange_means_autograd, setup_context=_save_inputs)
_exchange.register_autograd(_exchange_autograd, setup_context=_save_inputs)
