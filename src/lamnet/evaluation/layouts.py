"""Where benchmark sets have their HR and LR pictures, in the layouts in which they are downloaded.

Set5/HR|GT|GTmod12|original/baby.png with Set5/LR_bicubic/X4/babyx4.png, LRBICX4/baby.png, LRbicx4/..., LR/x4/..., LR/...
Set5/HR/x4/baby.png or Set5/HR_x4/baby.png with the same
HR/Set5/x4/baby_HR_x4.png with LRBI/Set5/x4/baby_LRBI_x4.png
DIV2K_valid_HR/0801.png with DIV2K_valid_LR_bicubic/X4/0801x4.png: the set DIV2K_valid
img_001_SRF_4_HR.png with img_001_SRF_4_LR.png, both in the set's folder or in its image_SRF_4
baby.png alone: LR pictures are made
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamnet.base.errors import BadDataError
from lamnet.media import arrays, formats

_HR = r"(hr|gtmod(\d+)|gt|original(?:hr)?)(?:x(\d))?"
_LR = r"lr(?:bi|bic|bicubic)?|(?:lr)?(?:bi|bic|bicubic)?x(\d)"
_HR_PREFERENCE = ("hr", "gtmod", "gt", "original", "originalhr")


@dataclass(frozen=True)
class Layout:
    """A set's folder and the folders in it by their names without case and separators ("hr", "lrbicubicx4")."""

    name: str
    path: Path
    parts: tuple[tuple[str, Path], ...] = ()

    def hr_folder(self, scale: int) -> Path:
        """The folder of HR pictures for a scale, the set's own where none is named so. Raises BadDataError."""
        named = [(found, place) for key, place in self.parts if (found := re.fullmatch(_HR, key))]
        if not named:
            return self.path
        filled = [(found, place) for found, place in named if pictures(place)]
        if not filled:
            raise BadDataError(
                f"{self.name}: no pictures in {named[0][1].name} (of the kinds {', '.join(sorted(formats.SUFFIXES))})"
            )
        fitting = [(_rank(found, scale), place) for found, place in filled if found[3] in (None, str(scale))]
        if not fitting:
            raise BadDataError(
                f"{self.name}: no HR for x{scale}, only for {listed(int(found[3]) for found, _ in filled)}"
            )
        return min(fitting)[1]

    def lr_folder(self, scale: int) -> Path | None:
        """The folder of bicubic LR pictures for a scale; None where there are none at any scale. Raises BadDataError."""
        if not any(re.fullmatch(_HR, key) for key, _ in self.parts):
            return None
        found: dict[int | None, list[Path]] = {}
        for key, place in self.parts:
            if (matched := re.fullmatch(_LR, key)) and (matched[1] or pictures(place)):
                found.setdefault(int(matched[1]) if matched[1] else None, []).append(place)
        if not found:
            return None
        fitting = found.get(scale) or found.get(None, [])
        if not fitting:
            raise BadDataError(f"{self.name}: no LR for x{scale}, only for {listed(each for each in found if each)}")
        if len(fitting) > 1:
            several = " and ".join(str(place.relative_to(self.path)) for place in fitting)
            raise BadDataError(f"{self.name}: several folders for x{scale}: {several}")
        return fitting[0]


def choose(data: Path, names: Sequence[str] | None) -> list[Layout]:
    """The sets that a folder is or holds, those that are asked for in that order.

    Raises:
        BadDataError: there are none, or not those.
    """
    if not data.is_dir():
        raise BadDataError(f"{data}: expected a folder of benchmark sets, found no such folder")
    own = list(_sets_in(data))
    below = [layout for child in _children(data) if not _is_half(child) for layout in _sets_in(child)]
    if names is None:
        chosen = own or below
    else:
        pool = [*own, *below]
        asked = [
            (name, [each for each in pool if name.lower() in (each.name.lower(), each.path.name.lower())])
            for name in names
        ]
        missing = [name for name, layouts in asked if not layouts]
        if missing:
            has = ", ".join(layout.name for layout in pool) or "none"
            raise BadDataError(f"{data}: expected the sets {', '.join(missing)}, found {has}")
        chosen = [layout for _, layouts in asked for layout in layouts]
    if not chosen:
        raise BadDataError(f"{data}: expected pictures or benchmark sets with a folder HR, found none")
    called = [layout.name for layout in chosen]
    if twice := sorted({name for name in called if called.count(name) > 1}):
        raise BadDataError(f"{data}: expected each set once, found {', '.join(twice)} twice")
    return chosen


def pictures(folder: Path) -> list[Path]:
    """The picture files in a folder, without hidden ones: macOS leaves ._baby.png beside baby.png."""
    return [path for path in arrays.find(folder) if not path.name.startswith(".")]


def srf_folders(path: Path) -> list[Path]:
    """The folders image_SRF_2, image_SRF_4, ... of a set."""
    return [child for child in _children(path) if re.fullmatch(r"image_srf_\d", child.name, re.IGNORECASE)]


def listed(scales: Iterable[int]) -> str:
    """Scales for a message: "x2, x4"."""
    return ", ".join(f"x{scale}" for scale in sorted(set(scales)))


def _sets_in(path: Path) -> list[Layout]:
    """The set that a folder is, or the sets whose halves lie in it."""
    children = _children(path)
    own = Layout(path.name, path, tuple(part for child in children for part in _parts(child)))
    halves = [child for child in children if re.fullmatch(_HR, _key(child.name))]
    if halves:
        filled = any(re.fullmatch(_HR, key) and pictures(place) for key, place in own.parts)
        return [own] if filled else list(_nested(path, halves)) or [own]
    if pictures(path) or srf_folders(path):
        return [Layout(path.name, path)]
    return list(_prefixed(path))


def _nested(path: Path, halves: Sequence[Path]) -> Iterator[Layout]:
    """HR/Set5 and LRBI/Set5 are the set Set5."""
    for name in sorted({child.name for half in halves for child in _children(half)}):
        places = [(top.name, top / name) for top in _children(path) if (top / name).is_dir()]
        parts = [
            (_key(top + below), place)
            for top, half in places
            for below, place in [("", half), *((child.name, child) for child in _children(half))]
        ]
        if any(re.fullmatch(_HR, key) and pictures(place) for key, place in parts):
            yield Layout(name, path, tuple(parts))


def _prefixed(path: Path) -> Iterator[Layout]:
    """DIV2K_valid_HR and DIV2K_valid_LR_bicubic are the set DIV2K_valid."""
    children = _children(path)
    for child in children:
        if half := re.fullmatch(r"(.+)_HR", child.name, re.IGNORECASE):
            prefix = half[1]
            same = [each for each in children if each.name.lower().startswith(f"{prefix.lower()}_")]
            yield Layout(prefix, path, tuple(part for each in same for part in _parts(each, len(prefix))))


def _parts(folder: Path, prefix: int = 0) -> Iterator[tuple[str, Path]]:
    yield _key(folder.name[prefix:]), folder
    for child in _children(folder):
        yield _key(folder.name[prefix:] + child.name), child


def _key(name: str) -> str:
    return re.sub(r"[ _-]", "", name).lower()


def _rank(found: re.Match[str], scale: int) -> tuple[bool, bool, int]:
    """HR for this very scale first, pictures cropped for others last."""
    cropped = int(found[2] or scale) % scale > 0
    return cropped, found[3] is None, _HR_PREFERENCE.index("gtmod" if found[2] else found[1])


def _children(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_half(folder: Path) -> bool:
    """Whether a folder is the HR or LR half of a set rather than a set."""
    return re.search(r"(^|_)(HR|LR)($|[_\d])|^LR(bi|bic|bicubic)?_?X?\d?$", folder.name, re.IGNORECASE) is not None
