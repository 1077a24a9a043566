"""Photographs to a prepared set, and a prepared set to weights.

May touch `evaluation`, `network` and below; never `upscale`, `batch` or `cli`.
"""

from typing import TYPE_CHECKING

from lamnet.base.lazy import on_first_use

if TYPE_CHECKING:
    from lamnet.training.loop import train
    from lamnet.training.preparation import prepare
    from lamnet.training.recipes import Recipe

__all__ = ["Recipe", "prepare", "train"]

_HOMES = {
    "Recipe": "lamnet.training.recipes",
    "prepare": "lamnet.training.preparation",
    "train": "lamnet.training.loop",
}


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a type checker would take any name for one of these
    __getattr__ = on_first_use(__name__, _HOMES)
