"""A folder of photographs -> a prepared set: memory-mapped files of 8-bit HR and of LR at each scale, and their index.

`hr.u8`, `lr_x2.u8`, ... hold the pictures one after the other, (H, W, 3) uint8 each; `index.json` has their names and HR
sizes, and appears last: a folder that has it is whole.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from lamnet.base.errors import BadArgumentError, BadDataError, BadImageError
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.media import formats, opening
from lamnet.media.levels import levels
from lamnet.media.picture import read
from lamnet.training.prepared import INDEX, JOURNAL, Photo, PreparedSet

SMALLEST_SIDE = 48
_AT_ONCE = 32


def prepare(hr_dir: Path, out: Path, scales: Sequence[int] = (2, 3, 4)) -> PreparedSet:
    """Make a prepared set in `out` from the photographs in `hr_dir` and below; goes on where an earlier call was cut off.

    HR is cropped to a multiple of all scales, LR made by MATLAB's bicubic with mirrored borders (DIV2K's convention).
    Pictures are read as `lamnet upscale` reads them, and made 8 bits. Hidden ones are left out; unreadable or too small
    ones are skipped and listed in the result. Progress on stderr. Where `hr_dir` has a manifest.csv with columns `file`
    and `licence`, the licences go into the index, and from there onto model cards.

    Raises:
        BadDataError: no usable photograph, or `out` holds a set of other photographs or scales.
        BadArgumentError: scales that are no whole numbers from 2 to 8.
    """
    if not scales or not all(scale in range(2, 9) for scale in scales):
        raise BadArgumentError(
            f"scales: expected whole numbers from 2 to 8, got {', '.join(map(str, scales)) or 'none'}"
        )
    if not hr_dir.is_dir():
        raise BadDataError(
            f"{hr_dir}: expected a folder of photographs, found {'a file' if hr_dir.exists() else 'none'}"
        )
    sources, wanted = _sources(hr_dir), sorted(set(scales))
    if (out / INDEX).exists():
        finished = PreparedSet.open(out)
        _check_same(out, finished, sources, wanted)
        return finished
    if not sources:
        raise BadDataError(f"{hr_dir}: expected photographs, found no picture in it or below")
    out.mkdir(parents=True, exist_ok=True)
    with _Journal(out, wanted, sources) as journal, ThreadPoolExecutor(2) as pool:
        remaining = sources[len(journal.photos) :]
        licences = _licences(hr_dir / "manifest.csv")
        results = _in_order(pool, hr_dir, remaining, wanted)
        for photo, pixels in track(results, "preparing", len(remaining), console=Console(stderr=True)):
            journal.add(replace(photo, licence=licences.get(photo.name, "")), pixels)
    photos = tuple(photo for photo in journal.photos if photo.reason is None)
    skipped = tuple(photo for photo in journal.photos if photo.reason is not None)
    if not photos:
        first = f", the first: {skipped[0].name}: {skipped[0].reason}" if skipped else ""
        raise BadDataError(f"{hr_dir}: expected usable photographs, found none among {len(sources)} pictures{first}")
    _write_index(out, wanted, photos, skipped)
    return PreparedSet.open(out)


class _Journal:
    """What has been written so far. Pixels go to disk before their line, so a cut-off call loses at most a picture."""

    def __init__(self, folder: Path, scales: list[int], sources: list[Photo]) -> None:
        path = folder / JOURNAL
        settings = {"scales": scales, "sources": [[photo.name, photo.bytes] for photo in sources]}
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        whole: list[Any] = [json.loads(line) for line in lines if line.endswith("\n")]
        self.photos = [Photo(**entry) for entry in whole[1:]]
        if whole and whole[0] != settings:
            if any(photo.reason is None for photo in self.photos):
                raise BadDataError(f"{folder}: holds part of a set of other photographs or scales; use another folder")
            self.photos = []
        _write_text(path, "".join(json.dumps(entry) + "\n" for entry in [settings, *map(asdict, self.photos)]))
        written = PreparedSet(folder, tuple(scales), tuple(p for p in self.photos if p.reason is None), ())
        self._open = ExitStack()
        self._lines = self._open.enter_context(path.open("a"))
        self._files = {s: self._open.enter_context(written.file(s).open("ab")) for s in (1, *scales)}
        for scale, file in self._files.items():
            file.truncate(int(written.offsets(scale)[-1]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, photo: Photo, pixels: dict[int, NDArray[np.uint8]]) -> None:
        for scale, part in pixels.items():
            self._files[scale].write(part.tobytes())
            self._files[scale].flush()
        self._lines.write(json.dumps(asdict(photo)) + "\n")
        self._lines.flush()
        self.photos.append(photo)


def _sources(folder: Path) -> list[Photo]:
    """The pictures in a folder and below it, of which the names and lengths are known, in order."""
    found: list[Photo] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in names):
            if not path.name.startswith(".") and path.suffix.lower() in formats.SUFFIXES:
                length = path.stat().st_size if path.exists() else 0
                found.append(Photo(path.relative_to(folder).as_posix(), bytes=length))
    return sorted(found, key=lambda photo: photo.name)


def _in_order(
    pool: ThreadPoolExecutor, folder: Path, sources: Sequence[Photo], scales: Sequence[int]
) -> Iterator[tuple[Photo, dict[int, NDArray[np.uint8]]]]:
    for first in range(0, len(sources), _AT_ONCE):
        yield from pool.map(_convert, repeat(folder), sources[first : first + _AT_ONCE], repeat(scales))


def _convert(folder: Path, source: Photo, scales: Sequence[int]) -> tuple[Photo, dict[int, NDArray[np.uint8]]]:
    """The HR pixels (under 1) and the LR pixels of one photograph; none when it has to be skipped."""
    try:
        pixels = _rgb8(folder / source.name)
    except BadImageError as error:
        return replace(source, reason=str(error)), {}
    hr = crop_to_multiple(pixels, math.lcm(*scales))
    height, width = hr.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        return replace(source, reason=f"expected sides of at least {SMALLEST_SIDE} pixels, found {size}"), {}
    lr = {scale: imresize(hr, Fraction(1, scale), "mirror") for scale in scales}
    return replace(source, height=height, width=width), {1: hr, **lr}


def _rgb8(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of a picture of any depth; alpha is left out, grey repeated. Raises BadImageError."""
    picture = opening.open_picture(path)
    page = picture.pages[0]
    pixels = read(picture, 0, 0, 0, page.height, page.width)
    pixels = np.repeat(pixels[..., :1], 3, 2) if page.bands < 3 else pixels[..., :3]
    if pixels.dtype == np.uint8:
        return pixels
    known = levels(picture, 0)
    shares = (pixels.astype(np.float64) - known.black) / (known.white - known.black)
    return np.floor(shares.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _licences(manifest: Path) -> dict[str, str]:
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


def _write_index(out: Path, scales: list[int], photos: tuple[Photo, ...], skipped: tuple[Photo, ...]) -> None:
    index = {"scales": scales, "photos": [asdict(p) for p in photos], "skipped": [asdict(p) for p in skipped]}
    _write_text(out / INDEX, json.dumps(index, indent=1))
    (out / JOURNAL).unlink()


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)
