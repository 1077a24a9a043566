"""Our functions as PyTorch's operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

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
