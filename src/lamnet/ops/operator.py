"""Registration of our functions as PyTorch operators, and the derivatives that they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, cast

import torch
import torch.overrides
from torch.autograd import forward_ad
from torch.utils._device import DeviceContext

from lamnet.base.errors import BadArgumentError

_overrides: Any = torch.overrides  # partly without types
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


def is_eager() -> bool:
    """Tell whether an operator's function may be called by itself: nothing traces operators, counts them or takes their place."""
    if torch.compiler.is_compiling() or cast("Any", torch.jit).is_tracing():
        return False
    return cast("Any", torch)._C._len_torch_dispatch_stack() == 0


def is_watched(x: torch.Tensor) -> bool:
    """Tell whether a `__torch_function__`, of x's class or a mode, is to see the functions of plain PyTorch that are called."""
    return _overrides.has_torch_function_unary(x) and (
        not _are_devices() or cast("Any", type(x)).__torch_function__ != _plain_function
    )


def _are_devices() -> bool:
    """Tell whether all modes that are active, if any, only choose a device, as `with torch.device(...)` does."""
    return all(isinstance(mode, DeviceContext) for mode in _overrides._get_current_function_mode_stack())


_plain_function: Any = cast("Any", torch.Tensor).__torch_function__
_are_devices._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as in backend_for


def asks_for_more(*grads: torch.Tensor | None) -> bool:
    """Tell, in a backward, whether a gradient of the gradient may be asked, or a batch of gradients is."""
    batched = any(grad is not None and _functorch.is_legacy_batchedtensor(grad) for grad in grads)
    return torch.is_grad_enabled() or batched or is_transformed()


def check_first_derivative(name: str, *grads: torch.Tensor | None) -> None:
    """Refuse what the backward of `name` does not support: a gradient of the gradient, or a batch of gradients.

    Raises:
        BadArgumentError: with create_graph=True, or is_grads_batched=True.
    """
    if asks_for_more(*grads):
        raise BadArgumentError(
            f"{name}: expected one first derivative, got a second one or a batch of them, which the kernels do not have; "
            "torch.func has them, and so have forward and backward within use_backend('reference')"
        )


def refuse_second_derivative(name: str) -> None:
    """Make it an error to differentiate the operator `name`, itself a gradient; PyTorch would warn and take zero."""

    def refuse(_: object, *__: object) -> NoReturn:
        raise BadArgumentError(f"{name}: expected a first derivative, got a second one, which it does not have")

    torch.library.register_autograd(name, refuse)
