"""A network with a changed part computes what the part says, whatever kernels there are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils import weight_norm as old_weight_norm
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window
from lamnet.network import layers, parts
from lamnet.network.layers import DGFN, LAM, FocalAttention
from lamnet.network.model import LAMNet
from lamnet.ops.backend import use_backend, why_not
from support.changes import CHANGES, block_of

NO_NATIVE = why_not("native", "cpu", torch.float32)
pytestmark = pytest.mark.skipif(NO_NATIVE is not None, reason=f"native: {NO_NATIVE}")
CONFIG = LAMNetConfig(2, channels=32, groups=1, blocks=2, heads=2, window=Window.focal(5, (3,), (1,)))


@pytest.fixture
def network() -> LAMNet:
    torch.manual_seed(0)
    network = LAMNet(CONFIG).eval()
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return network


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(parts, "_warned", [])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_is_what_runs(network: LAMNet, change: str) -> None:
    x = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        before = network(x)
        CHANGES[change](network)
        after = network(x)
        with use_backend("reference"):
            expected = network(x)
    assert (after - before).abs().max() > 1e-3 * before.abs().max()
    assert (after - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        *((DGFN, "forward"), (FocalAttention, "forward"), (nn.Linear, "forward"), (LAM, "branches"), (F, "gelu")),
        *((torch, "layer_norm"), (torch, "stack"), (Tensor, "mean"), (Tensor, "chunk")),
        *((DGFN, "__call__"), (LAM, "__call__"), (nn.LayerNorm, "__call__"), (nn.Conv2d, "_conv_forward")),
    ],
)
def test_functions_that_somebody_replaced(
    network: LAMNet, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    x, was = torch.rand(1, 3, 9, 8), getattr(owner, name)
    before = network(x)

    def halved(*given, **options):  # type: ignore[no-untyped-def]
        out = was(*given, **options)
        return tuple(one / 2 for one in out) if isinstance(out, tuple) else out / 2

    monkeypatch.setattr(owner, name, halved)
    assert (network(x) - before).abs().max() > 1e-3 * before.abs().max()
    monkeypatch.undo()
    assert torch.equal(network(x), before)


def test_the_exchange_replaced_by_none(network: LAMNet, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(1, 3, 9, 8)
    before = network(x)
    monkeypatch.setattr(layers, "exchange_means", lambda c, s: torch.zeros(1, 2, c.shape[-1]))
    assert (network(x) - before).abs().max() > 1e-3 * before.abs().max()


def test_hooks_of_all_modules_are_called(network: LAMNet) -> None:
    seen: list[type] = []
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, _, __: seen.append(type(module)))
    try:
        network(torch.rand(1, 3, 9, 8))
    finally:
        handle.remove()
    assert {LAM, DGFN, FocalAttention, nn.Linear, nn.Conv2d, nn.LayerNorm} <= set(seen)


class _Halved(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        return out / 2 if func is F.gelu else out


class _Noting(Tensor):
    seen: ClassVar[set[object]] = set()

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        cls.seen.add(func)
        return super().__torch_function__(func, types, args, kwargs or {})


def test_what_watches_functions_sees_those_of_plain_pytorch(network: LAMNet) -> None:
    x = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        before = network(x)
        with _Halved():
            after = network(x)
            with use_backend("reference"):
                expected = network(x)
        network(x.as_subclass(_Noting))
    assert (after - before).abs().max() > 1e-3 * before.abs().max()
    assert (after - expected).abs().max() < 1e-5 * expected.abs().max()
    assert F.gelu in _Noting.seen


def test_a_default_device_keeps_the_kernels(network: LAMNet) -> None:
    x, seen = torch.rand(1, 3, 9, 8), set[str]()

    class Named(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            seen.add(str(func))
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), torch.device("cpu"), Named():
        network(x)
    assert "lamnet.block.default" in seen


def test_gradients_reach_what_was_added(network: LAMNet) -> None:
    CHANGES["adapter"](network)
    network(torch.rand(1, 3, 9, 8)).square().mean().backward()
    assert block_of(network).ffn.project_in.update.weight.grad.abs().max() > 0  # type: ignore[union-attr, operator]


def test_it_is_said_once_and_names_the_part(network: LAMNet) -> None:
    CHANGES["hook of the feed-forward"](network)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        network(torch.rand(1, 3, 9, 8))
        network(torch.rand(1, 3, 9, 8))
    assert [str(one.message) for one in said] == ["in plain PyTorch, without the kernels: ffn with a hook"]


def test_a_part_that_is_whole_again_runs_on_the_kernels(network: LAMNet) -> None:
    x, block = torch.rand(1, 3, 9, 8), block_of(network)
    expected = network(x)
    prune.identity(block.ffn.project_in, "weight")
    prune.remove(block.ffn.project_in, "weight")
    torch.nn.utils.remove_weight_norm(old_weight_norm(block.mixer.project_in))
    parametrizations.weight_norm(block.mixer.project_out)
    parametrize.remove_parametrizations(block.mixer.project_out, "weight")
    assert (network(x) - expected).abs().max() < 1e-5 * expected.abs().max()
    assert parts._warned == []


def test_what_changes_nothing_keeps_the_kernels(network: LAMNet) -> None:
    network.hello = "a note"  # type: ignore[assignment]
    block_of(network).ffn.note = 1  # type: ignore[assignment]
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    handle = block_of(network).register_forward_hook(lambda *_: None)
    handle.remove()
    network = torch.nn.ModuleList([network.train().eval()])[0]  # type: ignore[assignment]
    network(torch.rand(1, 3, 9, 8))
    assert parts._warned == []


@pytest.mark.thorough
@pytest.mark.parametrize("change", ["hook of the feed-forward", "a mixer without the exchange", "adapter"])
def test_changed_networks_compile_in_one_graph(network: LAMNet, change: str) -> None:
    CHANGES[change](network)
    x = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), network(x), rtol=1e-4, atol=1e-5)
