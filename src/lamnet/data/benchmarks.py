"""Benchmark folders, in the layouts in which they are downloaded -> pairs of HR and LR files that fit.

A set is a folder with HR pictures and, for each scale, LR pictures:

    HR|GT|GTmod12|original/baby.png with LR_bicubic/X4/babyx4.png, LRBICX4/baby.png, LRbicx4/..., LR/X4/..., LR/...
    DIV2K_valid_HR/0801.png with DIV2K_valid_LR_bicubic/X4/0801x4.png: the set DIV2K_valid
    img_001_SRF_4_HR.png with img_001_SRF_4_LR.png, both in the set's folder or in its image_SRF_4
    baby.png alone: LR pictures are made by `imresize`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamnet import images
from lamnet.errors import BadArgumentError, BadDataError, BadImageError

_HR_FOLDERS = (r"hr", r"gtmod\d+", r"gt", r"original")  # the first that is there
_HR_ENDINGS = ("_hr", "_gt", "")


@dataclass(frozen=True)
class Pair:
    """One picture of a set; LR is made from HR when there is no file for it."""

    name: str
    hr: Path
    lr: Path | None


@dataclass(frozen=True)
class BenchmarkSet:
    """Pairs that fit each other, sorted by name."""

    name: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class _Folder:
    """Where a set's files are; `prefix` is what the names of its HR and LR folders share."""

    name: str
    path: Path
    hr: Path
    prefix: str = ""


def find_sets(data: Path, scale: int, names: Sequence[str] | None = None, border: int = 0) -> list[BenchmarkSet]:
    """The sets below a folder (or the folder itself, when it is one), every pair checked.

    Args:
        names: which sets, whatever their case; all when left out.
        border: pixels that will not be compared; 11 must be left each way.

    Raises:
        BadDataError: names every missing file and every picture that does not fit, over all sets.
    """
    if scale not in range(2, 10):
        raise BadArgumentError(f"scale: expected 2 to 9, got {scale}")
    problems: list[str] = []
    found: list[BenchmarkSet] = []
    for folder in _choose(data, names):
        pairs = sorted(_pairs(folder, scale, problems), key=lambda pair: pair.name)
        for pair in pairs:
            problems += [f"{folder.name} {pair.name}: {text}" for text in _misfits(pair, scale, border)]
        found.append(BenchmarkSet(folder.name, tuple(pairs)))
    if problems:
        raise BadDataError(f"{data}: expected complete pairs for x{scale}, found " + "; ".join(problems))
    return found


def header(path: Path) -> tuple[int, int, int, str]:
    """(height, width, bands, libvips' number format) of a picture, without reading its pixels."""
    image = images.open_image(path)
    return image.height, image.width, image.bands, str(image.format)


def by_stem(paths: Sequence[Path], ending: str = "") -> tuple[dict[str, Path], list[str]]:
    """Files by their lower-case name without suffix and `ending`, and a problem for names that then coincide."""
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


def _choose(data: Path, names: Sequence[str] | None) -> list[_Folder]:
    if not data.is_dir():
        raise BadDataError(f"{data}: expected a folder of benchmark sets, found no such folder")
    own = list(_folders(data))
    below = [folder for child in _children(data) if not _is_part(child) for folder in _folders(child)]
    if names is None:
        chosen = own or below
    else:
        pool = [*own, *below]
        asked = [
            (name, [folder for folder in pool if name.lower() in (folder.name.lower(), folder.path.name.lower())])
            for name in names
        ]
        missing = [name for name, folders in asked if not folders]
        if missing:
            has = ", ".join(folder.name for folder in pool) or "none"
            raise BadDataError(f"{data}: expected the sets {', '.join(missing)}, found {has}")
        chosen = [folder for _, folders in asked for folder in folders]
    if not chosen:
        raise BadDataError(f"{data}: expected pictures or benchmark sets with a folder HR, found none")
    return chosen


def _children(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_part(folder: Path) -> bool:
    """Whether a folder is the HR or LR half of a set rather than a set."""
    return re.search(r"(^|_)(HR|LR)($|[_\d])|^LR(bic|bicubic)?_?X\d$", folder.name, re.IGNORECASE) is not None


def _folders(path: Path) -> Iterator[_Folder]:
    """The set that a folder is, or the sets whose halves lie in it under a common prefix."""
    children = _children(path)
    for pattern in _HR_FOLDERS:
        for child in children:
            if re.fullmatch(pattern, child.name, re.IGNORECASE):
                yield _Folder(path.name, path, child)
                return
    if images.find(path) or any(re.fullmatch(r"image_srf_\d", child.name, re.IGNORECASE) for child in children):
        yield _Folder(path.name, path, path)
        return
    for child in children:
        if half := re.fullmatch(r"(.+)_HR", child.name, re.IGNORECASE):
            yield _Folder(half[1], path, child, prefix=half[1])


def _pairs(folder: _Folder, scale: int, problems: list[str]) -> Iterator[Pair]:
    """The pairs of a set; what is missing or ambiguous goes into `problems`."""
    files = _srf_files(folder, scale) or _folder_files(folder, scale)
    if isinstance(files, str):
        problems.append(f"{folder.name}: {files}")
        return
    hr, lr, doubles = files
    problems += [f"{folder.name}: {text}" for text in doubles]
    if lr is not None:
        problems += [f"{folder.name} {path.name}: no HR picture" for key, path in lr.items() if key not in hr]
        problems += [f"{folder.name} {path.name}: no LR picture" for key, path in hr.items() if key not in lr]
    for key, path in hr.items():
        if lr is None or key in lr:
            yield Pair(path.stem[: len(key)], path, lr[key] if lr is not None else None)


_Files = tuple[dict[str, Path], dict[str, Path] | None, list[str]]


def _srf_files(folder: _Folder, scale: int) -> _Files | str | None:
    """HR and LR side by side, the scale in their names; None when the folder holds no such files."""
    beside = [path for path in _children(folder.path) if re.fullmatch(r"image_srf_\d", path.name, re.IGNORECASE)]
    pictures = [path for place in (folder.path, *beside) for path in images.find(place)]
    scales = {int(found[1]) for path in pictures if (found := re.search(r"_srf_(\d)_hr$", path.stem, re.IGNORECASE))}
    if not scales:
        return None
    if scale not in scales:
        return f"no pictures for x{scale}, only for {_listed(scales)}"
    hr, hr_doubles = by_stem(pictures, f"_srf_{scale}_hr")
    lr, lr_doubles = by_stem(pictures, f"_srf_{scale}_lr")
    return hr, lr or None, hr_doubles + lr_doubles


def _folder_files(folder: _Folder, scale: int) -> _Files | str:
    """HR and LR in folders of their own; no LR folder at any scale: LR is made."""
    hr_pictures = images.find(folder.hr)
    if not hr_pictures:
        return f"no pictures in {folder.hr.name} (of the kinds {', '.join(sorted(images.SUFFIXES))})"
    ending = next(ending for ending in _HR_ENDINGS if all(p.stem.lower().endswith(ending) for p in hr_pictures))
    hr, doubles = by_stem(hr_pictures, ending)
    places = _lr_folders(folder)
    if not places:
        return hr, None, doubles
    fitting = places.get(scale) or places.get(None, [])
    if not fitting:
        return f"no LR for x{scale}, only for {_listed(scale for scale in places if scale)}"
    if len(fitting) > 1:
        return f"several folders for x{scale}: {' and '.join(str(place.relative_to(folder.path)) for place in fitting)}"
    pictures = images.find(fitting[0])
    endings = ("", f"x{scale}", f"_x{scale}", "_lr", f"_lr_x{scale}", f"_lrbi_x{scale}", f"_lrx{scale}", "_bicubic")
    lr, lr_doubles = max(
        (by_stem(pictures, ending) for ending in endings), key=lambda named: len(named[0].keys() & hr.keys())
    )
    return hr, lr, doubles + lr_doubles


def _lr_folders(folder: _Folder) -> dict[int | None, list[Path]]:
    """The folders of bicubic LR pictures by scale, None for those that do not say: LR_bicubic/X4, LRBICX4, LR/x4, LR."""
    found: dict[int | None, list[Path]] = {}
    if folder.hr == folder.path:
        return found
    for child in _children(folder.path):
        for place in (child, *_children(child)):
            name = re.sub(r"[/\\_-]", "", str(place.relative_to(folder.path)).removeprefix(folder.prefix)).lower()
            if matched := re.fullmatch(r"(?:lr)?(?:bic|bicubic)?x(\d)", name):
                found.setdefault(int(matched[1]), []).append(place)
            elif re.fullmatch(r"lr(bic|bicubic)?", name) and images.find(place):
                found.setdefault(None, []).append(place)
    return found


def _listed(scales: Iterable[int]) -> str:
    return ", ".join(f"x{scale}" for scale in sorted(scales))


def _misfits(pair: Pair, scale: int, border: int) -> Iterator[str]:
    """What keeps a pair from being measured."""
    try:
        height, width, *_ = header(pair.hr)
        expected = (height // scale, width // scale)
        yield from unmeasurable(pair.hr)
        if scale * min(expected) - 2 * border < 11:
            yield f"HR is {width}x{height}, too small to measure inside a border of {border}"
        if pair.lr is not None:
            yield from unmeasurable(pair.lr)
            low_height, low_width, *_ = header(pair.lr)
            if (low_height, low_width) != expected:
                yield f"LR is {low_width}x{low_height}, expected {expected[1]}x{expected[0]} for HR of {width}x{height}"
    except BadImageError as error:
        yield str(error)


def unmeasurable(path: Path) -> Iterator[str]:
    """What a picture has that the protocol does not know: depths other than 8 bits, alpha, CMYK."""
    _, _, bands, number = header(path)
    if number != "uchar":
        yield f"{path.name} has {number} values, expected 8 bits"
    if bands not in (1, 3):
        yield f"{path.name} has {bands} channels, expected 1 (grey) or 3 (RGB)"
