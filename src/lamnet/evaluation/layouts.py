"""The folders of HR and LR pictures of benchmark sets, in the layouts in which they are downloaded.

>>> from tempfile import TemporaryDirectory
>>> def show(*files: str) -> None:
...     with TemporaryDirectory() as data:
...         for path in (Path(data, file) for file in files):
...             path.parent.mkdir(parents=True, exist_ok=True)
...             path.touch()
...         for one in choose(Path(data), None):
...             hr, lr = one.hr_folder(4), one.lr_folder(4)
...             print(f"{one.name}: {hr.relative_to(data)}, {lr and lr.relative_to(data)}")

`show` makes files and prints the sets of their folder with the folders of HR and LR for x4. A set with folders for HR (HR,
GT, GTmod12 or original) and LR (LR_bicubic/X4, LRBICX4, LRbicx4, LR/x4 or LR):

>>> show("Set5/HR/baby.png", "Set5/LR_bicubic/X4/babyx4.png")
Set5: Set5/HR, Set5/LR_bicubic/X4

HR for each scale, as HR/x4 or HR_x4:

>>> show("Set5/HR_x4/baby.png", "Set5/HR_x3/baby.png", "Set5/LR_x4/baby.png")
Set5: Set5/HR_x4, Set5/LR_x4

HR and LR above the sets:

>>> show("HR/Set5/x4/baby_HR_x4.png", "LRBI/Set5/x4/baby_LRBI_x4.png")
Set5: HR/Set5/x4, LRBI/Set5/x4

DIV2K's, whose folders begin with the name of the set:

>>> show("DIV2K_valid_HR/0801.png", "DIV2K_valid_LR_bicubic/X4/0801x4.png")
DIV2K_valid: DIV2K_valid_HR, DIV2K_valid_LR_bicubic/X4

HR and LR side by side, told apart by `benchmarks`: img_001_SRF_4_HR.png, in the set's folder or in its image_SRF_4:

>>> show("Set5/image_SRF_4/img_001_SRF_4_HR.png", "Set5/image_SRF_4/img_001_SRF_4_LR.png")
Set5: Set5, None

Pictures alone, of which LR is made:

>>> show("Set5/baby.png", "Set14/zebra.png")
Set14: Set14, None
Set5: Set5, None
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
    """A set's folder, and the folders in it by their names in lower case without separators ("hr", "lrbicubicx4")."""

    name: str
    path: Path
    parts: tuple[tuple[str, Path], ...] = ()

    def hr_folder(self, scale: int) -> Path:
        """Find the folder of HR pictures for a scale; the set's own where none has such a name. Raises BadDataError."""
        hr_folders = [(found, place) for key, place in self.parts if (found := re.fullmatch(_HR, key))]
        if not hr_folders:
            return self.path
        filled = [(found, place) for found, place in hr_folders if picture_files(place)]
        if not filled:
            raise BadDataError(
                f"{self.name}: no pictures in {hr_folders[0][1].name} "
                f"(of the kinds {', '.join(sorted(formats.SUFFIXES))})"
            )
        fitting = [(_rank(found, scale), place) for found, place in filled if found[3] in (None, str(scale))]
        if not fitting:
            raise BadDataError(
                f"{self.name}: no HR for x{scale}, only for {listed(int(found[3]) for found, _ in filled)}"
            )
        return min(fitting)[1]

    def lr_folder(self, scale: int) -> Path | None:
        """Find the folder of bicubic LR pictures for a scale; None where there are none at any scale. Raises BadDataError.

        At scale 1 LR is HR, which needs no folder.
        """
        if scale == 1 or not any(re.fullmatch(_HR, key) for key, _ in self.parts):
            return None
        found: dict[int | None, list[Path]] = {}
        for key, place in self.parts:
            if (matched := re.fullmatch(_LR, key)) and (matched[1] or picture_files(place)):
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
    """Find the sets in a folder, or the set that it is; with names only those, in that order.

    Raises:
        BadDataError: there are none, a name is missing, two sets have one name, or without names there are pictures beside
            folders of pictures.
    """
    if not data.is_dir():
        raise BadDataError(
            f"{data}: expected a folder of benchmark sets, found {'a file' if data.exists() else 'no such folder'}"
        )
    own = list(_sets_in(data))
    apart = [child for child in _children(data) if not _is_half(child) and child not in srf_folders(data)]
    below = [layout for child in apart for layout in _sets_in(child)]
    chosen = own or below if names is None else _asked_for(data, names, [*own, *below])
    if not chosen:
        raise BadDataError(f"{data}: expected pictures or benchmark sets with a folder HR, found none")
    if names is None and own and below and not own[0].parts:
        loose = next(iter(picture_files(data)), data)
        raise BadDataError(
            f"{data}: expected pictures or folders of them, found both, {loose.name} and {below[0].path.name}; name the sets that "
            f"are meant, {', '.join(layout.name for layout in [*own, *below])}, or move the others"
        )
    all_names = [layout.name for layout in chosen]
    if twice := sorted({name for name in all_names if all_names.count(name) > 1}):
        raise BadDataError(f"{data}: expected each set once, found {', '.join(twice)} twice")
    return chosen


def _asked_for(data: Path, names: Sequence[str], found: Sequence[Layout]) -> list[Layout]:
    """Pick the sets of these names, in any case; the name of a set's folder is valid too."""
    asked = {
        name: [layout for layout in found if name.lower() in (layout.name.lower(), layout.path.name.lower())]
        for name in names
    }
    if missing := [name for name, layouts in asked.items() if not layouts]:
        has = ", ".join(layout.name for layout in found) or "none"
        raise BadDataError(f"{data}: expected the sets {', '.join(missing)}, found {has}")
    return [layout for name in names for layout in asked[name]]


def picture_files(folder: Path) -> list[Path]:
    """List the picture files in a folder, without hidden ones: macOS leaves ._baby.png next to baby.png."""
    return [path for path in arrays.find(folder) if not path.name.startswith(".")]


def srf_folders(path: Path) -> list[Path]:
    """List the folders image_SRF_2, image_SRF_4, ... of a set."""
    return [child for child in _children(path) if re.fullmatch(r"image_srf_\d", child.name, re.IGNORECASE)]


def listed(scales: Iterable[int]) -> str:
    """List scales for a message: "x2, x4"."""
    return ", ".join(f"x{scale}" for scale in sorted(set(scales)))


def _sets_in(path: Path) -> list[Layout]:
    """Yield the set that a folder is, or the sets whose HR and LR folders it holds."""
    children = _children(path)
    own = Layout(path.name, path, tuple(part for child in children for part in _parts(child)))
    halves = [child for child in children if re.fullmatch(_HR, _key(child.name))]
    if halves:
        filled = any(re.fullmatch(_HR, key) and picture_files(place) for key, place in own.parts)
        return [own] if filled else list(_nested(path, halves)) or [own]
    if picture_files(path) or srf_folders(path):
        return [Layout(path.name, path)]
    return list(_prefixed(path))


def _nested(path: Path, halves: Sequence[Path]) -> Iterator[Layout]:
    """Yield sets inside of folders for HR and LR: HR/Set5 and LRBI/Set5 are the set Set5."""
    for name in sorted({child.name for half in halves for child in _children(half)}):
        places = [(top.name, top / name) for top in _children(path) if (top / name).is_dir()]
        parts = [
            (_key(top + below), place)
            for top, half in places
            for below, place in [("", half), *((child.name, child) for child in _children(half))]
        ]
        if any(re.fullmatch(_HR, key) and picture_files(place) for key, place in parts):
            yield Layout(name, path, tuple(parts))


def _prefixed(path: Path) -> Iterator[Layout]:
    """Yield sets whose folders start with their name: DIV2K_valid_HR and DIV2K_valid_LR_bicubic are DIV2K_valid."""
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
    """Rank HR folders: those for this very scale first, those cropped for other scales last."""
    cropped = int(found[2] or scale) % scale > 0
    return cropped, found[3] is None, _HR_PREFERENCE.index("gtmod" if found[2] else found[1])


def _children(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_half(folder: Path) -> bool:
    """Tell whether a folder is the HR or LR half of a set rather than a set."""
    return re.search(r"(^|_)(HR|LR)($|[_\d])|^LR(bi|bic|bicubic)?_?X?\d?$", folder.name, re.IGNORECASE) is not None
