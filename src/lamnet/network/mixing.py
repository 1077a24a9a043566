"""Networks between two of one kind: their weights mixed linearly (deep network interpolation, arXiv:1811.10515)."""

from __future__ import annotations

from dataclasses import asdict

from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.network.model import LAMNet


def mix(a: LAMNet, b: LAMNet, strength: float) -> LAMNet:
    """Mix the weights of two networks, parameter by parameter: `a` at strength 0, `b` at 1, in eval mode on the CPU.

    It makes sense where one was trained from the other, as the photo weights that ship were from the clean ones.

    Raises:
        BadArgumentError: a strength outside 0 to 1.
        BadWeightsError: networks of different configurations.
    """
    check_strength(strength)
    here, there = asdict(a.config), asdict(b.config)
    if other := [f"{name} {here[name]}, {there[name]}" for name in here if here[name] != there[name]]:
        raise BadWeightsError(f"strength: expected two networks of one configuration, got {'; '.join(other)}")
    others = b.state_dict()
    mixed = LAMNet(a.config)
    mixed.load_state_dict(
        {name: one.cpu().float().lerp(others[name].cpu().float(), strength) for name, one in a.state_dict().items()}
    )
    return mixed.eval()


def check_strength(strength: float) -> None:
    """Raise BadArgumentError for a strength outside 0 to 1."""
    if not 0 <= strength <= 1:
        raise BadArgumentError(f"strength: expected a number from 0 (clean) to 1 (photo), got {strength:g}")
