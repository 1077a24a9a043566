"""`lamnet demo`: a photograph upscaled, beside bicubic."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet import images
from lamnet.batch import load_best
from lamnet.data.resize import imresize
from lamnet.errors import MissingExtraError
from lamnet.upscale import Upscaler

SCALE = 4
CROP = (60, 140, 120, 160)  # top, left, height, width of the cat's face in chelsea.png


def run(out: Path) -> dict[str, Path]:
    """Write input, bicubic, result and all three side by side into a folder; returns their names and files.

    Raises MissingExtraError without scikit-image, whose photograph this uses; BadWeightsError without shipped weights.
    """
    small = _photograph()
    large = np.clip(np.floor(imresize(small.astype(np.float64), SCALE, "edge") + 0.5), 0, 255).astype(np.uint8)
    result = Upscaler(load_best("tiny", SCALE))(small)
    nearest = small.repeat(SCALE, 0).repeat(SCALE, 1)
    pictures = {
        "input": small,
        "bicubic": large,
        "lamnet": result,
        "side-by-side": np.concatenate(
            [_labelled(nearest, "input"), _labelled(large, "bicubic"), _labelled(result, "LAMNet")], 1
        ),
    }
    out.mkdir(parents=True, exist_ok=True)
    paths = {name: out / f"{name}.png" for name in pictures}
    for name, pixels in pictures.items():
        images.write_array(paths[name], pixels)
    return paths


def _photograph() -> NDArray[Any]:
    try:
        folder = files("skimage.data")
    except ModuleNotFoundError as error:
        raise MissingExtraError("demo: needs scikit-image's photographs; pip install 'lamnet-sr[demo]'") from error
    top, left, height, width = CROP
    return images.read_array(Path(str(folder / "chelsea.png")))[top : top + height, left : left + width]


def _labelled(pixels: NDArray[Any], label: str) -> NDArray[Any]:
    """The picture under a white line of text."""
    text = pyvips.Image.text(label, dpi=150).gravity("centre", pixels.shape[1], 40)
    line = 255 - images.pixels_of(text)
    return np.concatenate([np.broadcast_to(line, (*line.shape[:2], 3)), pixels])
