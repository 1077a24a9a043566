"""Names of results: the source's, what says the goal, and no more bytes than file systems hold."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Set
from pathlib import PurePath

_MARK = re.compile(r"_(x\d+(\.\d+)?|\d+x\d*)$")  # at the end of results' names: a factor, or a size
_LONGEST = 200  # bytes of a stem: file systems hold names of 255, of which the mark and suffixes take some


def marked(stem: str, mark: str) -> str:
    """Return a result's stem: "photo" and "_x4" make "photo_x4"."""
    return shortened(stem) + mark


def shortened(stem: str) -> str:
    """Return a stem that leaves room for a mark and suffixes; one too long keeps its beginning, and a hash tells it apart."""
    encoded = os.fsencode(stem)
    if len(encoded) <= _LONGEST:
        return stem
    start = encoded[: _LONGEST - 9].decode("utf-8", errors="ignore")
    return f"{start}~{hashlib.sha256(encoded).hexdigest()[:8]}"


def original(stem: str, suffixes: Set[str]) -> str | None:
    """Return the stem of the source of a result; None for a name that is no result's."""
    shorter = _MARK.sub("", PurePath(stem).stem if PurePath(stem).suffix in suffixes else stem)
    return shorter if shorter != stem else None


def split(name: str) -> tuple[str, str]:
    """Return a name's stem and suffix."""
    path = PurePath(name)
    return path.stem, path.suffix
