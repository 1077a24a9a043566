"""Parameters, multiply-adds and activations of a network for a stated output size, by PyTorch's own flop counter.

The numbers are counted as papers do, so that they can stand in a table:

- parameters: every learned number;
- multiply-adds: those of convolutions, linear layers and matrix products (the formulas of torch.utils.flop_counter,
  halved) and of FSA: per pixel and channel one for each of its K taps, and one for each of the max(lengths) - 1
  additions that make its averages as running sums. Not counted: biases, normalisation, factors per channel,
  activation functions, other element-wise products, means;
- activations: the elements in the outputs of the operators whose multiply-adds are counted.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lamnet.base.errors import BadArgumentError
from lamnet.ops import flops
from lamnet.ops.backend import use_backend


@dataclass(frozen=True)
class Complexity:
    """The cost of one image; sizes are (height, width) in pixels."""

    lr_size: tuple[int, int]
    output_size: tuple[int, int]
    parameters: int
    multiply_adds: int
    activations: int


def complexity(network: nn.Module, scale: int, output_size: tuple[int, int] = (720, 1280)) -> Complexity:
    """Count the cost of a network (B, 3, H, W) -> (B, 3, scale*H, scale*W) on shapes alone, without computing pixels.

    Args:
        network: a LAMNet, or any network that runs on the meta device; it is left as it is.
        scale: its scale.
        output_size: height and width of the output; where the scale does not divide it, the input is rounded up.

    Raises:
        BadArgumentError: the scale or the size is below 1.
    """
    if min(scale, *output_size) < 1:
        raise BadArgumentError(f"output_size: expected a scale and sides of at least 1, got x{scale}, {output_size}")
    height, width = (math.ceil(side / scale) for side in output_size)
    flops.register()
    shadow = copy.deepcopy(network).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with (
        torch.no_grad(),
        use_backend("reference"),
        counter,
        _OutputCounter(cast("dict[Any, Any]", counter.flop_registry)) as outputs,
    ):
        shadow(torch.empty(1, 3, height, width, device="meta"))
    return Complexity(
        lr_size=(height, width),
        output_size=(scale * height, scale * width),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        activations=outputs.elements,
    )


class _OutputCounter(TorchDispatchMode):
    """Sums the elements that the counted operators return."""

    def __init__(self, counted: Collection[Any]) -> None:
        super().__init__()
        self.counted = counted
        self.elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in self.counted and isinstance(out, Tensor):
            self.elements += out.numel()
        return out
