"""The cost of our operators, for torch.utils.flop_counter: two floating-point operations a multiply-add.

Counted are the multiply-adds of convolutions, linear layers and products, as PyTorch counts its own, and of FSA: per
pixel and channel one for each of its K taps, and one for each of the max(lengths) - 1 additions that make its averages as
running sums. A backward costs twice its forward. Arguments are those of the operators, tensors as their shapes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch

from lamnet.ops.block_weights import BlockWeights

_COUNTER = "torch.utils.flop_counter"
_done: list[bool] = []

Shape = Sequence[int]


def register_when_counting() -> None:
    """Register our operators once PyTorch's counter is imported, which this does not do: it takes half a second."""
    if not _done and _COUNTER in sys.modules:
        register()


register_when_counting._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as in backend_for


def register() -> None:
    """Make our operators known to every FlopCounterMode of this process, including those that are counting."""
    from torch.utils import flop_counter
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack  # pyright: ignore[reportPrivateUsage]

    if _done:
        return
    _done.append(True)
    for module in ("block", "depthwise", "fsa"):
        import_module(f"lamnet.ops.{module}")  # which define the operators
    counting: list[Any] = [getattr(mode, "counter", None) for mode in _get_current_dispatch_mode_stack()]
    register_formula: Any = getattr(flop_counter, "register_flop_formula")  # noqa: B009 (of a type that pyright cannot tell)
    formulas: dict[str, Any] = {
        "fsa": _fsa,
        "fsa_backward": _fsa_backward,
        "depthwise": _depthwise,
        "depthwise_backward": _depthwise_backward,
        "block": _block,
        "block_backward": _block_backward,
    }
    for name, formula in formulas.items():
        operator = getattr(torch.ops.lamnet, name)
        of_tensors = register_formula(operator)(formula)
        for counter in counting:
            if hasattr(counter, "flop_registry"):
                counter.flop_registry[operator] = of_tensors


def _fsa(value: Shape, weight: Shape, starts: Shape, lengths: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(value) * (len(starts) + max(lengths) - 1)


def _fsa_backward(grad: Shape, value: Shape, weight: Shape, starts: Shape, lengths: Shape, *_: Any, **__: Any) -> int:
    return 2 * _fsa(value, weight, starts, lengths)


def _depthwise(x: Shape, weight: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(x) * math.prod(weight[2:])


def _depthwise_backward(grad: Shape, x: Shape, weight: Shape, *_: Any, **__: Any) -> int:
    return 2 * _depthwise(x, weight)


def _block(
    x: Shape, means: object, starts: Shape, lengths: Shape, keep: bool, weights: Sequence[Shape], *_: Any, **__: Any
) -> int:
    return _of_block(x, starts, lengths, weights)


def _block_backward(
    grad: Shape,
    grad_means: object,
    x: Shape,
    means: Shape,
    own: bool,
    starts: Shape,
    lengths: Shape,
    kept: object,
    weights: Sequence[Shape],
    *_: Any,
    **__: Any,
) -> int:
    return 2 * _of_block(x, starts, lengths, weights)


def _of_block(x: Shape, starts: Shape, lengths: Shape, weights: Sequence[Shape]) -> int:
    shapes = dict(zip(BlockWeights._fields, weights, strict=True))
    layers = [math.prod(shape) for name, shape in shapes.items() if name.endswith("_weight") and "norm" not in name]
    half = (*x[:3], x[3] // 2)  # the last term: the product of each pixel with the mean of the spatial branch
    return 2 * math.prod(x[:3]) * sum(layers) + 2 * _fsa(half, (), starts, lengths) + 2 * math.prod(half)
