"""Registration of our functions as PyTorch operators, and the derivatives that they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import torch
from torch.autograd import forward_ad

from lamnet.base.errors import BadArgumentError

_functorch: Any = getattr(torch._C, "_functorch")  # noqa: B009  # pyright: ignore[reportPrivateUsage] (no public name)

Function = TypeVar("Function", bound=Callable[..., Any])


def operator(name: str) -> Callable[[Function], Function]:
    """Register a function that returns new tensors as the operator `name`, "lamnet::...", for any device.

    It is `torch.library.custom_op` without the wrapper around each call, which imports all of torch.compile: a third of the
    time that `lamnet` takes to start.
    """

    def register(function: Function) -> Function:
        schema = torch.library.infer_schema(function, mutates_args=())
        torch.library.define(name, schema, tags=torch.Tag.pt2_compliant_tag)
        torch.library.impl(name, "default", function)
        return function

    return register


def is_transformed() -> bool:
    """Tell whether torch.func or forward-mode differentiation is active, which plain PyTorch supports and the kernels do not."""
    return _functorch.peek_interpreter_stack() is not None or getattr(forward_ad, "_current_level", -1) >= 0


is_transformed._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as in backend_for


def check_first_derivative(name: str, *grads: torch.Tensor | None) -> None:
    """Refuse what the backward of `name` does not support: a gradient of the gradient, or a batch of gradients.

    Raises:
        BadArgumentError: with create_graph=True, or is_grads_batched=True.
    """
    batched = any(grad is not None and _functorch.is_legacy_batchedtensor(grad) for grad in grads)
    if torch.is_grad_enabled() or batched or is_transformed():
        raise BadArgumentError(
            f"{name}: expected one first derivative, got a second one or a batch of them, which the kernels do not have; "
            "torch.func has them, and so have forward and backward within use_backend('reference')"
        )


def refuse_second_derivative(name: str) -> None:
    """Make it an error to differentiate the operator `name`, itself a gradient; PyTorch would warn and take zero."""

    def refuse(_: object, *__: object) -> NoReturn:
        raise BadArgumentError(f"{name}: expected a first derivative, got a second one, which it does not have")

    torch.library.register_autograd(name, refuse)
