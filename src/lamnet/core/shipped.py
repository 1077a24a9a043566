"""The weights that come with the package: their names and files."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from lamnet.base.errors import BadWeightsError
from lamnet.core.config import SIZES

TERMS = {
    "license": "Apache-2.0",
    "training data": "photographs under many licences, listed in the model card; "
    "some are DIV2K's and BSDS500's, whose terms allow research only",
}
"""Under what terms the weights that ship come, for files made of them."""


def is_name(model: str | Path) -> bool:
    """Whether `model` is the name of a size and not that of a file here."""
    return str(model) in SIZES and not Path(model).is_file()


def path_of(model: str | Path, scale: int | None) -> Path:
    """The file that a name or path stands for.

    Raises BadWeightsError for a name whose weights do not ship at this scale, or the folder of a training.
    """
    if is_name(model):
        return shipped_path(str(model), scale)
    path = Path(model)
    if path.is_dir() and (trained := path / "weights.safetensors").is_file():
        raise BadWeightsError(f"{path}: expected a file, found the folder of a training; its weights are {trained}")
    return path


def called(path: Path) -> str:
    """The name of a weights file in records: that of the shipped weights, whose folder differs, or else its path."""
    return f"{path.stem}, which ships" if path.parent == _shipped_folder() else str(path)


def shipped() -> list[tuple[str, int]]:
    """The (size, scale) pairs whose weights come with the package, in order."""
    stems = [path.stem for path in _shipped_folder().iterdir() if path.suffix == ".safetensors"]
    found = [stem.split("_x") for stem in stems if "_x" in stem and stem.split("_x")[1].isdigit()]
    return sorted((size, int(scale)) for size, scale in found)


def shipped_names() -> str:
    """The weights that ship, as text for a message."""
    return ", ".join(f"{size} (x{scale})" for size, scale in shipped()) or "none shipped"


def shipped_path(size: str, scale: int | None) -> Path:
    """The file of weights that ship; its model card (.md) and evaluation (.json) lie beside it.

    Raises BadWeightsError when there is none.
    """
    path = _shipped_folder() / f"{size}_x{scale}.safetensors"
    if size not in {size for size, _ in shipped()}:
        raise BadWeightsError(
            f"{size}: has no weights yet; there are {shipped_names()}; "
            f"lamnet train with the recipe {size}_x{scale or 4} makes them"
        )
    if not path.is_file():
        wanted = "a scale with it" if scale is None else f"a scale that ships, got {scale}"
        raise BadWeightsError(f"{size}: expected {wanted}; there are {shipped_names()}")
    return path


def _shipped_folder() -> Path:
    return Path(str(files("lamnet") / "pretrained"))
