"""Pictures that are decoded at once and held in memory, as libvips images."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.base.errors import BadImageError, LamnetError
from lamnet.media.depths import depth_named

LIMIT = 2**30  # pixels held in memory


def image_of(pixels: NDArray[Any], cmyk: bool = False) -> pyvips.Image:
    """Return (H, W) or (H, W, bands) in a depth of ours, as libvips takes them."""
    pixels = np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[..., None])
    space = "cmyk" if cmyk else depth_named(pixels.dtype.name).space(pixels.shape[2])
    return pyvips.Image.new_from_array(pixels).copy(interpretation=space)


def check(path: Path, width: int, height: int) -> None:
    """Raise BadImageError for more pixels than memory is taken for."""
    if width * height > LIMIT:
        raise BadImageError(f"{path}: expected at most {LIMIT:,} pixels in a format that is decoded at once")


@contextmanager
def refusing(path: Path, what: str = "a whole picture") -> Generator[None]:
    """Turn whatever a library raises of a broken file into a BadImageError."""
    try:
        yield
    except LamnetError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadImageError(f"{path}: expected {what}: {reason}") from error
