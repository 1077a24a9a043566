"""A network with a changed part computes what the part says, whatever kernels there are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils import weight_norm as old_weight_norm

from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window
from lamnet.network import layers, parts
from lamnet.network.layers import DGFN, LAM, FocalAttention
from lamnet.network.model import Block, LAMNet
from lamnet.ops.backend import use_backend, why_not

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


def _of(network: LAMNet) -> Block:
    return network.groups[0].blocks[0]  # type: ignore[union-attr, return-value]


class _Doubled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class _Adapted(nn.Module):
    """A layer with a low-rank adapter beside it, as LoRA wraps it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.base, self.update = layer, nn.Linear(layer.in_features, layer.out_features, bias=False)  # type: ignore[arg-type]

    @property
    def weight(self) -> Tensor:
        return self.base.weight  # type: ignore[return-value]

    @property
    def bias(self) -> Tensor:
        return self.base.bias  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.update(x)


class _WithoutExchange(LAM):
    def forward(self, x: Tensor, means: Tensor | None) -> tuple[Tensor, Tensor]:
        c, s = self.branches(x)
        return self.project_out(torch.cat([c, s], -1)), x.new_zeros(x.shape[0], 2, c.shape[-1])


class _Shut(Block):
    def forward(self, x: Tensor, means: Tensor | None) -> tuple[Tensor, Tensor]:
        out, used = super().forward(x, means)
        return 0 * out, used


class _Negative(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return -weight


class _Quantised(Tensor):
    """A tensor whose numbers are not those in its memory."""

    @classmethod
    def __torch_function__(cls, func: Callable[..., Tensor], types: object, args: object = (), kwargs: object = None):  # type: ignore[override, no-untyped-def]
        plain = [one.as_subclass(Tensor).round() if isinstance(one, _Quantised) else one for one in args]  # type: ignore[attr-defined]
        return func(*plain, **(kwargs or {}))  # type: ignore[arg-type]


def _linear(network: LAMNet) -> None:
    layer = _Doubled(32, 32)
    layer.load_state_dict(_of(network).mixer.project_in.state_dict())
    _of(network).mixer.project_in = layer


def _class_of(name: str, kind: type) -> Callable[[LAMNet], None]:
    def change(network: LAMNet) -> None:
        network.get_submodule(name).__class__ = kind

    return change


def _hook(name: str, kind: str = "forward") -> Callable[[LAMNet], None]:
    def change(network: LAMNet) -> None:
        part = network.get_submodule(name)
        if kind == "forward":
            part.register_forward_hook(lambda _, __, out: (0 * out[0], out[1]) if isinstance(out, tuple) else 0 * out)
        else:
            part.register_forward_pre_hook(lambda _, given: (0 * given[0], *given[1:]))

    return change


def _patched(name: str) -> Callable[[LAMNet], None]:
    def change(network: LAMNet) -> None:
        part = network.get_submodule(name)
        whole = part.forward
        part.forward = lambda *given: 0 * whole(*given)  # type: ignore[method-assign]

    return change


def _option(name: str, **options: object) -> Callable[[LAMNet], None]:
    def change(network: LAMNet) -> None:
        for option, value in options.items():
            setattr(network.get_submodule(name), option, value)

    return change


def _pruned(network: LAMNet) -> None:
    prune.random_unstructured(_of(network).ffn.project_in, "weight", amount=0.5)
    _of(network).ffn.project_in.weight_mask.zero_()  # type: ignore[operator, union-attr]


def _weight_norm(network: LAMNet) -> None:
    old_weight_norm(_of(network).ffn.project_in).weight_g.data *= 2  # type: ignore[operator, union-attr]


def _quantised(network: LAMNet) -> None:
    own = _of(network).ffn.project_in._parameters
    own["weight"] = own["weight"].detach().as_subclass(_Quantised)  # type: ignore[union-attr, assignment]


def _without_bias(network: LAMNet) -> None:
    _of(network).ffn.project_out.bias = None  # type: ignore[assignment]


BLOCK = "groups.0.blocks.0."
CHANGES: dict[str, Callable[[LAMNet], None]] = {
    "a linear layer of another class": _linear,
    "a mixer without the exchange": _class_of(f"{BLOCK}mixer", _WithoutExchange),
    "a block of another class": _class_of("groups.0.blocks.0", _Shut),
    "hook of the feed-forward": _hook(f"{BLOCK}ffn"),
    "hook of a norm": _hook(f"{BLOCK}mixer_norm"),
    "hook of a focal attention": _hook(f"{BLOCK}mixer.vertical"),
    "hook of a long convolution": _hook(f"{BLOCK}mixer.vertical.depthwise"),
    "hook of a short convolution": _hook(f"{BLOCK}ffn.depthwise", "pre"),
    "hook of a block": _hook("groups.0.blocks.0"),
    "hook of a group": _hook("groups.0"),
    "hook before a linear layer": _hook(f"{BLOCK}mixer.channel_out", "pre"),
    "function of a feed-forward": _patched(f"{BLOCK}ffn"),
    "function of a convolution": _patched(f"{BLOCK}ffn.depthwise"),
    "function of a linear layer": _patched(f"{BLOCK}mixer.horizontal.project"),
    "parametrisation": lambda n: parametrize.register_parametrization(_of(n).ffn.project_in, "weight", _Negative()),  # type: ignore[dict-item]
    "parametrised factor": lambda n: parametrize.register_parametrization(_of(n), "mixer_scale", _Negative()),  # type: ignore[dict-item]
    "spectral norm": lambda n: parametrizations.spectral_norm(_of(n).mixer.project_out),  # type: ignore[dict-item]
    "weight norm": _weight_norm,
    "pruning": _pruned,
    "adapter": lambda n: setattr(_of(n).ffn, "project_in", _Adapted(_of(n).ffn.project_in)),
    "adapted convolution": lambda n: setattr(
        _of(n).ffn, "depthwise", nn.Sequential(_of(n).ffn.depthwise, nn.InstanceNorm2d(64))
    ),
    "identity for a norm": lambda n: setattr(_of(n), "ffn_norm", nn.Identity()),
    "weights of another class": _quantised,
    "no bias": _without_bias,
    "padding": _option(f"{BLOCK}ffn.depthwise", padding_mode="circular", _reversed_padding_repeated_twice=[1] * 4),
    "dilation": _option(f"{BLOCK}ffn.depthwise", dilation=(2, 2), padding=(2, 2)),
    "eps": _option(f"{BLOCK}ffn_norm", eps=1.0),
    "axis": _option(f"{BLOCK}mixer.vertical", dim=2),
    "window": _option(f"{BLOCK}mixer.vertical", window=Window((-2, 0, 0, 0, 1), (1, 1, 1, 1, 2))),
    "a larger kernel": lambda n: setattr(_of(n).ffn, "depthwise", nn.Conv2d(64, 64, 5, padding=2, groups=64)),
}


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
    [(DGFN, "forward"), (FocalAttention, "forward"), (nn.Linear, "forward"), (LAM, "branches"), (F, "gelu")],
)
def test_functions_that_somebody_replaced(
    network: LAMNet, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    x, was = torch.rand(1, 3, 9, 8), getattr(owner, name)
    before = network(x)
    halved = lambda *given: tuple(one / 2 for one in out) if isinstance(out := was(*given), tuple) else out / 2  # noqa: E731
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


def test_gradients_reach_what_was_added(network: LAMNet) -> None:
    CHANGES["adapter"](network)
    network(torch.rand(1, 3, 9, 8)).square().mean().backward()
    assert _of(network).ffn.project_in.update.weight.grad.abs().max() > 0  # type: ignore[union-attr, operator]


def test_it_is_said_once_and_names_the_part(network: LAMNet) -> None:
    CHANGES["hook of the feed-forward"](network)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        network(torch.rand(1, 3, 9, 8))
        network(torch.rand(1, 3, 9, 8))
    assert [str(one.message) for one in said] == ["in plain PyTorch, without the kernels: ffn with a hook"]


def test_a_part_that_is_whole_again_runs_on_the_kernels(network: LAMNet) -> None:
    x, block = torch.rand(1, 3, 9, 8), _of(network)
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
    _of(network).ffn.note = 1  # type: ignore[assignment]
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    handle = _of(network).register_forward_hook(lambda *_: None)
    handle.remove()
    network = torch.nn.ModuleList([network.train().eval()])[0]  # type: ignore[assignment]
    network(torch.rand(1, 3, 9, 8))
    assert parts._warned == []


@pytest.mark.parametrize("change", ["hook of the feed-forward", "a mixer without the exchange", "adapter"])
def test_changed_networks_compile_in_one_graph(network: LAMNet, change: str) -> None:
    CHANGES[change](network)
    x = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), network(x), rtol=1e-4, atol=1e-5)
