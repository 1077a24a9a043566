"""Photographs to a prepared set, and a prepared set to weights.

May touch `evaluation`, `network` and below; never `upscale`, `batch` or `cli`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lamnet.training.loop import train
    from lamnet.training.preparation import prepare
    from lamnet.training.recipes import Recipe

__all__ = ["Recipe", "prepare", "train"]

_HOME = {
    "Recipe": "lamnet.training.recipes",
    "prepare": "lamnet.training.preparation",
    "train": "lamnet.training.loop",
}


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # where a name that is not above is a mistake

    def __getattr__(name: str) -> Any:
        """Import on first use, so that a module of this room does not wait for the others."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOME[name]), name)
