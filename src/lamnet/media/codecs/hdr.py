"""Pictures of light rather than of numbers for a screen: OpenEXR, and Radiance's HDR (extra "formats"), as floats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.base.errors import BadImageError
from lamnet.base.extras import require
from lamnet.media.codecs import decoded
from lamnet.media.contract import Extras, Format

_EXR = b"\x76\x2f\x31\x01"
FORMAT = Format(
    "hdr",
    (".exr", ".hdr", ".pic"),
    re.compile(re.escape(_EXR) + rb"|#\?(RADIANCE|RGBE)", re.DOTALL),
    dtypes=("float32",),
)

_SIZE = re.compile(rb"\n([-+][XY]) (\d+) ([-+][XY]) (\d+)\n")
_HEADER = 2**16  # bytes
_COLOURS = ("R", "G", "B", "A"), ("R", "G", "B"), ("Y", "A"), ("Y",)


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open the picture, of several parts the first. Raises BadImageError, MissingExtraError."""
    if _is_exr(path):
        return decoded.image_of(_exr(path))
    decoded.check(path, *_radiance_size(path))
    codecs: Any = require("imagecodecs", "formats", f"{path}: Radiance HDR")
    with decoded.refusing(path):
        return decoded.image_of(codecs.rgbe_decode(path.read_bytes()))


def extras(path: Path) -> Extras:
    """Learn the size, and what of the file is not in the picture. Raises OSError."""
    try:
        if not _is_exr(path):
            return Extras(size=_radiance_size(path), notes=("without the header's exposure and notes",))
        with _exr_file(path, header_only=True) as file:
            low, high = file.header()["dataWindow"]
            channels = {channel.name for channel in file.header()["channels"]}
            names = _wanted(channels) or ()
            notes = [f"channels {', '.join(sorted(channels - set(names)))}"] if channels - set(names) else []
            notes += [f"{len(file.parts) - 1} more parts"] if len(file.parts) > 1 else []
            notes += ["chromaticities"] if "chromaticities" in file.header() else []
            notes = [f"without {', '.join(notes)}"] if notes else []
            return Extras(size=(int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1), notes=tuple(notes))
    except OSError:
        raise
    except Exception:  # load says what is wrong
        return Extras()


def _exr(path: Path) -> NDArray[Any]:
    with decoded.refusing(path), _exr_file(path) as file:
        channels = file.channels()
        names = _wanted(channels)
        if names is None:
            raise BadImageError(f"{path}: expected channels R, G, B or Y, found {', '.join(sorted(channels))}")
        planes = [np.asarray(channels[name].pixels, np.float32) for name in names]
        if len({plane.shape for plane in planes}) > 1:
            raise BadImageError(f"{path}: expected channels of one size")
        pixels = np.stack(planes, -1)
    if names[-1] == "A":  # colours have been multiplied by it
        alpha = pixels[..., -1:]
        np.divide(pixels[..., :-1], alpha, out=pixels[..., :-1], where=alpha > 0)
    return pixels


def _exr_file(path: Path, header_only: bool = False) -> Any:
    openexr = require("OpenEXR", "formats", f"{path}: OpenEXR")
    return openexr.File(str(path), separate_channels=True, header_only=header_only)


def _wanted(channels: Any) -> tuple[str, ...] | None:
    """Return the channels that are colours and alpha, None where there are none."""
    return next((names for names in _COLOURS if all(name in channels for name in names)), None)


def _is_exr(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == _EXR


def _radiance_size(path: Path) -> tuple[int, int]:
    """Return (width, height). Raises BadImageError where the header states none, or that rows go another way."""
    with path.open("rb") as file:
        found = _SIZE.search(file.read(_HEADER))
    if not found or (found[1], found[3]) != (b"-Y", b"+X"):
        raise BadImageError(f"{path}: expected a picture whose header says -Y HEIGHT +X WIDTH")
    return int(found[4]), int(found[2])
