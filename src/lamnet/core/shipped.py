"""The weights that come with the package: their names and files.

The weights of a size for clean pictures are called "tiny", those for photographs "tiny:photo"; their files are
tiny_x4.safetensors and tiny_x4_photo.safetensors.
"""

from __future__ import annotations

import difflib
import re
from importlib.resources import files
from numbers import Integral
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.core.config import SIZES

Variant = Literal["clean", "photo"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
_MARKED = VARIANTS[1:]  # those whose names and files say so
_FILE = re.compile(rf"([a-z]+)_x(\d+)(?:_({'|'.join(_MARKED)}))?\.safetensors")


TERMS = {
    "license": "Apache-2.0",
    "training data": "photographs under many licences, listed in the model card; "
    "some are DIV2K's and BSDS500's, whose terms allow research only",
}
"""The terms of the weights that ship, for files made from them."""


class Shipped(NamedTuple):
    """A network whose weights ship, trained on "clean" pictures that were only made smaller, or on degraded ones, "photo"."""

    size: str
    scale: int
    variant: Variant = "clean"

    @property
    def model(self) -> str:
        """The name of the weights among those of their scale."""
        return self.size if self.variant == "clean" else f"{self.size}:{self.variant}"

    @property
    def path(self) -> Path:
        """The weights file; the model card (.md) and evaluation (.json) are next to it."""
        mark = "" if self.variant == "clean" else f"_{self.variant}"
        return _shipped_folder() / f"{self.size}_x{self.scale}{mark}.safetensors"


def is_name(model: str | Path) -> bool:
    """Tell whether `model` is the name of weights that may ship, and not that of a file here."""
    size, colon, variant = str(model).partition(":")
    return size in SIZES and (not colon or variant in _MARKED) and not Path(model).is_file()


def size_and_variant(model: str, variant: Variant | None = None) -> tuple[str, Variant | None]:
    """Split a name into its size and its variant, which is None where neither the name nor the caller says it.

    Raises BadArgumentError where they contradict each other.
    """
    size, _, mark = model.partition(":")
    by_name = _variant(mark)
    if by_name is not None and variant not in (None, by_name):
        raise BadArgumentError(f"weights: expected {by_name} with the model {model}, got {variant}")
    return size, by_name or variant


def path_of(model: str | Path, scale: int | None, variant: Variant | None = None) -> Path:
    """Find the file that a name or path stands for; without a variant a size is the one for clean pictures.

    Raises BadWeightsError for a name whose weights do not ship at this scale, or the folder of a training;
    BadArgumentError for a scale that is no whole number, or a variant of a file, which has none.
    """
    if scale is not None and not isinstance(cast("object", scale), Integral):
        raise BadArgumentError(f"scale: expected a whole number, got {scale!r:.40}")
    if variant not in (None, *VARIANTS):
        raise BadArgumentError(f"weights: expected {' or '.join(VARIANTS)}, got {variant!r:.40}")
    if is_name(model):
        size, variant = size_and_variant(str(model), variant)
        return shipped_path(size, scale, variant or "clean")
    if variant is not None:
        raise BadArgumentError(f"weights: expected it with a size that ships, got {variant} of the file {model}")
    path = Path(model)
    if path.is_dir() and (trained := path / "weights.safetensors").is_file():
        raise BadWeightsError(f"{path}: expected a file, found the folder of a training; its weights are {trained}")
    return path


def called(path: Path) -> str:
    """Name a weights file for records: weights that ship by their name, since their folder differs, others by their path."""
    return f"{path.stem}, which ships" if path.parent == _shipped_folder() else str(path)


def shipped() -> list[Shipped]:
    """List the networks whose weights come with the package, by name."""
    found = [_FILE.fullmatch(path.name) for path in _shipped_folder().iterdir()]
    return sorted(Shipped(match[1], int(match[2]), _variant(match[3]) or "clean") for match in found if match)


def shipped_names() -> str:
    """List the weights that ship, as text for a message: "tiny (x2, x3), tiny:photo (x1)"."""
    scales: dict[str, list[str]] = {}
    for one in sorted(shipped(), key=lambda one: (one.size, one.variant, one.scale)):
        scales.setdefault(one.model, []).append(f"x{one.scale}")
    return ", ".join(f"{model} ({', '.join(of)})" for model, of in scales.items()) or "none shipped"


def no_such(path: Path) -> BadWeightsError:
    """Return the error for a model that is neither a file nor a name, with the nearest name."""
    near = difflib.get_close_matches(path.name, {one.model for one in shipped()}, 1, 0.6)
    nearest = f"; the nearest is {near[0]}" if near else ""
    return BadWeightsError(f"{path}: no such model; expected a file or one of {shipped_names()}{nearest}")


def shipped_path(size: str, scale: int | None, variant: Variant = "clean") -> Path:
    """Find the file of weights that ship. Raises BadWeightsError when there is none."""
    if size not in {one.size for one in shipped()}:
        raise BadWeightsError(
            f"{size}: has no weights yet; there are {shipped_names()}; "
            f"lamnet train with the recipe {size}_x{scale or 4} makes them"
        )
    if scale is None or (size, scale, variant) not in shipped():
        wanted = "a scale with it" if scale is None else f"a scale that ships, got {scale}"
        raise BadWeightsError(
            f"{Shipped(size, scale or 0, variant).model}: expected {wanted}; there are {shipped_names()}"
        )
    return Shipped(size, scale, variant).path


def _variant(mark: str | None) -> Variant | None:
    """Return the variant of a mark in a name; None for any other."""
    return next((one for one in _MARKED if one == mark), None)


def _shipped_folder() -> Path:
    return Path(str(files("lamnet") / "pretrained"))
