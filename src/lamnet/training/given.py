"""LR that comes with HR photographs instead of being made from them: pairing, and checks that the two fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.evaluation.metrics import to_y
from lamnet.evaluation.resize import imresize

MAX_SHIFT = 0.5  # LR pixels; a pair with a larger shift is skipped
NOTED_SHIFT = 0.1  # LR pixels; a pair with a larger shift gets a note
MIN_LIKENESS = 0.5  # correlation of LR and reduced HR below which they show different things
MIN_SIDE = 12  # LR pixels; less is too little to tell a shift
_MIN_CONTRAST = 1.0  # standard deviation in 8-bit levels below which a picture is too flat to measure a shift
_MIN_COLOUR = 4.0  # the same of a colour difference, below which it is mostly noise
_FAR_APART = 64  # 8-bit levels between the mean colours of flat pictures that do not show the same
_SIDE = 512  # LR pixels of the part in the middle that is compared

Plane = NDArray[np.float64]

# Endings that may follow a picture's name, the scale for {}.
_HR_ENDINGS = ("", "_hr_x{}", "_hr", "_gt", "_srf_{}_hr")
_LR_ENDINGS = ("", "x{}", "_x{}", "_lr", "_lr_x{}", "_lrx{}", "_lrbi_x{}", "_lr{}", "_bicubic", "_srf_{}_lr")


@dataclass(frozen=True)
class Given:
    """The LR pictures of a folder, or of its folder X4, by the HR picture that they belong to.

    Attributes:
        folder: as it was given.
        files: LR by the path of HR below its folder.
        unpaired: paths of LR pictures, below their folder, that belong to no HR, or to one that has another LR.
    """

    folder: Path
    files: Mapping[str, Path]
    unpaired: tuple[str, ...]

    @property
    def facts(self) -> list[Any]:
        """Names and lengths of the files, by which these pictures are recognised."""
        return [str(self.folder), [[hr, path.name, path.stat().st_size] for hr, path in sorted(self.files.items())]]

    @property
    def origin(self) -> str:
        """The origin of LR, for the index of a set."""
        return f"given: {self.folder}"

    @classmethod
    def find(cls, folder: Path, scale: int, hr: Iterable[str], lr: Iterable[str]) -> Given:
        """Pair pictures by their names, in any case and format: a.png with a.png, ax4.jpg, a_x4.png, a_LR.png, ...

        Args:
            hr, lr: paths below the folders of HR and of LR.
        """
        names = sorted(lr)
        folders = re.compile(r"x(\d)/", re.IGNORECASE)
        if any((found := folders.match(name)) and int(found[1]) == scale for name in names):
            names = [name for name in names if (found := folders.match(name)) and int(found[1]) == scale]
        left: dict[str, str] = {}
        others = [name for name in names if left.setdefault(_stem(folders.sub("", name, count=1)), name) != name]
        files: dict[str, Path] = {}
        for name in hr:
            stem = _stem(name)
            bare = [stem.removesuffix(end.format(scale)) for end in _HR_ENDINGS if stem.endswith(end.format(scale))]
            candidates = [one + end.format(scale) for one in bare for end in _LR_ENDINGS]
            if found := next((left.pop(one) for one in candidates if one in left), None):
                files[name] = folder / found
        return cls(folder, files, tuple(sorted([*left.values(), *others])))


def _stem(name: str) -> str:
    return name.rpartition(".")[0].lower()


@dataclass(frozen=True)
class Fit:
    """The fit of an LR picture to its HR.

    Attributes:
        right, down: its shift in LR pixels; 0 where the picture is too flat to tell.
        likeness: the least correlation of luma and of colour differences after the shift, -1 to 1; where the picture is too
            flat to tell, 1, or 0 if the colours are far apart.
    """

    right: float
    down: float
    likeness: float

    @property
    def shift(self) -> float:
        """The larger of both shifts, LR pixels."""
        return max(abs(self.right), abs(self.down))


def fit(hr: NDArray[np.uint8], lr: NDArray[np.uint8], scale: int) -> Fit:
    """Compare LR (h, w, 3) with HR (scale*h, scale*w, 3) reduced by bicubic, in the middle of the picture.

    The shift is measured on luma. Whole pixels come from phase correlation (Kuglin and Hines 1975), the rest from least
    squares on the gradient (Lucas and Kanade 1981), with a gain and an offset so that another exposure does no harm.
    """
    height, width = (min(side, _SIDE) for side in lr.shape[:2])
    top, left = (lr.shape[0] - height) // 2, (lr.shape[1] - width) // 2
    part = hr[scale * top : scale * (top + height), scale * left : scale * (left + width)]
    pair = imresize(part, Fraction(1, scale), "mirror"), lr[top : top + height, left : left + width]
    reduced, seen = (to_y(picture) for picture in pair)
    if min(reduced.std(), seen.std()) < _MIN_CONTRAST:
        apart = np.abs(pair[0].mean((0, 1)) - pair[1].mean((0, 1))).max()
        return Fit(0.0, 0.0, float(apart < _FAR_APART))
    down, right = _whole_shift(reduced, seen)
    moved, still = _overlap(reduced, seen, down, right)
    y, x, likeness = _remaining_shift(moved, still)
    return Fit(right + x, down + y, min(likeness, _colour_likeness(*pair, down, right)))


def _colour_likeness(reduced: NDArray[np.uint8], seen: NDArray[np.uint8], down: int, right: int) -> float:
    """Correlate red and blue, each less green, after a shift in whole pixels; 1 where a picture has hardly any colour."""
    parts = [_overlap(_colour(reduced, channel), _colour(seen, channel), down, right) for channel in (0, 2)]
    moved, still = (
        np.concatenate([(plane - plane.mean()).ravel() for plane in planes]) for planes in zip(*parts, strict=True)
    )
    return float(np.corrcoef(moved, still)[0, 1]) if min(moved.std(), still.std()) > _MIN_COLOUR else 1.0


def _colour(picture: NDArray[np.uint8], channel: int) -> Plane:
    return _smooth(picture[..., channel].astype(np.float64) - picture[..., 1])


def _whole_shift(reduced: Plane, seen: Plane) -> tuple[int, int]:
    """Measure the shift of one plane against the other in whole pixels, down and right, at most a quarter of a side."""
    height, width = seen.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    first, second = (np.fft.rfft2((plane - plane.mean()) * window) for plane in (reduced, seen))
    cross = second * first.conj()
    peaks = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-9), s=seen.shape)
    peaks[(_from_ends(height)[:, None] > height // 4) | (_from_ends(width) > width // 4)] = -np.inf
    down, right = (int(place) for place in np.unravel_index(int(peaks.argmax()), peaks.shape))
    return down - height * (down > height // 2), right - width * (right > width // 2)


def _from_ends(side: int) -> NDArray[np.int64]:
    """Return the distance of each place from the nearer end of a cyclic axis."""
    places = np.arange(side, dtype=np.int64)
    return np.minimum(places, side - places)


def _overlap(reduced: Plane, seen: Plane, down: int, right: int) -> tuple[Plane, Plane]:
    """Crop both planes to the part that they share after a shift in whole pixels."""
    height, width = seen.shape
    rows, columns = height - abs(down), width - abs(right)
    return (
        reduced[max(-down, 0) :, max(-right, 0) :][:rows, :columns],
        seen[max(down, 0) :, max(right, 0) :][:rows, :columns],
    )


def _remaining_shift(moved: Plane, still: Plane) -> tuple[float, float, float]:
    """Measure the remaining shift of less than a pixel, down and right, and the correlation after it."""
    moved, still = _smooth(moved), _smooth(still)  # else a shift of half a pixel is too far for a gradient
    down: Plane = np.gradient(moved, axis=0)
    right: Plane = np.gradient(moved, axis=1)
    inner = np.s_[3:-3, 3:-3]
    columns = [plane[inner].ravel() for plane in (moved, down, right, np.ones_like(moved))]
    matrix, target = np.stack(columns, 1), still[inner].ravel()
    solution = np.linalg.lstsq(matrix, target, rcond=None)[0]
    gain, by_down, by_right = (float(value) for value in solution[:3])
    explained = matrix @ solution
    likeness = float(np.corrcoef(explained, target)[0, 1]) if explained.std() > 1e-9 else 0.0
    if gain <= 0:
        return 0.0, 0.0, -likeness
    return -by_down / gain, -by_right / gain, likeness


def _smooth(plane: Plane) -> Plane:
    """Blur by a binomial of five taps each way."""
    for axis in (0, 1):
        taps = [np.roll(plane, offset, axis) for offset in (-2, -1, 0, 1, 2)]
        plane = np.tensordot(np.array([1, 4, 6, 4, 1]) / 16, np.stack(taps), 1)
    return plane
