"""Picture files <-> arrays, by libvips."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.errors import BadImageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".gif"})


def find(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def read_array(path: Path) -> NDArray[Any]:
    """The pixels of a picture as its file holds them: (H, W, bands) uint8 or uint16, orientation applied.

    Raises BadImageError when the file is missing, empty, truncated or not a picture.
    """
    if not path.is_file():
        raise BadImageError(f"{path}: no such file")
    try:
        image = pyvips.Image.new_from_file(str(path), fail_on="truncated").autorot()
        pixels = image.numpy()
    except pyvips.Error as error:
        raise BadImageError(f"{path}: expected a picture, found {_reason(error)}") from error
    return pixels if pixels.ndim == 3 else pixels[..., None]


def write_array(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write (H, W, bands) to a file whose suffix names the format; the file appears whole or not at all."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        pyvips.Image.new_from_array(pixels).write_to_file(str(partial))
        os.replace(partial, path)
    except pyvips.Error as error:
        partial.unlink(missing_ok=True)
        raise BadImageError(f"{path}: cannot be written, {_reason(error)}") from error


def _reason(error: pyvips.Error) -> str:
    return " ".join(str(error.detail or error.message).split())
