"""Comparison of a network's parts with those that its configuration makes: the kernels compute only the latter.

The kernels read a block's weights and never call its layers. They would silently skip a part of another class, or one with
a hook, a function of its own or anything besides its weights, so such a block runs in plain PyTorch.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from lamnet.core.window import Window
from lamnet.ops.fsa import HEIGHT, WIDTH

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_GLOBAL_HOOKS = [getattr(torch_module, f"_global{name}") for name in _HOOKS]
_hooks_of = itemgetter(*_HOOKS)
_CONVOLUTION = itemgetter("stride", "dilation", "padding_mode")
_ORDINARY = (1, 1), (1, 1), "zeros"
# The classes that PyTorch and its tracing give a parameter; another class may keep its numbers elsewhere.
_TENSORS = {nn.Parameter, Tensor}
_TRACED = "torch._subclasses"
_PLAIN = (bool, int, float, str, tuple, Window, type(None))
_warned: list[str] = []


# By their private names: PyTorch's public ones take fifty times as long, and every forward looks at hundreds of parts.
def _parameters(part: nn.Module) -> dict[str, Any]:
    return part._parameters  # pyright: ignore[reportPrivateUsage]


def _own(part: nn.Module) -> dict[str, Any]:
    return vars(part)


def _buffers(part: nn.Module) -> dict[str, Any]:
    return part._buffers  # pyright: ignore[reportPrivateUsage]


def _modules(part: nn.Module) -> dict[str, Any]:
    return part._modules  # pyright: ignore[reportPrivateUsage]


_CONTAINERS = 5  # of a block, before its layers
_OF_MIXER = 18  # tensors of a block's mixer and the norm before it, without the factor
_EPS = 1e-5  # of layer norm


def parts_of(block: nn.Module) -> list[Any]:
    """List a block's containers, then its layers in the order of their weights in BlockWeights."""
    own = _modules(block)
    mixer, ffn = _modules(own["mixer"]), _modules(own["ffn"])
    across, down = mixer["horizontal"], mixer["vertical"]
    return [
        *(block, own["mixer"], own["ffn"], across, down),
        *(own["mixer_norm"], mixer["project_in"], mixer["channel_in"], mixer["channel_out"]),
        *(_modules(across)["depthwise"], _modules(across)["project"]),
        *(_modules(down)["depthwise"], _modules(down)["project"]),
        *(mixer["project_out"], own["ffn_norm"], ffn["project_in"], ffn["depthwise"], ffn["project_out"]),
    ]


def weights_of(block: nn.Module) -> list[Tensor]:
    """List the learned tensors of an unchanged block, in the order of BlockWeights."""
    layers = _weights_of(parts_of(block)[_CONTAINERS:])
    own = _parameters(block)
    return [*layers[:_OF_MIXER], own["mixer_scale"], *layers[_OF_MIXER:], own["ffn_scale"]]


def _weights_of(layers: Iterable[nn.Module]) -> list[Tensor]:
    return [own[name] for own in map(_parameters, layers) for name in ("weight", "bias")]  # whose order may differ


def change(block: nn.Module, ours: nn.Module, its_facts: tuple[Any, ...]) -> str | None:
    """Describe the first part of a block that the kernels do not compute; None without one.

    Args:
        ours: an unchanged block of any configuration.
        its_facts: the `facts` of its parts.
    """
    try:
        found = parts_of(block)
    except (AttributeError, KeyError, TypeError):
        return difference(block, ours) or "parts of another kind"
    if facts(found) != its_facts and (what := difference(block, ours)):
        return what
    if is_hooked(found):
        return hooked(block)
    if not are_tensors([*_weights_of(found[_CONTAINERS:]), *_parameters(block).values()]):
        return "a parameter that is missing or of another class"
    return _other_options(found)


def _other_options(found: Sequence[Any]) -> str | None:
    """Describe the first option of a block's parts that the kernels do not know; None without one."""
    block, _, _, across, down, mixer_norm, project_in, *_, ffn_norm, _, spatial, _ = found
    window: Window = _own(block)["window"]
    channels: tuple[int, ...] = _parameters(mixer_norm)["weight"].shape
    for attention, dim in ((across, WIDTH), (down, HEIGHT)):
        own = _own(attention)
        if own["dim"] != dim or not (own["window"] is window or own["window"] == window):
            return "an attention with another window or axis"
    if any(factor.shape != channels for factor in _parameters(block).values()):
        return "a factor of another shape"
    for norm in (mixer_norm, ffn_norm):
        own = _own(norm)
        if own["eps"] != _EPS or own["normalized_shape"] != channels:
            return f"a LayerNorm with {norm.extra_repr()}"
    wide, high, span = _modules(across)["depthwise"], _modules(down)["depthwise"], window.span
    for conv, size in ((wide, (1, span)), (high, (span, 1)), (spatial, (3, 3))):
        if not is_ordinary(conv, size):
            return f"a convolution with {conv.extra_repr()}"
    shapes = [_parameters(_modules(one)["project"])["weight"].shape for one in (across, down)]
    if _parameters(project_in)["weight"].shape[0] != channels[0] or shapes[0] != shapes[1]:
        return "branches of another width"
    return None


def facts(parts: Sequence[nn.Module]) -> tuple[Any, ...]:
    """Gather the facts that must agree between the parts of two blocks, quick to make and compare."""
    states = [part.__dict__ for part in parts]
    return (
        [*map(type, parts)],
        [*map(len, states)],
        [*map(len, map(_buffers, parts))],
        [*map(len, map(_modules, parts))],
        [*map(tuple, map(_parameters, parts))],
    )


def is_hooked(parts: Iterable[nn.Module]) -> bool:
    """Tell whether a call of one of the parts would call a hook too."""
    return _has_global_hooks() or any(map(any, map(_hooks_of, map(vars, parts))))


def are_tensors(tensors: Iterable[object]) -> bool:
    """Tell whether all are tensors of PyTorch's own classes."""
    classes = set(map(type, tensors))
    return classes <= _TENSORS or all(one in _TENSORS or one.__module__.startswith(_TRACED) for one in classes)


def is_plain(conv: nn.Conv2d) -> bool:
    """Tell whether a depthwise convolution is only its weight and bias."""
    return (
        type(conv) is nn.Conv2d
        and not is_hooked([conv])
        and not {"forward", "_conv_forward"} & vars(conv).keys()
        and tuple(_parameters(conv)) == ("weight", "bias")
        and are_tensors(_parameters(conv).values())
        and is_ordinary(conv, conv.weight.shape[2:])
    )


def is_ordinary(conv: nn.Conv2d, size: Sequence[int]) -> bool:
    """Tell whether a depthwise convolution has a kernel of this (height, width), stride and dilation 1, and zero padding."""
    own = vars(conv)
    weight = own["_parameters"]["weight"].shape
    return (
        _CONVOLUTION(own) == _ORDINARY
        and own["padding"] == (size[0] // 2, size[1] // 2)
        and weight == (own["groups"], 1, *size)
    )


def difference(network: nn.Module, ours: nn.Module, sizes: bool = False) -> str | None:
    """Describe the first part of a network that differs from `ours`; None without one.

    With `sizes` options and shapes are compared as well. Hooks are not compared: `hooked` finds them.
    """
    expected, found = _modules_by_name(ours), _modules_by_name(network)
    for name, part in found.items():
        what = type(part).__name__
        if name not in expected:
            return f"{name} ({what}), which LAMNet has not"
        if other := _other_part(part, expected[name], sizes):
            return f"{name or 'it'} ({what}) with {other}"
    missing = expected.keys() - found.keys()
    return f"it without {min(missing)}" if missing else None


def hooked(network: nn.Module) -> str | None:
    """Describe the first part that has a hook; None without one."""
    if _has_global_hooks():
        return "hooks on all modules"
    named_parts = _modules_by_name(network).items()
    return next((f"{name or 'it'} with a hook" for name, part in named_parts if is_hooked([part])), None)


def warn_once(what: str) -> None:
    """Warn, once in a process, that blocks run without the kernels."""
    if not _warned:
        _warned.append(what)
        warnings.warn(f"in plain PyTorch, without the kernels: {what}", stacklevel=2)


def _modules_by_name(network: nn.Module) -> dict[str, nn.Module]:
    return dict(cast("Iterable[tuple[str, nn.Module]]", network.named_modules()))


def _has_global_hooks() -> bool:
    return any(_GLOBAL_HOOKS)


def _other_part(part: nn.Module, ours: nn.Module, sizes: bool) -> str | None:
    if type(part) is not type(ours):
        return "a class of its own"
    own = vars(part).keys() - vars(ours).keys()
    if patched := [name for name in own if callable(getattr(type(ours), name, None))]:
        return f"a {min(patched)} of its own"
    for kind in ("_parameters", "_buffers"):
        if differing := _first_differing(vars(part)[kind], vars(ours)[kind], sizes):
            return f"another {differing}"
    if sizes and part.extra_repr() != ours.extra_repr():
        return part.extra_repr()
    if sizes and (option := _other_option(part, ours)):
        return f"another {option}"
    return None


def _other_option(part: nn.Module, ours: nn.Module) -> str | None:
    """Return the first public attribute whose value, a number or another plain thing, differs."""
    found = vars(part)
    for name, value in vars(ours).items():
        if not name.startswith("_") and name != "training" and isinstance(value, _PLAIN) and found.get(name) != value:
            return name
    return None


def _first_differing(found: Mapping[str, Tensor | None], ours: Mapping[str, Tensor | None], sizes: bool) -> str | None:
    """Return the first name that only one has, or whose tensors differ in class, or with `sizes` in shape."""
    for name in sorted(found.keys() | ours.keys()):
        one, other = found.get(name), ours.get(name)
        if one is None or other is None:
            if one is not other:
                return name
        elif not are_tensors([one]) or (sizes and one.shape != other.shape):
            return name
    return None
