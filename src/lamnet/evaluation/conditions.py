"""Named degradations of benchmark pictures, and the LR picture of a pair under one of them."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lamnet.base.errors import BadArgumentError, BadDataError, BadImageError
from lamnet.base.files import naming_errors
from lamnet.evaluation import lossy
from lamnet.evaluation.benchmarks import Pair, header
from lamnet.evaluation.metrics import psnr
from lamnet.evaluation.resize import crop_to_multiple, imresize, rounded
from lamnet.media import arrays

CLEAN = "clean"
_SAME_PICTURE = 15.0  # dB between small versions; those of most pairs of photographs are below
_ELSEWHERE = "choose another folder for --save-lr, or remove it"


@dataclass(frozen=True)
class Step:
    """One degradation and its strength.

    Attributes:
        kind: "blur" acts on HR before it is made smaller, "noise", "jpeg" and "webp" on LR.
        strength: standard deviation in LR pixels for "blur" (above 0 to 4), in 8-bit levels for "noise" (above 0 to 100),
            the quality for "jpeg" (1 to 100) and "webp" (0 to 100), a whole number.
    """

    kind: str
    strength: float

    def __post_init__(self) -> None:
        if self.kind not in _STRENGTHS:
            raise BadArgumentError(f"degrade: expected one of {', '.join(_STRENGTHS)}, got {self.kind}")
        low, high, what = _STRENGTHS[self.kind]
        if not low <= self.strength <= high or (what == "quality" and self.strength % 1):
            number = "a whole number" if what == "quality" else "a number"
            raise BadArgumentError(
                f"degrade: {self.kind}: expected {number} from {low:g} to {high:g} as {what}, got {self.strength:g}"
            )


# The lowest and the highest strength, and its meaning.
_STRENGTHS = {
    "blur": (0.01, 4.0, "standard deviation in LR pixels"),
    "noise": (0.01, 100.0, "standard deviation"),
    "jpeg": (1.0, 100.0, "quality"),
    "webp": (0.0, 100.0, "quality"),
}


@dataclass(frozen=True)
class Condition:
    """Steps that degrade LR, in order; without any it stays as it is.

    Attributes:
        name: as in tables and in the names of folders, such as "blur0.6+noise4+jpeg75" or "clean".
    """

    name: str = CLEAN
    steps: tuple[Step, ...] = ()

    @property
    def needs_hr(self) -> bool:
        """True with blur, under which LR is made from HR even where a set has LR."""
        return any(step.kind == "blur" for step in self.steps)


UNCHANGED = Condition()


def parse(text: str) -> Condition:
    """Read a condition such as "jpeg75", "blur0.6+noise4+jpeg75" or "clean": steps in the order in which they are applied.

    Raises BadArgumentError for unknown steps, strengths out of range, and blur after a step that acts on LR.
    """
    if text.strip() == CLEAN:
        return UNCHANGED
    parts = [part.strip() for part in text.split("+")]
    steps: list[Step] = []
    for part in parts:
        found = re.fullmatch(r"([a-z]+)(\d+(?:\.\d+)?)", part)
        if found is None:
            raise BadArgumentError(
                f'degrade: expected clean, or steps such as blur0.6, noise5, jpeg75 or webp80 with + between, got "{part}"'
            )
        steps.append(Step(found[1], float(found[2])))
    if any(late.kind == "blur" and early.kind != "blur" for early, late in itertools.pairwise(steps)):
        raise BadArgumentError(f'degrade: expected blur, which acts on HR, before what acts on LR, got "{text}"')
    return Condition("+".join(f"{step.kind}{step.strength:g}" for step in steps), tuple(steps))


def parse_all(texts: Sequence[str]) -> list[Condition]:
    """Read conditions as `parse` does. Raises BadArgumentError for a repeated one, too."""
    found = [parse(text) for text in texts]
    names = [one.name for one in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadArgumentError(f"degrade: expected each condition once, got {twice[0]} {names.count(twice[0])} times")
    return found


@dataclass(frozen=True)
class LowResolution:
    """The LR pictures of pairs under a condition.

    Attributes:
        saved: files for them by pair; they are read, or made where there are none.
        taken: the pairs whose file was read so far, and whether it differs from what would be made; updated.
    """

    scale: int
    condition: Condition = UNCHANGED
    saved: Mapping[Pair, Path] | None = None
    taken: dict[Pair, bool] = field(default_factory=dict[Pair, bool])

    def of(self, pair: Pair) -> NDArray[np.uint8]:
        """Return (h, w, 1 or 3): the pair's LR file, or LR made from HR where it has none or the condition has blur.

        Raises BadDataError where the saved file shows another picture, or is no 8-bit one of the size of LR.
        """
        path = (self.saved or {}).get(pair)
        if path is None:
            return self._made(pair)
        if path.is_file():
            found: NDArray[np.uint8] = arrays.read_array(path)
            height, width, *_ = header(pair.hr)
            expected = (width // self.scale, height // self.scale)
            if found.shape[1::-1] != expected or found.dtype != np.uint8:
                raise BadDataError(
                    f"{path}: expected LR of {expected[0]} x {expected[1]} in 8 bits, found {found.shape[1]} x {found.shape[0]} "
                    f"in {8 * found.itemsize}; {_ELSEWHERE}"
                )
            if pair not in self.taken:
                self.taken[pair] = _differs(path, found, self._made(pair))
            return found
        made = self._made(pair)
        write(path, made)
        self.taken[pair] = False
        return made

    def _made(self, pair: Pair) -> NDArray[np.uint8]:
        if pair.lr is None or self.condition.needs_hr:
            return low_resolution(arrays.read_array(pair.hr), self.scale, self.condition, pair.name)
        return _degraded(arrays.read_array(pair.lr), self.condition.steps, pair.name)


def _differs(path: Path, found: NDArray[np.uint8], made: NDArray[np.uint8]) -> bool:
    """Tell whether a file's pixels are not those that would be made. Raises BadDataError where it shows another picture.

    Both are made smaller first, which takes most of any noise away.
    """
    if found.shape[2] not in (1, 3):
        raise BadDataError(f"{path}: expected 1 (grey) or 3 (RGB) channels, found {found.shape[2]}")
    if found.shape == made.shape and (found == made).all():
        return False
    coarse = [imresize(np.broadcast_to(pixels, (*made.shape[:2], 3)), 1 / 4) for pixels in (found, made)]
    if (likeness := psnr(coarse[0], coarse[1])) < _SAME_PICTURE:
        raise BadDataError(
            f"{path}: expected LR of the picture of that name, found another picture ({likeness:.1f} dB from it); "
            f"{_ELSEWHERE}"
        )
    return True


def write(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a picture that is kept, and the folders above it. Raises BadArgumentError where it cannot be written."""
    try:
        with naming_errors(path, "cannot be written", BadArgumentError):
            path.parent.mkdir(parents=True, exist_ok=True)
        arrays.write_array(path, pixels)
    except BadImageError as error:  # which would be taken for the fault of the picture that is measured
        raise BadArgumentError(str(error)) from error


def low_resolution(
    hr: NDArray[np.uint8], scale: int, condition: Condition = UNCHANGED, name: str = ""
) -> NDArray[np.uint8]:
    """Make LR (h, w, 1 or 3) from HR (H, W, 1 or 3) by MATLAB's bicubic and the steps of a condition.

    HR is cropped to a multiple of the scale first, then blurred; borders are repeated. Every step gives 8-bit values,
    rounded and clipped. Blur is Pillow's, which on Set14 lies 0.03 (x2) and 0.06 dB (x4) below an exact Gaussian of the
    same deviation; JPEG is Pillow's with 4:2:0 chroma. Noise is Gaussian, white and independent in each channel, a
    function of `name` and the shape: equal names give equal pictures.
    """
    pixels = crop_to_multiple(hr, scale)
    late = tuple(step for step in condition.steps if step.kind != "blur")
    for step in condition.steps[: len(condition.steps) - len(late)]:
        pixels = gaussian_blur(pixels, step.strength * scale)
    return _degraded(imresize(pixels, 1 / scale), late, name)


def _degraded(pixels: NDArray[np.uint8], steps: Sequence[Step], name: str) -> NDArray[np.uint8]:
    """Apply the steps that act on LR."""
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))
    for step in steps:
        if step.kind == "noise":
            pixels = rounded(pixels + generator.normal(0, step.strength, pixels.shape))
        elif step.kind == "jpeg":
            pixels = lossy.jpeg(pixels, int(step.strength))
        else:
            pixels = lossy.webp(pixels, int(step.strength))
    return pixels


def gaussian_blur(pixels: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    """Blur (H, W, 1 or 3) by Pillow's GaussianBlur of a standard deviation in pixels: three box blurs that come close."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.atleast_3d(np.asarray(image.filter(ImageFilter.GaussianBlur(deviation))))
