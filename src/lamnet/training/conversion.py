"""A photograph to the pixels that a set holds: its HR, and LR that is made from it or comes with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadImageError
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.training.fitting import MAX_SHIFT, MIN_LIKENESS, MIN_SIDE, NOTED_GAINS, NOTED_SHIFT, Fit, fit
from lamnet.training.given import Given
from lamnet.training.prepared import Photo, hash_of
from lamnet.training.reading import read_rgb8

SMALLEST_SIDE = 48

Converted = tuple[Photo, dict[int, NDArray[np.uint8]]]


def convert(folder: Path, source: Photo, scales: Sequence[int]) -> Converted:
    """Convert one photograph to HR pixels (under 1) and LR pixels.

    Raises BadImageError where it cannot be used, as does `convert_pair`.
    """
    (read,) = read_rgb8(folder / source.name)
    hr = crop_to_multiple(read.pixels, math.lcm(*scales))
    if min(hr.shape[:2]) < SMALLEST_SIDE:
        raise BadImageError(f"expected sides of at least {SMALLEST_SIDE} pixels, found {_size(read.pixels)}")
    lr = {scale: imresize(hr, Fraction(1, scale), "mirror") for scale in scales}
    return _whole(source, {1: hr, **lr}, read.notes)


def convert_pair(folder: Path, source: Photo, scale: int, given: Given) -> Converted:
    """Read one photograph and its LR, which have to fit."""
    if source.name not in given.pairs:
        raise BadImageError(f"found no LR picture for it in {given.folder}")
    read_hr, read_lr = read_rgb8(folder / source.name, given.folder / given.pairs[source.name].lr)
    pixels, lr = read_hr.pixels, read_lr.pixels
    _check_sizes(pixels, lr, scale)
    hr = crop_to_multiple(pixels, scale)
    found = fit(hr, lr, scale)
    _check_fit(found)
    notes = [f"{name}: {note}" for name, read in (("HR", read_hr), ("LR", read_lr)) for note in read.notes]
    if hr.shape != pixels.shape:
        notes.append(f"HR of {_size(pixels)} was cropped to {_size(hr)}")
    return _whole(source, {1: hr, scale: lr}, [*_notes(found), *notes])


def _check_sizes(hr: NDArray[np.uint8], lr: NDArray[np.uint8], scale: int) -> None:
    height, width = (side // scale for side in hr.shape[:2])
    if lr.shape[:2] != (height, width):
        raise BadImageError(f"expected LR of {width}x{height} for HR of {_size(hr)} at x{scale}, found {_size(lr)}")
    if scale * min(height, width) < SMALLEST_SIDE:
        raise BadImageError(f"expected sides of at least {SMALLEST_SIDE} pixels, found {_size(hr)}")
    if min(height, width) < MIN_SIDE:
        raise BadImageError(f"expected LR sides of at least {MIN_SIDE} pixels to compare it with HR, found {_size(lr)}")


def _check_fit(found: Fit) -> None:
    if found.exchanged:
        raise BadImageError("LR has red and blue exchanged")
    if found.likeness < MIN_LIKENESS:
        raise BadImageError(f"LR shows something else than HR: their correlation is {found.likeness:.2f}")
    if found.shift > MAX_SHIFT:
        raise BadImageError(f"{_shift(found)}, expected at most {MAX_SHIFT}")
    if found.bend > MAX_SHIFT:
        raise BadImageError(
            "LR is turned, zoomed or bent: a part of it is shifted by "
            f"{found.bend:.2f} pixels against the middle, expected at most {MAX_SHIFT}"
        )


def _notes(found: Fit) -> Iterator[str]:
    if found.shift > NOTED_SHIFT:
        yield _shift(found)
    if not NOTED_GAINS[0] <= found.gain <= NOTED_GAINS[1]:
        yield f"LR has {found.gain:.3g} times the contrast of HR"
    if found.grey:
        yield f"{found.grey} is grey and {'LR' if found.grey == 'HR' else 'HR'} in colour"


def _shift(found: Fit) -> str:
    right, down = (round(way, 2) + 0.0 for way in (found.right, found.down))  # no -0.00
    return f"LR is shifted by {right:+.2f} pixels to the right and {down:+.2f} down"


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _whole(source: Photo, pixels: dict[int, NDArray[np.uint8]], notes: Sequence[str]) -> Converted:
    """Complete the entry of a photograph by the size and the hash of its pixels, and by notes."""
    height, width = pixels[1].shape[:2]
    hashed = hash_of(np.ascontiguousarray(part).data for _, part in sorted(pixels.items()))
    return replace(source, height=height, width=width, pixels=hashed or "", note="; ".join(notes)), pixels
