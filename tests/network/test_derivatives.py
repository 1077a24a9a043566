"""Derivatives beyond the first, of many outputs or many inputs at once: as of a network in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

import lamnet
from lamnet.base.errors import BadArgumentError
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window
from lamnet.network.model import LAMNet
from lamnet.ops.backend import use_backend, why_not

NO_NATIVE = why_not("native", "cpu", torch.float32)


@pytest.fixture(scope="module")
def network() -> LAMNet:
    torch.manual_seed(0)
    network = LAMNet(LAMNetConfig(2, channels=32, groups=1, blocks=1, window=Window.focal(5, (3,), (1,)))).eval()
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return network


@pytest.fixture(scope="module")
def exact(network: LAMNet) -> LAMNet:
    return deepcopy(network).double()


@pytest.fixture
def x() -> Tensor:
    return torch.rand(1, 3, 3, 4, generator=torch.Generator().manual_seed(1))


def _finite_difference(function: Callable[[Tensor], Tensor], x: Tensor, along: Tensor) -> Tensor:
    """Compute a central difference, in float64, in which no kernel computes."""
    return (function(x + 1e-6 * along) - function(x - 1e-6 * along)) / 2e-6


def _close(got: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    assert (got - expected).abs().max() < tolerance * expected.abs().max()


def test_grad_is_that_of_autograd(network: LAMNet, x: Tensor) -> None:
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network(leaf).square().mean(), leaf)
    _close(grad(lambda x: network(x).square().mean())(x), expected)


def test_gradients_of_each_picture_in_the_weights(network: LAMNet) -> None:
    pictures, weights = torch.rand(3, 3, 4, 5), {name: one.detach() for name, one in network.named_parameters()}
    loss = lambda weights, picture: functional_call(network, weights, (picture[None],)).square().mean()  # noqa: E731
    found = vmap(grad(loss), in_dims=(None, 0))(weights, pictures)
    for number, picture in enumerate(pictures):
        expected = torch.autograd.grad(network(picture[None]).square().mean(), list(network.parameters()))
        for name, one in zip(weights, expected, strict=True):
            _close(found[name][number], one, 1e-3)


@pytest.mark.thorough
def test_jacobians_forwards_and_backwards(network: LAMNet, exact: LAMNet, x: Tensor) -> None:
    with torch.no_grad():
        backwards, forwards = jacrev(network)(x), jacfwd(network)(x)
    assert backwards.shape == (1, 3, 6, 8, 1, 3, 3, 4)
    _close(forwards, backwards)
    along = torch.randn_like(x)
    _close((backwards * along).sum((4, 5, 6, 7)), _finite_difference(exact, x.double(), along).detach())


def test_forward_mode(network: LAMNet, exact: LAMNet, x: Tensor) -> None:
    along = torch.randn_like(x)
    out, tangent = jvp(network, (x,), (along,))
    _close(out, network(x))
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(network(forward_ad.make_dual(x, along)))
    _close(dual.tangent, tangent)
    _close(tangent, _finite_difference(exact, x.double(), along))


def test_second_derivatives(network: LAMNet, exact: LAMNet, x: Tensor) -> None:
    loss = lambda x: network(x).square().mean()  # noqa: E731
    curvature = hessian(loss)(x)
    along = torch.randn_like(x)
    expected = (curvature * along).sum((4, 5, 6, 7))
    in_double = grad(lambda x: exact(x).square().mean())
    _close(_finite_difference(in_double, x.double(), along).detach(), expected, 1e-3)
    with use_backend("reference"):
        leaf = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
        (second,) = torch.autograd.grad((first * along).sum(), leaf)
    _close(second, expected)


@pytest.mark.skipif(NO_NATIVE is not None, reason=f"native: {NO_NATIVE}")
@pytest.mark.parametrize("options", [{"create_graph": True}, {"is_grads_batched": True}])
def test_what_the_kernels_cannot_do_is_said_in_one_line(network: LAMNet, x: Tensor, options: dict[str, bool]) -> None:
    out = network(x.requires_grad_())
    seed = torch.ones(2, *out.shape) if "is_grads_batched" in options else torch.ones_like(out)
    with pytest.raises(BadArgumentError, match=r"lamnet::block: .*use_backend\('reference'\)"):
        torch.autograd.grad(out, x, seed, **options)


@pytest.mark.thorough
def test_the_operator_itself() -> None:
    window = Window.focal(5, (3,), (1,))
    value, weight = (torch.randn(1, n, 4, 5, dtype=torch.float64, requires_grad=True) for n in (4, 10))
    function = lambda value, weight: lamnet.fsa(value, weight, window, -1)  # noqa: E731
    assert torch.autograd.gradcheck(function, (value, weight), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, (value, weight))
