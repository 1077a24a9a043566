"""Mixes of two networks: their weights interpolated linearly (deep network interpolation, arXiv:1811.10515)."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.core import config
from lamnet.core.weights import WeightsFile
from lamnet.network import reading

if TYPE_CHECKING:
    from lamnet.network.model import LAMNet


def mix(a: LAMNet, b: LAMNet, strength: float) -> LAMNet:
    """Mix two networks, parameter by parameter: `a` at strength 0, `b` at 1, in eval mode on the CPU.

    It makes sense where one was trained from the other, as the photo weights that ship were from the clean ones.

    Raises:
        BadArgumentError: a strength outside 0 to 1.
        BadWeightsError: networks of different configurations, or with parts or hooks that these do not make.
    """
    from lamnet.network.checks import unwrapped, what_changed

    a, b = unwrapped("a", a), unwrapped("b", b)
    for name, network in (("a", a), ("b", b)):
        if changed := what_changed(network):
            raise BadWeightsError(f"{name}: expected a network as its configuration makes it, found {changed}")
    return reading.network_of(mixed(reading.contents_of(a), reading.contents_of(b), strength))


def mixed(a: WeightsFile, b: WeightsFile, strength: float) -> WeightsFile:
    """Mix the weights of two networks as `mix` does; the record is that of `a`. Raises as `mix`."""
    check_strength(strength)
    if other := config.differences(a.config, b.config):
        raise BadWeightsError(f"strength: expected two networks of one configuration, got {'; '.join(other)}")
    state = {name: _interpolated(one, b.state[name], strength) for name, one in a.state.items()}
    return WeightsFile(a.config, state, a.record)


def _interpolated(one: NDArray[np.float32], other: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    return ((1 - share) * one.astype(np.float64) + share * other.astype(np.float64)).astype(np.float32)


def check_strength(strength: float) -> None:
    """Check that a strength is from 0 to 1. Raises BadArgumentError."""
    if not isinstance(cast("object", strength), Real) or not 0 <= strength <= 1:
        raise BadArgumentError(f"strength: expected a number from 0 (clean) to 1 (photo), got {strength!r:.40}")
