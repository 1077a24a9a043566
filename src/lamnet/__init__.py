"""Lightweight image super-resolution with the Linear Adaptive Mixer Network (arXiv 2409.17597)."""

from typing import TYPE_CHECKING, Any

from lamnet.base.lazy import on_first_use

if TYPE_CHECKING:
    __version__: str
    from lamnet.base.errors import (
        BackendError,
        BadArgumentError,
        BadDataError,
        BadImageError,
        BadWeightsError,
        LamnetError,
        MissingExtraError,
    )
    from lamnet.core.config import LAMNetConfig
    from lamnet.core.window import Window
    from lamnet.network.mixing import mix
    from lamnet.network.model import LAMNet
    from lamnet.network.saving import save
    from lamnet.network.weights import load
    from lamnet.ops.fsa import fsa
    from lamnet.upscale.goal import Goal
    from lamnet.upscale.upscaler import Upscaler

__all__ = [
    "BackendError",
    "BadArgumentError",
    "BadDataError",
    "BadImageError",
    "BadWeightsError",
    "Goal",
    "LAMNet",
    "LAMNetConfig",
    "LamnetError",
    "MissingExtraError",
    "Upscaler",
    "Window",
    "fsa",
    "load",
    "mix",
    "save",
]

_ERRORS = "lamnet.base.errors"
_HOMES = {
    "BackendError": _ERRORS,
    "BadArgumentError": _ERRORS,
    "BadDataError": _ERRORS,
    "BadImageError": _ERRORS,
    "BadWeightsError": _ERRORS,
    "Goal": "lamnet.upscale.goal",
    "LAMNet": "lamnet.network.model",
    "LAMNetConfig": "lamnet.core.config",
    "LamnetError": _ERRORS,
    "MissingExtraError": _ERRORS,
    "Upscaler": "lamnet.upscale.upscaler",
    "Window": "lamnet.core.window",
    "fsa": "lamnet.ops.fsa",
    "load": "lamnet.network.weights",
    "mix": "lamnet.network.mixing",
    "save": "lamnet.network.saving",
}


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


if not TYPE_CHECKING:  # a type checker would take any name for one of these
    _get = on_first_use(__name__, _HOMES)

    def __getattr__(name: str) -> Any:
        """Import on first use, so that `lamnet --help` does not wait for PyTorch."""
        if name == "__version__":
            from importlib.metadata import version

            return version("lamnet-sr")
        return _get(name)
