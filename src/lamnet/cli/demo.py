"""The pictures of `lamnet demo`: a photograph, bicubic and LAMNet side by side."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base import extras
from lamnet.base.errors import MissingExtraError
from lamnet.evaluation.resize import imresize
from lamnet.media import arrays
from lamnet.network.catalogue import load_best
from lamnet.upscale.upscaler import Upscaler

SCALE = 4
CROP = (60, 140, 120, 160)  # top, left, height, width of the cat's face in chelsea.png


def run(out: Path) -> dict[str, Path]:
    """Write input, bicubic, result and all three side by side into a folder; return their names and files.

    Raises MissingExtraError without scikit-image, whose photograph this uses, or Pillow, whose font; BadWeightsError
    without shipped weights.
    """
    small = _photograph()
    large = imresize(small, SCALE)
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
        arrays.write_array(paths[name], pixels)
    return paths


def _photograph() -> NDArray[Any]:
    package = find_spec("skimage")  # only a file of it is wanted, which needs nothing that scikit-image does
    if package is None or package.origin is None:
        raise MissingExtraError(
            'demo: the photograph needs scikit-image; pip install "lamnet-sr[demo]", or ".[demo]" in a clone'
        )
    path = Path(package.origin).parent / "data" / "chelsea.png"
    top, left, height, width = CROP
    return arrays.read_array(path)[top : top + height, left : left + width]


def _labelled(pixels: NDArray[Any], label: str) -> NDArray[Any]:
    """The picture under a white line of text, in the font that comes with Pillow: systems need not have any."""
    extras.require("PIL.ImageFont", "demo", "demo: the text")
    from PIL import Image, ImageDraw, ImageFont

    line = Image.new("RGB", (pixels.shape[1], 40), "white")
    ImageDraw.Draw(line).text((pixels.shape[1] // 2, 20), label, "black", ImageFont.load_default(24), anchor="mm")
    return np.concatenate([np.asarray(line), pixels])
