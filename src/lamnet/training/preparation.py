"""Photographs to a prepared set: memory-mapped files of 8-bit HR and of LR at each scale, and their index.

`hr.u8`, `lr_x2.u8`, ... hold the pictures one after the other, (H, W, 3) uint8 each; `index.json` has their names and HR
sizes, and appears last: a folder that has it is whole.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamnet.base import locks
from lamnet.base.errors import BadArgumentError, BadDataError, BadImageError
from lamnet.base.progress import Progress, Work, finish
from lamnet.evaluation.benchmarks import LARGEST
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.media import formats, opening
from lamnet.media.levels import levels
from lamnet.media.picture import read
from lamnet.training.journal import Journal
from lamnet.training.prepared import INDEX, Photo, PreparedSet

SMALLEST_SIDE = 48
_AT_ONCE = 32  # photographs that are converted before the first of them is written


def prepare(hr_dir: Path, out: Path, scales: Sequence[int] = (2, 3, 4)) -> PreparedSet:
    """Make a prepared set in `out` of the photographs in `hr_dir` and below; an interrupted call is continued.

    HR is cropped to a multiple of all scales, LR made by MATLAB's bicubic with mirrored borders (DIV2K's convention).
    Pictures are read as `lamnet upscale` reads them, and made 8 bits. Hidden ones are left out; unreadable, too small and
    too large ones are skipped and listed in the result. What is not whole, of a finished set too, is made again. Where `hr_dir` has a manifest.csv with columns `file` and `licence`, the
    licences go into the index, and from there onto model cards.

    Raises:
        BadDataError: no usable photograph, `out` holds a set of other photographs or scales, is in use by another call,
            or cannot be written.
        BadArgumentError: scales that are no whole numbers from 2 to 8.
    """
    return finish(preparing(hr_dir, out, scales))


def preparing(hr_dir: Path, out: Path, scales: Sequence[int] = (2, 3, 4)) -> Work[PreparedSet]:
    """Prepare as `prepare` does, with progress after each photograph."""
    _check_request(hr_dir, scales)
    sources, wanted = _sources(hr_dir), sorted(set(scales))
    if (out / INDEX).exists():
        finished = PreparedSet.recorded(out)
        _check_same(out, finished, sources, wanted)
        if (yield from _checking(finished)):
            return finished
    if not sources:
        raise BadDataError(f"{hr_dir}: expected photographs, found no picture in it or below")
    licences = _licences(hr_dir / "manifest.csv")
    with locks.only(out), Journal(out, wanted, sources) as journal, ThreadPoolExecutor(2) as pool:
        remaining = sources[len(journal.photos) :]
        yield Progress("preparing", len(journal.photos) / len(sources))
        for photo, pixels in _in_order(pool, hr_dir, remaining, wanted):
            journal.add(replace(photo, licence=licences.get(photo.name, "")), pixels)
            yield Progress("preparing", len(journal.photos) / len(sources))
        if not journal.usable:
            first = journal.skipped[0]
            raise BadDataError(
                f"{hr_dir}: expected usable photographs, found none among {len(sources)} pictures, "
                f"the first: {first.name}: {first.reason}"
            )
        journal.write_index()
    return PreparedSet.open(out)


def _checking(finished: PreparedSet) -> Work[bool]:
    """Whether the pixels of a finished set are what its index says; those of an older one have the right number."""
    whole = 0
    for whole, _ in enumerate(finished.whole_photos(), 1):
        yield Progress("checking", whole / len(finished.photos))
    sizes = {finished.file(scale): int(finished.offsets(scale)[-1]) for scale in (1, *finished.scales)}
    return whole == len(finished.photos) and all(file.stat().st_size == size for file, size in sizes.items())


def _check_request(hr_dir: Path, scales: Sequence[int]) -> None:
    if not scales or not all(scale in range(2, 9) for scale in scales):
        raise BadArgumentError(
            f"scales: expected whole numbers from 2 to 8, got {', '.join(map(str, scales)) or 'none'}"
        )
    if not hr_dir.is_dir():
        raise BadDataError(
            f"{hr_dir}: expected a folder of photographs, found {'a file' if hr_dir.exists() else 'none'}"
        )


def _sources(folder: Path) -> list[Photo]:
    """The pictures in a folder and below it, sorted by name, with the lengths of their files."""
    found: list[Photo] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in names):
            if not path.name.startswith(".") and path.suffix.lower() in formats.SUFFIXES:
                length = path.stat().st_size if path.exists() else 0
                found.append(Photo(path.relative_to(folder).as_posix(), bytes=length))
    return sorted(found, key=lambda photo: photo.name)


_Converted = tuple[Photo, dict[int, NDArray[np.uint8]]]


def _in_order(
    pool: ThreadPoolExecutor, folder: Path, sources: Sequence[Photo], scales: Sequence[int]
) -> Iterator[_Converted]:
    for first in range(0, len(sources), _AT_ONCE):
        yield from pool.map(_convert, repeat(folder), sources[first : first + _AT_ONCE], repeat(scales))


def _convert(folder: Path, source: Photo, scales: Sequence[int]) -> _Converted:
    """Convert one photograph: its HR pixels (under 1) and LR pixels, none when it has to be skipped."""
    try:
        pixels = _rgb8(folder / source.name)
    except BadImageError as error:
        return replace(source, reason=str(error)), {}
    except MemoryError:
        return replace(source, reason="expected a picture that fits in the memory there is"), {}
    hr = crop_to_multiple(pixels, math.lcm(*scales))
    height, width = hr.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        return replace(source, reason=f"expected sides of at least {SMALLEST_SIDE} pixels, found {size}"), {}
    lr = {scale: imresize(hr, Fraction(1, scale), "mirror") for scale in scales}
    return replace(source, height=height, width=width), {1: hr, **lr}


def _rgb8(path: Path) -> NDArray[np.uint8]:
    """Read (H, W, 3) uint8 of a picture of any depth; alpha is left out, grey repeated. Raises BadImageError."""
    picture = opening.open_picture(path)
    page = picture.pages[0]
    if page.height * page.width > LARGEST:
        raise BadImageError(f"{path}: expected at most {LARGEST:,} pixels, found {page.width} x {page.height}")
    pixels = read(picture, 0, 0, 0, page.height, page.width)
    pixels = np.repeat(pixels[..., :1], 3, 2) if page.bands < 3 else pixels[..., :3]
    if pixels.dtype == np.uint8:
        return pixels
    known = levels(picture, 0)
    shares = (pixels.astype(np.float64) - known.black) / (known.white - known.black)
    return np.floor(shares.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _licences(manifest: Path) -> Mapping[str, str]:
    """Licences by file name, none without a manifest."""
    if not manifest.is_file():
        return {}
    with manifest.open(newline="") as file:
        return {row["file"]: row["licence"] for row in csv.DictReader(file) if row.get("file") and row.get("licence")}


def _check_same(out: Path, finished: PreparedSet, sources: list[Photo], scales: list[int]) -> None:
    found = {photo.name: photo.bytes for photo in finished.photos + finished.skipped}
    wanted = {photo.name: photo.bytes for photo in sources}
    strange = list(found.keys() ^ wanted.keys())
    strange += [name for name in found.keys() & wanted.keys() if found[name] not in (0, wanted[name])]
    if strange:
        raise BadDataError(
            f"{out}: expected a set of these {len(wanted)} photographs, found one of {len(found)} others; they differ in "
            f"{min(strange)}{f' and {len(strange) - 1} more' if len(strange) > 1 else ''}: use another folder"
        )
    if list(finished.scales) != scales:
        raise BadDataError(
            f"{out}: holds a set of scales {list(finished.scales)}; expected {scales}: use another folder"
        )
