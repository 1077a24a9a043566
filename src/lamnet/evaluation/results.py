"""Folders of finished results: the file for each picture of the benchmark sets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lamnet.base.errors import BadDataError, BadImageError
from lamnet.evaluation.benchmarks import BenchmarkSet, Pair, header, unmeasurable
from lamnet.evaluation.layouts import picture_files
from lamnet.media import arrays


def find_results(folder: Path, sets: Sequence[BenchmarkSet], scale: int) -> dict[Pair, Path]:
    """Find the result for each pair, and check that it is scale times as large as the LR picture.

    Results are in DIR/Set5, DIR/Set5/x4, DIR/x4/Set5, DIR/visualization/Set5 or, for a single set, in DIR itself. Their
    names begin with that of the HR picture; the rest begins with the scale, with SR, or with neither letter nor digit:
    baby.png, babyx4.png, babySR.png, baby_SwinIR_x4.png. LR and HR pictures in the same folder are ignored.

    A picture whose own HR or LR is damaged may have no result, and is then not among those returned. A damaged result is.

    Raises:
        BadDataError: results are missing, there twice, or of the wrong size; names all of them, over all sets.
    """
    if not folder.is_dir():
        raise BadDataError(
            f"{folder}: expected a folder of results, found {'a file' if folder.exists() else 'no such folder'}"
        )
    problems: list[str] = []
    found: dict[Pair, Path] = {}
    for one in sets:
        candidates = _assign(picture_files(_place(folder, one.name, scale, only_set=len(sets) == 1)), one)
        for pair in one.pairs:
            files = _of_scale(candidates[pair], pair, scale)
            if len(files) == 1:
                found[pair] = files[0]
                problems += [f"{one.name} {pair.name}: {text}" for text in _misfits(files[0], pair, scale)]
            elif files or not _is_damaged(pair):
                several = "several results, " + " and ".join(file.name for file in files)
                problems.append(f"{one.name} {pair.name}: {several if files else 'no result'}")
    if problems:
        raise BadDataError(f"{folder}: expected one result of x{scale} for each picture, found " + "; ".join(problems))
    return found


def _place(folder: Path, name: str, scale: int, only_set: bool) -> Path:
    at_scale = (f"{name}x{scale}", f"{name}_x{scale}")
    above = [folder, *(child for below in ("visualization", f"x{scale}") if (child := _child(folder, below)))]
    own = [place for each in above for usual in (name, f"results-{name}", *at_scale) if (place := _child(each, usual))]
    if not own and not only_set:
        raise BadDataError(f"{folder}: expected a folder {name} of results, found none")
    place = own[0] if own else above[-1]
    return _child(place, f"x{scale}") or place


def _child(folder: Path, name: str) -> Path | None:
    return next(
        (path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.lower() == name.lower()), None
    )


def _assign(files: Sequence[Path], one: BenchmarkSet) -> dict[Pair, list[Path]]:
    """Assign each file to the picture with the longest name that it begins with: img_10 is not img_1.

    Those of pictures that are left out are nobody's.
    """
    found: dict[str, list[Path]] = {name: [] for name in (*one.left_out, *(pair.name for pair in one.pairs))}
    longest_first = sorted(found, key=lambda name: -len(name))
    for file in files:
        for name in longest_first:
            rest = _rest(file, name)
            if rest is not None and re.match(r"$|[^a-z0-9]|x\d|sr(?![a-z0-9])", rest):
                if not re.search(r"_(lr|hr|gt)(_x\d)?$", rest):
                    found[name].append(file)
                break
    return {pair: found[pair.name] for pair in one.pairs}


def _rest(file: Path, name: str) -> str | None:
    stem, name = file.stem.lower(), name.lower()
    return stem.removeprefix(name) if stem.startswith(name) else None


def _of_scale(files: list[Path], pair: Pair, scale: int) -> list[Path]:
    """Pick, from several results for one picture, those with this scale in their names."""
    if len(files) < 2:
        return files
    return [file for file in files if re.search(rf"x{scale}(?!\d)", _rest(file, pair.name) or "")] or files


def _is_damaged(pair: Pair) -> bool:
    """Tell whether the pixels of a pair cannot be read, so that nobody can have made a result."""
    try:
        for path in filter(None, (pair.hr, pair.lr)):
            arrays.read_array(path)
    except BadImageError:
        return True
    return False


def _misfits(file: Path, pair: Pair, scale: int) -> list[str]:
    height, width, *_ = header(pair.hr)
    expected = (height - height % scale, width - width % scale)
    try:
        found = header(file)[:2]
        problems = list(unmeasurable(file))
    except BadImageError:  # which leaves out this picture where it is measured
        return []
    if found != expected:
        problems.append(f"{file.name} is {found[1]}x{found[0]}, expected {expected[1]}x{expected[0]}")
    return problems
