"""Preparation of photographs for training: a set of memory-mapped files of 8-bit HR, and LR at each scale, with an index.

`hr.u8`, `lr_x2.u8`, ... hold the pictures one after the other, (H, W, 3) uint8 each; `index.json` has their names and HR
sizes, and appears last: a folder that has it is whole.
"""

from __future__ import annotations

import csv
import io
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
from lamnet.base.files import read_text
from lamnet.base.progress import Progress, Work, finish
from lamnet.evaluation.benchmarks import LARGEST
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.media import formats, opening
from lamnet.media.levels import levels
from lamnet.media.picture import read
from lamnet.training.given import MAX_SHIFT, MIN_LIKENESS, MIN_SIDE, NOTED_SHIFT, Given, fit
from lamnet.training.journal import Journal
from lamnet.training.prepared import BICUBIC, INDEX, Photo, PreparedSet, hash_of

SMALLEST_SIDE = 48
_TOO_LARGE = "expected a picture that fits into memory"
_AT_ONCE = 32  # photographs that are converted before the first of them is written


def prepare(hr_dir: Path, out: Path, scales: Sequence[int] = (2, 3, 4), lr_dir: Path | None = None) -> PreparedSet:
    """Make a prepared set in `out` from the photographs in `hr_dir` and below; an interrupted call is continued.

    HR is cropped to a multiple of all scales, LR made by MATLAB's bicubic with mirrored borders (DIV2K's convention).
    Pictures are read as `lamnet upscale` reads them, and converted to 8 bits. Hidden ones are left out; unreadable, too
    small and too large ones are skipped and listed in the result. Photographs whose pixels are not whole, of a finished set
    too, are made again. Where `hr_dir` has a manifest.csv with columns `file` and `licence`, the licences go into the index,
    and from there onto model cards.

    With `lr_dir` LR is not made but read from there, for one scale, in pairs as `given.Given.find` finds them. LR must have
    the size of HR cropped to a multiple of the scale, divided by it. A pair of other sizes, of different pictures, or with a
    shift of more than `given.MAX_SHIFT` LR pixels is skipped; a smaller shift is noted.

    Raises:
        BadDataError: no usable photograph, `out` holds a set of other photographs, scales or LR, is in use by another
            call, or cannot be written.
        BadArgumentError: a scale that is no whole number from 2 to 8, or several scales with `lr_dir`.
    """
    return finish(preparing(hr_dir, out, scales, lr_dir))


def preparing(
    hr_dir: Path, out: Path, scales: Sequence[int] = (2, 3, 4), lr_dir: Path | None = None
) -> Work[PreparedSet]:
    """Prepare as `prepare` does, with progress after each photograph."""
    _check_request(hr_dir, scales, lr_dir)
    sources, wanted = _sources(hr_dir), sorted(set(scales))
    given = None
    if lr_dir is not None:
        names, lr_names = ([photo.name for photo in found] for found in (sources, _sources(lr_dir)))
        given = Given.find(lr_dir, wanted[0], names, lr_names)
    if (out / INDEX).exists():
        finished = PreparedSet.recorded(out)
        _check_same(finished, sources, wanted, given.origin if given else BICUBIC)
        if (yield from _checking(finished)):
            return finished
    if not sources:
        raise BadDataError(f"{hr_dir}: expected photographs, found no picture in it or below")
    licences = _licences(hr_dir / "manifest.csv")
    with locks.exclusive(out), Journal(out, wanted, sources, given) as journal, ThreadPoolExecutor(2) as pool:
        remaining = sources[len(journal.photos) :]
        yield Progress("preparing", len(journal.photos) / len(sources))
        for photo, pixels in _in_order(pool, hr_dir, remaining, wanted, given):
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
    """Check that the pixels of a finished set are those of its index; of an older set their number alone is known."""
    whole = 0
    for whole, _ in enumerate(finished.whole_photos(), 1):
        yield Progress("checking", whole / len(finished.photos))
    sizes = {finished.file(scale): int(finished.offsets(scale)[-1]) for scale in (1, *finished.scales)}
    return whole == len(finished.photos) and all(file.stat().st_size == size for file, size in sizes.items())


def _check_request(hr_dir: Path, scales: Sequence[int], lr_dir: Path | None) -> None:
    if not scales or not all(scale in range(2, 9) for scale in scales):
        raise BadArgumentError(
            f"scales: expected whole numbers from 2 to 8, got {', '.join(map(str, scales)) or 'none'}"
        )
    for folder in (hr_dir, lr_dir):
        if folder is not None and not folder.is_dir():
            raise BadDataError(
                f"{folder}: expected a folder of photographs, found {'a file' if folder.exists() else 'none'}"
            )
    if lr_dir is not None and len(set(scales)) > 1:
        raise BadArgumentError(f"scales: expected the one of lr, got {', '.join(map(str, scales))}")
    if lr_dir is not None and lr_dir.samefile(hr_dir):
        raise BadArgumentError(f"lr: expected another folder than that of HR, got {lr_dir}")


def _sources(folder: Path) -> list[Photo]:
    """List the pictures in a folder and below it, sorted by name, with the lengths of their files."""
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
    pool: ThreadPoolExecutor, folder: Path, sources: Sequence[Photo], scales: Sequence[int], given: Given | None
) -> Iterator[_Converted]:
    for first in range(0, len(sources), _AT_ONCE):
        some = sources[first : first + _AT_ONCE]
        if given is None:
            yield from pool.map(_convert, repeat(folder), some, repeat(scales))
        else:
            yield from pool.map(_convert_pair, repeat(folder), some, repeat(scales[0]), repeat(given))


def _convert(folder: Path, source: Photo, scales: Sequence[int]) -> _Converted:
    """Convert one photograph to HR pixels (under 1) and LR pixels; none when it has to be skipped."""
    try:
        pixels = _rgb8(folder / source.name)
    except BadImageError as error:
        return replace(source, reason=str(error)), {}
    except MemoryError:
        return replace(source, reason=_TOO_LARGE), {}
    hr = crop_to_multiple(pixels, math.lcm(*scales))
    if min(hr.shape[:2]) < SMALLEST_SIDE:
        return replace(source, reason=f"expected sides of at least {SMALLEST_SIDE} pixels, found {_size(pixels)}"), {}
    lr = {scale: imresize(hr, Fraction(1, scale), "mirror") for scale in scales}
    return _whole(source, {1: hr, **lr})


def _convert_pair(folder: Path, source: Photo, scale: int, given: Given) -> _Converted:
    """Read one photograph and its LR; no pixels where the two do not fit."""
    if source.name not in given.files:
        return replace(source, reason=f"found no LR picture for it in {given.folder}"), {}
    try:
        pixels, lr = _rgb8(folder / source.name), _rgb8(given.files[source.name])
    except BadImageError as error:
        return replace(source, reason=str(error)), {}
    except MemoryError:
        return replace(source, reason=_TOO_LARGE), {}
    hr = crop_to_multiple(pixels, scale)
    if reason := _misfit(pixels, lr, scale):
        return replace(source, reason=reason), {}
    found = fit(hr, lr, scale)
    shifted = f"LR is shifted by {found.right:+.2f} pixels to the right and {found.down:+.2f} down"
    if found.likeness < MIN_LIKENESS:
        return replace(source, reason=f"LR shows something else than HR: their correlation is {found.likeness:.2f}"), {}
    if found.shift > MAX_SHIFT:
        return replace(source, reason=f"{shifted}, expected at most {MAX_SHIFT}"), {}
    notes = [shifted] if found.shift > NOTED_SHIFT else []
    if hr.shape != pixels.shape:
        notes.append(f"HR of {_size(pixels)} was cropped to {_size(hr)}")
    return _whole(replace(source, note="; ".join(notes)), {1: hr, scale: lr})


def _misfit(hr: NDArray[np.uint8], lr: NDArray[np.uint8], scale: int) -> str | None:
    """Say why the sizes of a pair cannot be used; None where they can."""
    height, width = (side // scale for side in hr.shape[:2])
    if lr.shape[:2] != (height, width):
        return f"expected LR of {width}x{height} for HR of {_size(hr)} at x{scale}, found {_size(lr)}"
    if scale * min(height, width) < SMALLEST_SIDE:
        return f"expected sides of at least {SMALLEST_SIDE} pixels, found {_size(hr)}"
    if min(height, width) < MIN_SIDE:
        return f"expected LR sides of at least {MIN_SIDE} pixels to compare it with HR, found {_size(lr)}"
    return None


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _whole(source: Photo, pixels: dict[int, NDArray[np.uint8]]) -> _Converted:
    """Complete the entry of a photograph by the size and the hash of its pixels."""
    height, width = pixels[1].shape[:2]
    hashed = hash_of(np.ascontiguousarray(part).data for _, part in sorted(pixels.items()))
    return replace(source, height=height, width=width, pixels=hashed or ""), pixels


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
    """Read licences by file name; none without a manifest. Raises BadDataError where it is no such table."""
    if not manifest.is_file():
        return {}
    try:
        table = csv.DictReader(io.StringIO(read_text(manifest), newline=""))
        rows, columns = list(table), table.fieldnames or []
    except (OSError, ValueError, csv.Error) as error:
        raise BadDataError(f"{manifest}: expected a table of licences, found {error}") from error
    if not {"file", "licence"} <= set(columns):
        found = ", ".join(columns) or "none"
        raise BadDataError(f"{manifest}: expected columns file and licence, with commas between, found {found}")
    return {row["file"]: row["licence"] for row in rows if row["file"] and row["licence"]}


def _check_same(finished: PreparedSet, sources: list[Photo], scales: list[int], lr: str) -> None:
    out = finished.folder
    found = {photo.name: photo.bytes for photo in finished.photos + finished.skipped}
    wanted = {photo.name: photo.bytes for photo in sources}
    differing = list(found.keys() ^ wanted.keys())
    differing += [name for name in found.keys() & wanted.keys() if found[name] not in (0, wanted[name])]
    if differing:
        raise BadDataError(
            f"{out}: expected a set of these {len(wanted)} photographs, found one of {len(found)} others; they differ in "
            f"{min(differing)}{f' and {len(differing) - 1} more' if len(differing) > 1 else ''}: use another folder"
        )
    if list(finished.scales) != scales:
        raise BadDataError(
            f"{out}: holds a set of scales {list(finished.scales)}; expected {scales}: use another folder"
        )
    if finished.lr != lr:
        raise BadDataError(f"{out}: holds a set whose LR is {finished.lr}; expected {lr}: use another folder")
