"""Residuals with factors on the kernels against plain PyTorch, and their independence of threads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lamnet.base.errors import BadArgumentError
from lamnet.ops.residual import add_scaled
from support.kernels import FORWARD, against_reference, needs_native, seeded, strided


@needs_native
@pytest.mark.parametrize("dtype", FORWARD)
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 37, 29)])
@pytest.mark.parametrize("channels", [32, 96])
def test_native_residual(dtype: torch.dtype, size: tuple[int, int, int], channels: int) -> None:
    x, y, scale = strided(*size, channels), seeded(*size, channels), seeded(channels)

    def function(x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        return add_scaled(x, y, scale.double() if x.dtype == torch.float64 else scale.float())

    against_reference(function, [x, y, scale], dtype)


@needs_native
def test_results_do_not_depend_on_threads() -> None:
    results: list[list[Tensor]] = []
    inputs, threads = [seeded(2, 40, 50, 64), seeded(2, 40, 50, 64), seeded(64)], torch.get_num_threads()
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        out = add_scaled(*leaves)
        results.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
    torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@needs_native
def test_operators_are_as_pytorch_takes_them_and_refuse_what_they_would_misread() -> None:
    x, y, scale = (tensor.requires_grad_() for tensor in (seeded(1, 3, 4, 32), seeded(1, 3, 4, 32), seeded(32)))
    torch.library.opcheck(torch.ops.lamnet.residual.default, (x, y, scale))
    torch.library.opcheck(torch.ops.lamnet.residual_backward.default, (x.detach(), y.detach(), scale.detach()))
    for operator in (torch.ops.lamnet.residual, torch.ops.lamnet.residual_backward):
        for other in ((x, y[:, :2], scale), (x, y, scale[:-1]), (x, y.double(), scale), (x[0], y[0], scale)):
            with pytest.raises(BadArgumentError, match=r"^\w+: expected .* got "):
                operator(*(tensor.detach() for tensor in other))
