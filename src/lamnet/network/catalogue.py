"""The catalogue of networks that ship: facts of each, and the selection of those that a call needs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamnet.base.errors import BadArgumentError, BadWeightsError
from lamnet.core import shipped
from lamnet.core.shipped import VARIANTS, Variant
from lamnet.core.weights import WeightsFile
from lamnet.network import mixing, reading

BEST_FIRST = ("large", "base", "tiny")
DEFAULT_SCALE = 4  # and the largest that there is
# The training data of weights whose header does not record it, by the name of their file.
TRAINED_ON = "trained_on.json"
_NOTHING_TO_RESTORE = "scale: expected more than 1 with clean weights, which take nothing away, got 1; photo weights do"


@dataclass(frozen=True)
class Networks:
    """The networks of a scale.

    Attributes:
        network: for clean pictures; for every picture where `photo` is None.
        photo: for pictures with traces of JPEG, noise or a soft lens, of the same scale.
    """

    network: WeightsFile
    photo: WeightsFile | None = None

    @property
    def scale(self) -> int:
        """The scale of the networks."""
        return self.network.config.scale


@dataclass(frozen=True)
class Selection:
    """The networks that a call needs.

    Attributes:
        networks: by scale, smallest first; at least one.
        factor: of width and height from a picture to its result; None where it depends on each picture's size.
    """

    networks: tuple[Networks, ...]
    factor: float | None


def select(
    model: str | None,
    factor: float | None = None,
    *,
    any_factor: bool = False,
    variant: Variant | None = None,
    strength: float | None = None,
) -> Selection:
    """Choose and load the networks that pictures of any size may need; a weights file is read once.

    Args:
        model: a name, a weights file, or None for the best that ships at each scale.
        factor: of width and height; when left out, a weights file's own scale, else 4. At 1 pictures are restored and not
            enlarged, which clean weights cannot do.
        any_factor: each picture needs a factor of its own, to fit into a size; `factor` is left out.
        variant: the weights for all pictures; when left out both variants, where they ship, so that each picture can
            have its own.
        strength: mix both variants at this strength for all pictures, see `mixing.mix`.

    Raises:
        BadWeightsError: no such model, or nothing ships for it.
        BadArgumentError: a factor beyond every network, or options that exclude each other.
    """
    if strength is not None:
        mixing.check_strength(strength)
    if model is not None and not shipped.is_name(model):
        _check_no_choice(model, variant, strength)
        contents = reading.read(shipped.path_of(model, None))
        if factor == 1 and contents.record.get("degradation", {}).get("clean", 1) == 1:
            raise BadArgumentError(_NOTHING_TO_RESTORE)
        networks = [Networks(contents)]
        factor = networks[0].scale if factor is None and not any_factor else factor
    else:
        size, variant = (None, variant) if model is None else shipped.size_and_variant(model, variant)
        factor = DEFAULT_SCALE if factor is None and not any_factor else factor
        networks = _of_size(size, factor, variant, strength)
    largest = networks[-1].scale
    if factor is not None and factor > largest:
        kind = "both weights of " if strength is not None else f"{variant} weights of " if variant else ""
        raise BadArgumentError(f"scale: expected at most {largest} with {kind}this model, got {factor:g}")
    return Selection(tuple(networks), factor)


def load_both(
    model: str | Path, scale: int | None, variant: Variant | None = None, strength: float | None = None
) -> Networks:
    """Load the networks of a model at a scale: of a name both variants, where both ship and neither is asked for.

    Args:
        model: a name that ships, then `scale` is needed, or a weights file, which may have any.
        variant, strength: as for `select`.

    Raises as `reading.load` and `select`.
    """
    if not shipped.is_name(model):
        _check_no_choice(str(model), variant, strength)
        return Networks(reading.load(model, scale))
    size, variant = shipped.size_and_variant(str(model), variant)
    needed = "photo" if scale == 1 or strength is not None else variant
    shipped.path_of(size, scale, needed)  # which raises where it does not ship
    return _of_size(size, scale, variant, strength)[0]


def load_best(model: str | None, scale: int | None, variant: Variant | None = None) -> WeightsFile:
    """Load a name or a file, or without a model the best that ships for the scale; a file may have any scale.

    Raises BadWeightsError when there is none.
    """
    if model is not None:
        return reading.load(model, scale, variant)
    sizes = _sizes(None, scale, (variant or "clean",))
    if not sizes:
        kind = f"{variant} weights" if variant else "weights"
        raise BadWeightsError(f"scale: expected one that {kind} ship for, got {scale}; see lamnet models")
    return reading.load(sizes[0], scale, variant)


@dataclass(frozen=True)
class Shipped:
    """A network whose weights come with the package.

    Attributes:
        bytes: size of its file.
        variant: "clean" or "photo".
        data: the photographs it was trained on; "not recorded" where no file says so.
        psnr_y: dB by benchmark set; empty where it was not evaluated.
    """

    size: str
    scale: int
    variant: Variant
    parameters: int
    bytes: int
    data: str
    psnr_y: Mapping[str, float]


def models() -> list[Shipped]:
    """List every network that ships, smallest first."""
    found = [_described(one) for one in shipped.shipped()]
    return sorted(found, key=lambda one: (one.parameters, one.scale, one.variant))


def _described(one: shipped.Shipped) -> Shipped:
    path = one.path
    contents = reading.read(path)
    evaluation: Mapping[str, Any] = _json(path.with_suffix(".json"))
    return Shipped(
        size=one.size,
        scale=one.scale,
        variant=one.variant,
        parameters=sum(array.size for array in contents.state.values()),
        bytes=path.stat().st_size,
        data=_trained_on(path, contents.record),
        psnr_y={name: float(scores["psnr_y"]) for name, scores in evaluation.get("sets", {}).items()},
    )


def _trained_on(path: Path, record: Mapping[str, Any]) -> str:
    facts: Mapping[str, Any] = record
    if "photographs" not in facts:
        facts = _json(path.with_name(TRAINED_ON)).get(path.stem, {})
    if "photographs" not in facts:
        return "not recorded"
    return f"{facts['photographs']} ({facts['megapixels']} megapixels), folder {facts['set']}"


def _check_no_choice(model: str, variant: Variant | None, strength: float | None) -> None:
    if variant is not None:
        raise BadArgumentError(f"weights: expected it with a size that ships, got {variant} of the file {model}")
    if strength is not None:
        raise BadArgumentError(f"strength: expected it with a size that ships, got the file {model}")


def _of_size(size: str | None, factor: float | None, variant: Variant | None, strength: float | None) -> list[Networks]:
    """Load the networks of a size, or the best at each scale, that reach the factor."""
    if strength is not None:
        if variant is not None:
            raise BadArgumentError(f"strength: expected it without {variant} weights, got {strength:g}")
        if factor == 1:
            raise BadArgumentError(
                "strength: expected a scale above 1 with it, since clean weights take nothing away, got 1"
            )
        return [_mixed(size, scale, strength) for scale in _scales(size, factor, VARIANTS)]
    if factor == 1:
        if variant == "clean":
            raise BadArgumentError(_NOTHING_TO_RESTORE)
        variant = "photo"
    found: list[Networks] = []
    for scale in _scales(size, factor, (variant or "clean",)):
        has_photo = variant is None and _sizes(size, scale, ("photo",))
        photo = load_best(size, scale, "photo") if has_photo else None
        found.append(Networks(load_best(size, scale, variant), photo))
    return found


def _mixed(size: str | None, scale: int, strength: float) -> Networks:
    """Mix both variants of a size, or of the best size that has both at this scale."""
    size = next(iter(_sizes(size, scale, VARIANTS)), size)
    photo, clean = (load_best(size, scale, variant) for variant in ("photo", "clean"))
    return Networks(mixing.mixed(clean, photo, strength))


def _scales(size: str | None, factor: float | None, variants: Sequence[Variant]) -> list[int]:
    """List the scales to load: the smallest that reaches the factor, or else the largest; without a factor, all.

    Only scales at which all the variants ship count.
    """
    scales = sorted({one.scale for one in shipped.shipped() if _sizes(size, one.scale, variants)})
    if factor is not None:
        scales = [scale for scale in scales if scale >= factor][:1] or scales[-1:]
    return scales or [math.ceil(factor or DEFAULT_SCALE)]


def _sizes(size: str | None, scale: int | None, variants: Sequence[Variant]) -> list[str]:
    """List the sizes, this one or all, whose variants all ship at a scale, best first."""
    ships = shipped.shipped()
    sizes = BEST_FIRST if size is None else (size,)
    return [one for one in sizes if all((one, scale, variant) in ships for variant in variants)]


def _json(path: Path) -> dict[str, Any]:
    """Read the object in a file of ours, {} where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
