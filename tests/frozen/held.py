"""Data of these tests: text compared whole, the shape of JSON and tensors as text, and when to write all of it anew."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

FOLDER = Path(__file__).parent
REWRITE = os.environ.get("LAMNET_FREEZE") == "1"


def hold(name: str, text: str) -> None:
    """Fail with a diff where the text differs from the one in this folder's file; LAMNET_FREEZE=1 writes it instead."""
    path = FOLDER / name
    if REWRITE:
        path.write_text(text, encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    if text != before:
        lines = difflib.unified_diff(before.splitlines(), text.splitlines(), f"frozen/{name}", "now", lineterm="", n=2)
        pytest.fail("\n".join(lines), pytrace=False)


def shape(content: Any) -> str:
    """Keys and types of nested content, a line each, in order; of several alike in a list the first one's."""
    return "".join(f"{line}\n" for line in _shape(content, ""))


def _shape(content: Any, place: str) -> Iterator[str]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _shape(value, f"{place}.{key}" if place else str(key))
        if not content:
            yield f"{place}: empty"
    elif isinstance(content, (list, tuple)):
        kinds = dict.fromkeys("\n".join(_shape(value, f"{place}[]")) for value in content)
        yield from kinds or [f"{place}: empty"]
    elif isinstance(content, Tensor):
        yield f"{place}: {content.dtype} {list(content.shape)}"
    else:
        yield f"{place}: {type(content).__name__}"
