"""Whole picture files to arrays and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyvips
from numpy.typing import NDArray

from lamnet.base.files import appearing
from lamnet.media import vips
from lamnet.media.formats import SUFFIXES, format_named
from lamnet.media.opening import load


def find(folder: Path) -> list[Path]:
    """Return the picture files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def open_image(path: Path) -> pyvips.Image:
    """Open the first page of a picture, upright, its pixels not yet read. Raises BadImageError as `load` does."""
    image = load(path)
    with vips.naming_errors(path, "expected a picture"):
        return image.autorot()


def read_array(path: Path) -> NDArray[Any]:
    """Read the pixels of a picture as its file holds them, (H, W, bands) uint8 or uint16, orientation applied.

    Raises BadImageError when the file is missing, empty, truncated or not a picture.
    """
    image = open_image(path)
    with vips.naming_errors(path, "expected a whole picture"):
        return vips.pixels_of(image)


def write_array(path: Path, pixels: NDArray[Any]) -> None:
    """Write (H, W, bands) to a file whose suffix names the format; an atomic write."""
    save(path, pyvips.Image.new_from_array(pixels))


def save(path: Path, image: pyvips.Image) -> None:
    """Write a libvips image to a file whose suffix names the format; an atomic write."""
    format = format_named(path)
    with appearing(path) as partial, vips.naming_errors(path, "cannot be written"):
        vips.write(format.name, partial, image, **format.options)
