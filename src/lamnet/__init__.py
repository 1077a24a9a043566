"""Lightweight image super-resolution with the Linear Adaptive Mixer Network (arXiv 2409.17597)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_HOME = {
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


if not TYPE_CHECKING:  # where a name that is not above is a mistake

    def __getattr__(name: str) -> Any:
        """Import on first use, so that `lamnet --help` does not wait for PyTorch."""
        if name == "__version__":
            from importlib.metadata import version

            return version("lamnet-sr")
        if name not in _HOME:
            raise AttributeError(f"module 'lamnet' has no attribute {name!r}")
        try:
            home = import_module(_HOME[name])
        except ModuleNotFoundError as error:
            if error.name == "torch":
                from lamnet.base.extras import require

                require("torch", "torch", f"lamnet.{name}")
            raise
        return getattr(home, name)
