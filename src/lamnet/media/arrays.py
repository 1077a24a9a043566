"""Whole picture files to arrays and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyvips
from numpy.typing import NDArray

from lamnet.base.files import appearing
from lamnet.media.formats import SUFFIXES, format_named
from lamnet.media.opening import load
from lamnet.media.vips import named, pixels_of, write


def find(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def open_image(path: Path) -> pyvips.Image:
    """As `load`, the first page only, upright."""
    image = load(path)
    with named(path, "expected a picture"):
        return image.autorot()


def read_array(path: Path) -> NDArray[Any]:
    """The pixels of a picture as its file holds them: (H, W, bands) uint8 or uint16, orientation applied.

    Raises BadImageError when the file is missing, empty, truncated or not a picture.
    """
    image = open_image(path)
    with named(path, "expected a whole picture"):
        return pixels_of(image)


def write_array(path: Path, pixels: NDArray[Any]) -> None:
    """Write (H, W, bands) to a file whose suffix names the format; the file appears whole or not at all."""
    save(path, pyvips.Image.new_from_array(pixels))


def save(path: Path, image: pyvips.Image, **options: Any) -> None:
    """Write a libvips image to a file whose suffix names the format; the file appears whole or not at all."""
    kind = format_named(path)
    with appearing(path) as partial, named(path, "cannot be written"):
        write(kind, partial, image, **options)
