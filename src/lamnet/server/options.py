"""Options that a client may choose, and those that it chose: a query's words into a Request."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any

from lamnet import __version__
from lamnet.base.errors import BadArgumentError
from lamnet.batch.jobs import SUFFIXES
from lamnet.batch.request import Request
from lamnet.batch.upscalers import load_networks
from lamnet.core import shipped
from lamnet.media import formats, saving
from lamnet.server.settings import Engine, Limits
from lamnet.upscale import video
from lamnet.upscale.goal import Goal

OPTIONS = ("model", "scale", "width", "height", "weights", "strength", "format", "quality")
_MOST = 10_000_000  # pixels of a side that is asked for
_OF_THE_SERVER = ("memory", "max-pixels")  # options of `lamnet app` that messages name


def request_of(query: Mapping[str, str], engine: Engine) -> Request:
    """Read a client's options; the request has no sources.

    Raises BadArgumentError for unknown options and for values that are none; which of them a network cannot do
    `checked_goal` finds.
    """
    if unknown := sorted(set(query) - set(OPTIONS)):
        raise BadArgumentError(f"{unknown[0][:40]}: expected one of the options {', '.join(OPTIONS)}")
    weights, model = query.get("weights", "auto"), query.get("model")
    if weights not in ("auto", *shipped.VARIANTS):
        raise BadArgumentError(f"weights: expected auto, {' or '.join(shipped.VARIANTS)}, got {weights[:40]}")
    if model is not None and model not in {one.model for one in shipped.shipped()}:  # never a file of this machine
        raise BadArgumentError(f"model: expected one of {shipped.shipped_names()}, got {model[:40]}")
    quality = _number(query, "quality", 1, 100)
    format = query.get("format")
    if format is not None:
        saving.suffix_of(format[:40])
    return Request(
        sources=(),
        goal=_goal(query),
        model=model,
        weights=None if weights == "auto" else weights,
        strength=_number(query, "strength", 0, 1),
        device=engine.device,
        precision=engine.precision,
        memory=engine.memory,
        max_pixels=engine.max_pixels,
        format=format,
        quality=None if quality is None else int(quality),
    )


@lru_cache(maxsize=64)
def checked_goal(request: Request) -> Goal:
    """The goal of a request that the networks which ship can meet; raises as `load_networks` where they cannot."""
    return load_networks(request)[1]


def described(limits: Limits, engine: Engine) -> dict[str, Any]:
    """Everything that a client can choose from, and the limits, as JSON has it."""
    models: dict[str, dict[str, list[int]]] = {}
    for one in shipped.shipped():
        models.setdefault(one.size, {variant: [] for variant in shipped.VARIANTS})[one.variant].append(one.scale)
    has_video = find_spec("av") is not None
    return {
        "version": __version__,
        "models": models,
        "reads": sorted(SUFFIXES if has_video else SUFFIXES - video.SUFFIXES),
        "writes": [writer.FORMAT.suffixes[0][1:] for writer in formats.WRITERS if not writer.FORMAT.palette],
        "limits": {"bytes": limits.upload, "pixels": engine.max_pixels, "queue": limits.queue, "keep": limits.keep},
    }


def for_clients(message: str) -> str:
    """Return a message with the names of what a client chooses, and with commands before options that no client has.

    >>> for_clients("expected a whole factor (--scale 2)")
    'expected a whole factor (scale 2)'
    >>> for_clients("expected a whole PNG (--damaged takes what there is)")
    'expected a whole PNG (lamnet upscale --damaged takes what there is)'
    >>> for_clients("a smaller --memory needs less")
    'a smaller lamnet app --memory needs less'
    """

    def named(option: re.Match[str]) -> str:
        if option[1] in OPTIONS:
            return option[1]
        return f"lamnet {'app' if option[1] in _OF_THE_SERVER else 'upscale'} {option[0]}"

    return re.sub(r"(?<=[ (])(?<!app )--([a-z][a-z-]+)", named, message)


def file_name(text: str) -> str:
    """Return a client's name for a file without folders and control characters, and never empty."""
    last = PurePosixPath(text.replace("\\", "/")).name
    shown = "".join(one for one in last if unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    return shown.strip(" .") or "picture"


def suffix_of(name: str) -> str:
    """Return the suffix of a file's name where it is one that is read, as it is written there; else none."""
    suffix = PurePosixPath(name).suffix
    return suffix if suffix.lower() in SUFFIXES else ""


def _goal(query: Mapping[str, str]) -> Goal | None:
    factor = _number(query, "scale", 1, 100)
    width, height = (_number(query, side, 1, _MOST) for side in ("width", "height"))
    if width is None and height is None:
        return None if factor is None else Goal(factor=factor)
    if factor is not None:
        raise BadArgumentError("scale: expected it without width and height, got both")
    return Goal(width=None if width is None else int(width), height=None if height is None else int(height))


def _number(query: Mapping[str, str], name: str, low: float, high: float) -> float | None:
    if name not in query:
        return None
    text = query[name]
    number = float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) else math.nan
    if not low <= number <= high or (name in ("width", "height", "quality") and not number.is_integer()):
        kind = "a number" if name in ("scale", "strength") else "a whole number"
        raise BadArgumentError(f"{name}: expected {kind} from {low:,g} to {high:,.0f}, got {text[:40]}")
    return number
