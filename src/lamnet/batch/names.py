"""Names of results: the source's name and the goal, within the length that file systems hold."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Set
from pathlib import PurePath

from lamnet.base.errors import BadArgumentError
from lamnet.media import formats

STEM, GOAL = "{stem}", "{goal}"
_MAX_STEM = 200  # bytes: file systems hold names of 255, of which the mark and suffixes take some
_MARK_LIMIT = 30  # bytes


def marked(stem: str, mark: str) -> str:
    """Return a result's stem: "photo" and "_x4", or "{stem}_x4", make "photo_x4"."""
    short = shortened(stem)
    return mark.replace(STEM, short) if STEM in mark else short + mark


def checked(name: str) -> str:
    """Check a pattern for results' names. Raises BadArgumentError where all results would have one name, or it is a path."""
    left = name.replace(STEM, "").replace(GOAL, "")
    if STEM not in name or re.search(r"[{}/\\\0]", left) or len(os.fsencode(left)) > _MARK_LIMIT:
        raise BadArgumentError(
            f"name: expected a name with {STEM}, and {GOAL} if wanted, such as {STEM}_{GOAL}, without slashes, got {name}"
        )
    return name


def shortened(stem: str) -> str:
    """Shorten a stem to leave room for a mark and suffixes; one that is too long ends with a hash, to be unique."""
    encoded = os.fsencode(stem)
    if len(encoded) <= _MAX_STEM:
        return stem
    start = encoded[: _MAX_STEM - 9].decode("utf-8", errors="ignore")
    return f"{start}~{hashlib.sha256(encoded).hexdigest()[:8]}"


def original(stem: str, suffixes: Set[str], mark: str = "") -> str | None:
    """Return the stem of a result's source, by its mark or a usual one; None for a name that is not a result's."""
    one = PurePath(stem).stem if PurePath(stem).suffix in suffixes else stem
    before, found, after = mark.partition(STEM)
    if found and before + after and one.startswith(before) and one.endswith(after):
        return one[len(before) : len(one) - len(after)]
    return formats.without_mark(stem, suffixes)


def split(name: str) -> tuple[str, str]:
    """Return a name's stem and suffix."""
    path = PurePath(name)
    return path.stem, path.suffix
