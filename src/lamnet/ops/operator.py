"""Our functions as PyTorch's operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import torch
from torch.autograd import forward_ad

from lamnet.base.errors import BadArgumentError

Function = TypeVar("Function", bound=Callable[..., Any])


def operator(name: str) -> Callable[[Function], Function]:
    """Make of a function that returns new tensors the operator `name`, "lamnet::...", for any device.

    As `torch.library.custom_op`, but for what that puts around each call, which imports all of torch.compile: a third
    of the time that `lamnet` takes to start.
    """

    def register(function: Function) -> Function:
        schema = torch.library.infer_schema(function, mutates_args=())
        torch.library.define(name, schema, tags=torch.Tag.pt2_compliant_tag)
        torch.library.impl(name, "default", function)
        return function

    return register


def refuse_second_derivative(name: str) -> None:
    """Make a gradient through the operator `name`, itself a gradient, an error; PyTorch would warn and take zero."""

    def refuse(_: object, *__: object) -> NoReturn:
        raise BadArgumentError(f"{name}: expected a first derivative, got a second one, which LAMNet does not have")

    torch.library.register_autograd(name, refuse)


def refuse_forward_mode(*tensors: torch.Tensor) -> None:
    """Raise where forward-mode differentiation is under way; torch.func.jvp would take our operators' part for zero."""
    if any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors):
        raise BadArgumentError("expected tensors without tangents, got one: LAMNet has no forward-mode derivatives")
