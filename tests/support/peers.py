"""The real spandrel, also where torchvision is absent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest


@contextmanager
def real_spandrel() -> Iterator[Any]:
    """Import its module; torchvision, which two unused architectures import, is a stub where it is absent."""
    reason = "spandrel is not installed; pip install -e '.[peers]'"
    pytest.importorskip("einops", reason=reason)
    with pytest.MonkeyPatch.context() as patch:
        if "torchvision" not in sys.modules and not find_spec("torchvision"):
            stub = ModuleType("torchvision.transforms.functional")
            vars(stub).update(InterpolationMode=None, rotate=None, normalize=None)
            for name in ("torchvision", "torchvision.transforms"):
                patch.setitem(sys.modules, name, ModuleType(name))
            patch.setitem(sys.modules, stub.__name__, stub)
        yield pytest.importorskip("spandrel", reason=reason)
