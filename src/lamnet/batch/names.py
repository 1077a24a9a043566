"""Names of results: the source's, what says the goal, and no more bytes than file systems hold."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Set
from pathlib import PurePath

from lamnet.base.errors import BadArgumentError

STEM, GOAL = "{stem}", "{goal}"
_MARK = re.compile(r"_(x\d+(\.\d+)?|\d+x\d*)$")  # at the end of results' names: a factor, or a size
_LONGEST = 200  # bytes of a stem: file systems hold names of 255, of which the mark and suffixes take some
_MARK_LIMIT = 30  # bytes


def marked(stem: str, mark: str) -> str:
    """Return a result's stem: "photo" and "_x4", or "{stem}_x4", make "photo_x4"."""
    short = shortened(stem)
    return mark.replace(STEM, short) if STEM in mark else short + mark


def checked(name: str) -> str:
    """Return a pattern for results' names. Raises BadArgumentError where it would give all one name, or is a path."""
    left = name.replace(STEM, "").replace(GOAL, "")
    if STEM not in name or re.search(r"[{}/\\\0]", left) or len(os.fsencode(left)) > _MARK_LIMIT:
        raise BadArgumentError(
            f"name: expected a name with {STEM}, and {GOAL} if wanted, such as {STEM}_{GOAL}, without slashes, got {name}"
        )
    return name


def shortened(stem: str) -> str:
    """Return a stem that leaves room for a mark and suffixes; one too long keeps its beginning, and a hash tells it apart."""
    encoded = os.fsencode(stem)
    if len(encoded) <= _LONGEST:
        return stem
    start = encoded[: _LONGEST - 9].decode("utf-8", errors="ignore")
    return f"{start}~{hashlib.sha256(encoded).hexdigest()[:8]}"


def original(stem: str, suffixes: Set[str], mark: str = "") -> str | None:
    """Return the stem of the source of a result; None for a name that is no result's, by its mark or by what is usual."""
    one = PurePath(stem).stem if PurePath(stem).suffix in suffixes else stem
    before, found, after = mark.partition(STEM)
    if found and before + after and one.startswith(before) and one.endswith(after):
        return one[len(before) : len(one) - len(after)]
    shorter = _MARK.sub("", one)
    return shorter if shorter != stem else None


def split(name: str) -> tuple[str, str]:
    """Return a name's stem and suffix."""
    path = PurePath(name)
    return path.stem, path.suffix
