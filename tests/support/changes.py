"""Changes of a network that the kernels would not notice, by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils import weight_norm as old_weight_norm

from lamnet.core.window import Window
from lamnet.network.layers import LAM
from lamnet.network.model import Block, LAMNet


def block_of(network: LAMNet) -> Block:
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
    layer.load_state_dict(block_of(network).mixer.project_in.state_dict())
    block_of(network).mixer.project_in = layer


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
    prune.random_unstructured(block_of(network).ffn.project_in, "weight", amount=0.5)
    block_of(network).ffn.project_in.weight_mask.zero_()  # type: ignore[operator, union-attr]


def _weight_norm(network: LAMNet) -> None:
    old_weight_norm(block_of(network).ffn.project_in).weight_g.data *= 2  # type: ignore[operator, union-attr]


def _quantised(network: LAMNet) -> None:
    own = block_of(network).ffn.project_in._parameters
    own["weight"] = own["weight"].detach().as_subclass(_Quantised)  # type: ignore[union-attr, assignment]


def _without_bias(network: LAMNet) -> None:
    block_of(network).ffn.project_out.bias = None  # type: ignore[assignment]


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
    "parametrisation": lambda n: parametrize.register_parametrization(
        block_of(n).ffn.project_in, "weight", _Negative()
    ),  # type: ignore[dict-item]
    "parametrised factor": lambda n: parametrize.register_parametrization(block_of(n), "mixer_scale", _Negative()),  # type: ignore[dict-item]
    "spectral norm": lambda n: parametrizations.spectral_norm(block_of(n).mixer.project_out),  # type: ignore[dict-item]
    "weight norm": _weight_norm,
    "pruning": _pruned,
    "adapter": lambda n: setattr(block_of(n).ffn, "project_in", _Adapted(block_of(n).ffn.project_in)),
    "adapted convolution": lambda n: setattr(
        block_of(n).ffn, "depthwise", nn.Sequential(block_of(n).ffn.depthwise, nn.InstanceNorm2d(64))
    ),
    "identity for a norm": lambda n: setattr(block_of(n), "ffn_norm", nn.Identity()),
    "weights of another class": _quantised,
    "no bias": _without_bias,
    "padding": _option(f"{BLOCK}ffn.depthwise", padding_mode="circular", _reversed_padding_repeated_twice=[1] * 4),
    "dilation": _option(f"{BLOCK}ffn.depthwise", dilation=(2, 2), padding=(2, 2)),
    "eps": _option(f"{BLOCK}ffn_norm", eps=1.0),
    "axis": _option(f"{BLOCK}mixer.vertical", dim=2),
    "window": _option(f"{BLOCK}mixer.vertical", window=Window((-2, 0, 0, 0, 1), (1, 1, 1, 1, 2))),
    "a larger kernel": lambda n: setattr(block_of(n).ffn, "depthwise", nn.Conv2d(64, 64, 5, padding=2, groups=64)),
    "one factor for all channels": lambda n: setattr(block_of(n), "ffn_scale", nn.Parameter(torch.zeros(1))),
    "a factor without dimensions": lambda n: setattr(block_of(n), "mixer_scale", nn.Parameter(torch.zeros(()))),
}
