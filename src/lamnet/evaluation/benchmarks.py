"""Benchmark sets as pairs of HR and LR files that fit each other; `layouts` knows their folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from lamnet.base.errors import BadArgumentError, BadDataError, BadImageError
from lamnet.evaluation.endings import HR_ENDINGS, LR_ENDINGS
from lamnet.evaluation.layouts import Layout, choose, listed, picture_files, srf_folders
from lamnet.media import arrays
from lamnet.media.opening import WORDS

LARGEST = 100_000_000  # pixels of a picture that is held whole, several times over, to be measured or made smaller


@dataclass(frozen=True)
class Pair:
    """One picture of a set; where LR has no file, it is made from HR."""

    name: str
    hr: Path
    lr: Path | None


@dataclass(frozen=True)
class BenchmarkSet:
    """Pairs that fit each other, sorted by name.

    Attributes:
        left_out: why a picture cannot be measured, by its name.
    """

    name: str
    pairs: tuple[Pair, ...]
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])


def find_sets(data: Path, scale: int, names: Sequence[str] | None = None, smallest: int = 1) -> list[BenchmarkSet]:
    """Find the sets in a folder, or the set that it is, and check every pair.

    Args:
        scale: 2 to 9, or 1 for networks that restore and do not enlarge, whose LR is HR.
        names: of the sets, in any case; all when left out.
        smallest: the smallest width and height of an HR picture that can be measured.

    A picture that cannot be read or measured is left out, with its reason; a set may be left without pairs.

    Raises:
        BadDataError: files are missing, pictures do not fit each other, or no picture at all can be measured; names all of
            them, over all sets.
    """
    if type(scale) is not int or scale not in range(1, 10):
        raise BadArgumentError(f"scale: expected a whole number from 1 to 9, got {scale}")
    if isinstance(names, str) or (names is not None and not names):
        raise BadArgumentError(f"sets: expected a list of names, got {names or 'none'}")
    problems: list[str] = []
    found: list[BenchmarkSet] = []
    for layout in choose(data, names):
        pairs = sorted(_pairs(layout, scale, problems), key=lambda pair: pair.name)
        reasons = {pair: "; ".join(_reasons(pair, scale, smallest)) for pair in pairs}
        measured = tuple(pair for pair in pairs if not reasons[pair])
        left_out = {pair.name: reason for pair, reason in reasons.items() if reason}
        for pair in measured:
            problems += [f"{layout.name} {pair.name}: {text}" for text in _misfits(pair, scale)]
        found.append(BenchmarkSet(layout.name, measured, left_out))
    if not any(one.pairs for one in found):
        problems += [f"{one.name} {name}: {reason}" for one in found for name, reason in one.left_out.items()]
    if problems:
        raise BadDataError(f"{data}: expected complete pairs for x{scale}, found " + "; ".join(problems))
    return found


def header(path: Path) -> tuple[int, int, int, str]:
    """Read (height, width, bands, libvips' number format) of a picture, without its pixels."""
    image = arrays.open_image(path)
    return image.height, image.width, image.bands, str(image.format)


def by_stem(paths: Sequence[Path], ending: str = "") -> tuple[dict[str, Path], list[str]]:
    """Index files by their lower-case name without suffix and `ending`; names that then coincide are problems."""
    files: dict[str, Path] = {}
    problems: list[str] = []
    for path in paths:
        stem = path.stem.lower()
        if stem.endswith(ending):
            key = stem.removesuffix(ending)
            if key in files:
                problems.append(f"{files[key].name} and {path.name}, which differ only in case or suffix")
            files[key] = path
    return files, problems


def _pairs(layout: Layout, scale: int, problems: list[str]) -> Iterator[Pair]:
    """Yield the pairs of a set; missing or ambiguous files go into `problems`."""
    try:
        hr, lr, doubles = _srf_files(layout, scale) or _folder_files(layout, scale)
    except BadDataError as error:
        problems.append(str(error))
        return
    problems += [f"{layout.name}: {text}" for text in doubles]
    if lr is not None:
        problems += [f"{layout.name} {path.name}: no HR picture" for key, path in lr.items() if key not in hr]
        problems += [f"{layout.name} {path.name}: no LR picture" for key, path in hr.items() if key not in lr]
    for key, path in hr.items():
        if lr is None or key in lr:
            yield Pair(path.stem[: len(key)], path, lr[key] if lr is not None else None)


_Files = tuple[dict[str, Path], dict[str, Path] | None, list[str]]


def _srf_files(layout: Layout, scale: int) -> _Files | None:
    """Find HR and LR side by side, the scale in their names; None when the folder has no such files."""
    found = [path for place in (layout.path, *srf_folders(layout.path)) for path in picture_files(place)]
    scales = {int(each[1]) for path in found if (each := re.search(r"_srf_(\d)_hr$", path.stem, re.IGNORECASE))}
    if not scales:
        return None
    if scale not in scales:
        raise BadDataError(f"{layout.name}: no pictures for x{scale}, only for {listed(scales)}")
    hr, hr_doubles = by_stem(found, f"_srf_{scale}_hr")
    lr, lr_doubles = by_stem(found, f"_srf_{scale}_lr")
    return hr, lr or None, hr_doubles + lr_doubles


def _folder_files(layout: Layout, scale: int) -> _Files:
    """Find HR and LR in folders of their own; LR is None where there is no such folder at any scale."""
    hr_pictures, lr_folder = picture_files(layout.hr_folder(scale)), layout.lr_folder(scale)
    endings = (ending.format(scale) for ending in reversed(HR_ENDINGS))  # the bare name last, which all end in
    hr, doubles = by_stem(
        hr_pictures, next(ending for ending in endings if all(p.stem.lower().endswith(ending) for p in hr_pictures))
    )
    if lr_folder is None:
        return hr, None, [*doubles, *_lr_beside(hr)]
    lr_pictures = picture_files(lr_folder)
    lr, lr_doubles = max(
        (by_stem(lr_pictures, ending.format(scale)) for ending in LR_ENDINGS),
        key=lambda files: len(files[0].keys() & hr.keys()),
    )
    return hr, lr, doubles + lr_doubles


def _lr_beside(hr: Mapping[str, Path]) -> Iterator[str]:
    """Yield a line for each picture that by its name and size is LR of another one in its folder, where it would be HR."""
    for ending, scale in product(LR_ENDINGS[1:], range(2, 10)):
        for name, path in hr.items():
            of_lr = f"{name}{ending.format(scale)}"
            if of_lr in hr and _sides(path, scale) == _sides(hr[of_lr]):
                yield f"{hr[of_lr].name}, which is LR of {path.name}, in one folder with it; a folder LR_bicubic/X{scale} may hold it"


def _sides(path: Path, scale: int = 1) -> tuple[int, int] | None:
    try:
        height, width, *_ = header(path)
    except BadImageError:  # which is said where it is measured
        return None
    return height // scale, width // scale


def _reasons(pair: Pair, scale: int, smallest: int) -> Iterator[str]:
    """Yield the reasons why the pictures of a pair cannot be measured."""
    try:
        height, width, *_ = header(pair.hr)
        yield from unmeasurable(pair.hr)
        if scale * min(height // scale, width // scale) < max(smallest, scale):
            yield f"HR is {width}x{height}, expected at least {smallest} pixels each way to measure"
        if pair.lr is not None:
            yield from unmeasurable(pair.lr)
    except BadImageError as error:
        yield str(error)


def _misfits(pair: Pair, scale: int) -> Iterator[str]:
    """Yield the reason why the pictures of a pair do not belong together."""
    if pair.lr is None:
        return
    height, width, *_ = header(pair.hr)
    low_height, low_width, *_ = header(pair.lr)
    expected = (height // scale, width // scale)
    if (low_height, low_width) != expected:
        yield f"LR is {low_width}x{low_height}, expected {expected[1]}x{expected[0]} for HR of {width}x{height}"


def unmeasurable(path: Path) -> Iterator[str]:
    """Yield the reasons why a picture cannot be measured: a depth other than 8 bits, alpha, CMYK, or its size."""
    height, width, bands, number = header(path)
    if height * width > LARGEST:
        yield f"{path.name} is {width}x{height}, expected at most {LARGEST:,} pixels"
    if number != "uchar":
        yield f"{path.name} has {WORDS.get(number, number)}, expected 8 bits"
    if bands not in (1, 3):
        yield f"{path.name} has {bands} channels, expected 1 (grey) or 3 (RGB)"
