"""libvips: pixels, reading and writing a format, its errors as ours, its threads after a fork."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pyvips
from numpy.typing import NDArray

from lamnet.base import files
from lamnet.base.errors import BadImageError
from lamnet.media.reasons import plain


@cache
def first_user() -> int:
    """Return the process that first used libvips for pixels.

    libvips' threads belong to it: a process forked from it would wait for them for ever.
    """
    return os.getpid()


def check_not_forked(what: Path | str) -> None:
    """Raise BadImageError, which names a file or what was asked for, in a process forked from one that has used libvips."""
    if first_user() != os.getpid():
        raise BadImageError(f"{what}: expected a spawned process, found one forked from one that has read pictures")


@contextmanager
def naming_errors(path: Path, problem: str) -> Generator[None]:
    """Turn errors of libvips and of the system into one BadImageError that names a file: "PATH: PROBLEM: reason"."""
    try:
        with files.naming_errors(path, problem):
            yield
    except pyvips.Error as error:
        lines = dict.fromkeys(str(error.detail or error.message).splitlines())  # each once: libraries repeat themselves
        reason = " ".join(" ".join(lines).split())
        words = plain(reason)
        raise BadImageError(f"{path}: {problem}{': ' if words == reason else ', '}{words}") from error
    except UnicodeDecodeError as error:  # libvips quotes the file's name, whose bytes need not be UTF-8
        raise BadImageError(f"{path}: {problem}") from error


def pixels_of(image: pyvips.Image) -> NDArray[Any]:
    """Return the pixels of a libvips image, (H, W, bands)."""
    check_not_forked("array")
    pixels: NDArray[Any] = image.numpy()  # which leaves out dimensions of length 1
    return pixels.reshape(image.height, image.width, image.bands)


def load(name: str, path: Path, **options: Any) -> pyvips.Image:
    """Open a file with the loader of a format, such as "png", whatever the file's name says. Raises pyvips.Error.

    Unlike libvips' own opening by name, it never reads options in the name, nor an earlier file from the cache.
    """
    check_not_forked(path)
    return pyvips.Operation.call(
        f"{name}load", os.fsencode(path), **({"fail_on": "truncated", "revalidate": True} | options)
    )


def write(name: str, path: Path, image: pyvips.Image, **options: Any) -> None:
    """Write an image with the saver of a format, whatever the file's name says. Raises pyvips.Error."""
    check_not_forked(path)
    pyvips.Operation.call(f"{name}save", image, os.fsencode(path), **options)
