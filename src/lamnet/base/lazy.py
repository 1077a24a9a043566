"""Public names of a package that are imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from lamnet.base.extras import require


def on_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package, so that importing one of its modules does not import all the others.

    Args:
        package: its `__name__`.
        homes: the module of each public name. One that needs PyTorch raises MissingExtraError where that is not installed.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return getattr(import_module(homes[name]), name)
        except ModuleNotFoundError as error:
            if error.name == "torch":
                require("torch", "torch", f"{package}.{name}")
            raise

    return get
