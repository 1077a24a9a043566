"""What libvips is told and what it says: writing, pixels, its errors, its threads after a fork."""

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
from lamnet.media.codecs import webp
from lamnet.media.formats import Format


@cache
def first_reader() -> int:
    """The process that first read a picture: libvips' threads are its own, and in forked ones it would wait for them for ever."""
    return os.getpid()


@contextmanager
def named(path: Path, what: str) -> Generator[None]:
    """Turn what libvips and the system say about a file into one BadImageError that names it."""
    try:
        with files.named(path, what):
            yield
    except pyvips.Error as error:
        lines = dict.fromkeys(str(error.detail or error.message).splitlines())  # each once: libraries repeat themselves
        reason = " ".join(" ".join(lines).split())
        raise BadImageError(f"{path}: {what}: {reason}") from error
    except UnicodeDecodeError as error:  # libvips quotes the file's name, whose bytes need not be UTF-8
        raise BadImageError(f"{path}: {what}") from error


def pixels_of(image: pyvips.Image) -> NDArray[Any]:
    """(H, W, bands) of a libvips image."""
    pixels: NDArray[Any] = image.numpy()  # which leaves out dimensions of length 1
    return pixels.reshape(image.height, image.width, image.bands)


def write(kind: Format, path: Path, image: pyvips.Image, **options: Any) -> None:
    """Write a libvips image in a format, whatever the file's name. Raises pyvips.Error."""
    pyvips.Operation.call(f"{kind.name}save", image, os.fsencode(path), **dict(kind.options), **options)
    if kind.name == "webp" and image.hasalpha():
        webp.say_alpha(path)
