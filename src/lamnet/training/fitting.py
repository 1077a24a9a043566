"""The fit of an LR picture to its HR: shift, also that of its parts, likeness, contrast and colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lamnet.evaluation.metrics import to_y
from lamnet.evaluation.resize import imresize

MAX_SHIFT = 0.5  # LR pixels; a pair with a larger shift is skipped
NOTED_SHIFT = 0.1  # LR pixels; a pair with a larger shift gets a note
NOTED_GAINS = (0.7, 1.4)  # a pair with less or more gets a note
MIN_LIKENESS = 0.5  # correlation of LR and reduced HR below which they show different things
MIN_SIDE = 12  # LR pixels; less is too little to tell a shift
_MIN_CONTRAST = 1.0  # standard deviation in 8-bit levels below which a picture is too flat to measure a shift
_MIN_COLOUR = 4.0  # the same of a colour difference, below which it is mostly noise
_MIN_EXCHANGED = 2.0  # 8-bit levels by which colours have to be apart before red and blue are called exchanged
_GREY, _COLOURED = 4.0, 8.0  # 8-bit levels between channels, at most in a grey picture and at least in one with colour
_FAR_APART = 64  # 8-bit levels between the mean colours of flat pictures that do not show the same
_SIDE = 512  # LR pixels of the part in the middle that is compared
_PARTS = 3  # each way, spread over the picture, whose own shifts are measured
_PART_SIDES = (24, 160)  # LR pixels of such a part, at least and at most
_SURE_LIKENESS = 0.8  # of a part, below which its shift is not known
_SURE_ERROR = 0.05  # LR pixels, standard error of a part's shift above which it is not known
_BETTER = 0.5  # times what the whole's shift leaves unexplained in a part, which its own shift has to stay below

Plane = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """The fit of an LR picture to its HR.

    Attributes:
        right, down: its shift in LR pixels; 0 where the picture is too flat to tell.
        likeness: the least correlation of luma and of colour differences after the shift, -1 to 1; where the picture is too
            flat to tell, 1, or 0 if the colours are far apart.
        gain: how many times the contrast of HR its luma has; at most 0 where bright and dark are exchanged.
        grey: "HR" or "LR" where that one is grey and the other in colour, else "".
        exchanged: whether LR fits HR far better with red and blue exchanged.
        bend: LR pixels by which a part's shift differs most from the whole's: LR that is turned, zoomed or bent. 0 where the
            whole is shifted by more than `MAX_SHIFT`, or too flat or small to tell.
    """

    right: float
    down: float
    likeness: float
    gain: float = 1.0
    grey: str = ""
    exchanged: bool = False
    bend: float = 0.0

    @property
    def shift(self) -> float:
        """The larger of both shifts, LR pixels."""
        return max(abs(self.right), abs(self.down))


def fit(hr: NDArray[np.uint8], lr: NDArray[np.uint8], scale: int) -> Fit:
    """Compare LR (h, w, 3) with HR (scale*h, scale*w, 3) reduced by bicubic, in the middle of the picture.

    The shift is measured on luma. Whole pixels come from phase correlation (Kuglin and Hines 1975), the rest from least
    squares on the gradient (Lucas and Kanade 1981), with a gain and an offset so that another exposure does no harm. It is
    measured again on nine parts, spread over the whole picture, where those have enough to tell it.
    """
    sides = min(lr.shape[0], _SIDE), min(lr.shape[1], _SIDE)
    top, left = (lr.shape[0] - sides[0]) // 2, (lr.shape[1] - sides[1]) // 2
    pair = _part(hr, lr, scale, (top, left), sides)
    reduced, seen = (to_y(picture) for picture in pair)
    colours = [_colours(picture) for picture in pair]
    grey = _grey_one(_colourfulness(colours[0]), _colourfulness(colours[1]))
    exchanged = _fits_exchanged(pair)
    deviations = float(reduced.std()), float(seen.std())
    if min(deviations) < _MIN_CONTRAST:
        apart = np.abs(pair[0].mean((0, 1)) - pair[1].mean((0, 1))).max()
        of_hr, of_lr = (max(deviation, _MIN_CONTRAST) for deviation in deviations)
        return Fit(0.0, 0.0, float(apart < _FAR_APART), of_lr / of_hr, grey, exchanged)
    whole = _whole_shift(reduced, seen)
    found = _shift(reduced, seen, whole)
    likeness = min(found.likeness, _colour_likeness(colours[0], colours[1], *whole))
    bend = 0.0
    if max(abs(found.down), abs(found.right)) <= MAX_SHIFT:
        bend = max((part.distance(found) for part in _shifts_of_parts(hr, lr, scale, whole)), default=0.0)
    return Fit(found.right, found.down, likeness, found.gain, grey, exchanged, bend)


@dataclass(frozen=True)
class _Shift:
    """A shift of LR against reduced HR, LR pixels, with what is left of the planes' likeness, and its standard error."""

    down: float
    right: float
    likeness: float
    gain: float
    error: float

    def distance(self, other: _Shift) -> float:
        return max(abs(self.down - other.down), abs(self.right - other.right))


def _part(
    hr: NDArray[np.uint8], lr: NDArray[np.uint8], scale: int, place: tuple[int, int], sides: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut the same part out of both, with HR made smaller."""
    (top, left), (height, width) = place, sides
    large = hr[scale * top : scale * (top + height), scale * left : scale * (left + width)]
    return imresize(large, Fraction(1, scale), "mirror"), lr[top : top + height, left : left + width]


def _shifts_of_parts(
    hr: NDArray[np.uint8], lr: NDArray[np.uint8], scale: int, whole: tuple[int, int]
) -> Iterator[_Shift]:
    """Measure the shifts of parts that are sure of theirs: another one than the whole's has to explain far more."""
    smallest, largest = _PART_SIDES
    sides = min(lr.shape[0] // _PARTS, largest), min(lr.shape[1] // _PARTS, largest)
    if min(sides) < smallest:
        return
    for row, column in product(range(_PARTS), repeat=2):
        top, left = (
            place * (n - side) // (_PARTS - 1) for place, n, side in zip((row, column), lr.shape, sides, strict=False)
        )
        reduced, seen = (to_y(picture) for picture in _part(hr, lr, scale, (top, left), sides))
        if min(reduced.std(), seen.std()) < _MIN_CONTRAST:
            continue
        as_whole, own = _shift(reduced, seen, whole), _shift(reduced, seen, _whole_shift(reduced, seen))
        found = own if 1 - own.likeness < _BETTER * (1 - as_whole.likeness) else as_whole
        if found.likeness > _SURE_LIKENESS and found.error < _SURE_ERROR:
            yield found


def _fits_exchanged(pair: Sequence[NDArray[np.uint8]]) -> bool:
    """Tell whether the colours of LR are less than half as far from those of HR with red and blue exchanged."""
    reduced, seen = (
        np.stack([_smooth(part[..., place].astype(np.float64)) for place in range(3)], -1) for part in pair
    )
    reduced, seen = (part - part.mean(-1, keepdims=True) for part in (reduced, seen))
    straight, exchanged = (float(np.abs(reduced - other).mean()) for other in (seen, seen[..., ::-1]))
    return straight > max(2 * exchanged, _MIN_EXCHANGED)


def _colours(picture: NDArray[np.uint8]) -> list[Plane]:
    """Return red and blue, each less green, without their noise."""
    return [_smooth(picture[..., channel].astype(np.float64) - picture[..., 1]) for channel in (0, 2)]


def _colourfulness(colours: Sequence[Plane]) -> float:
    """Return how far apart the channels are where a picture has most colour, on a hundredth of it."""
    red, blue = colours
    return float(np.percentile(np.maximum.reduce([np.abs(red), np.abs(blue), np.abs(red - blue)]), 99))


def _grey_one(of_hr: float, of_lr: float) -> str:
    if min(of_hr, of_lr) > _GREY or max(of_hr, of_lr) < _COLOURED:
        return ""
    return "HR" if of_hr < of_lr else "LR"


def _colour_likeness(reduced: Sequence[Plane], seen: Sequence[Plane], down: int, right: int) -> float:
    """Correlate the colours after a shift in whole pixels; 1 where a picture has hardly any."""
    parts = [_overlap(first, second, down, right) for first, second in zip(reduced, seen, strict=True)]
    moved, still = (
        np.concatenate([(plane - plane.mean()).ravel() for plane in planes]) for planes in zip(*parts, strict=True)
    )
    return float(np.corrcoef(moved, still)[0, 1]) if min(moved.std(), still.std()) > _MIN_COLOUR else 1.0


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


def _shift(reduced: Plane, seen: Plane, whole: tuple[int, int]) -> _Shift:
    """Measure a shift that is known to a pixel, and the correlation and the gain after it."""
    # Smooth, for half a pixel is too far for a gradient else.
    moved, still = (_smooth(plane) for plane in _overlap(reduced, seen, *whole))
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
        return _Shift(float(whole[0]), float(whole[1]), -likeness, gain, np.inf)
    variances = np.diag(np.linalg.pinv(matrix.T @ matrix)) * np.square(target - explained).mean()
    error = float(np.sqrt(variances[1:3].max())) / gain
    return _Shift(whole[0] - by_down / gain, whole[1] - by_right / gain, likeness, gain, error)


def _smooth(plane: Plane) -> Plane:
    """Blur by a binomial of five taps each way."""
    for axis in (0, 1):
        taps = [np.roll(plane, offset, axis) for offset in (-2, -1, 0, 1, 2)]
        plane = np.tensordot(np.array([1, 4, 6, 4, 1]) / 16, np.stack(taps), 1)
    return plane
