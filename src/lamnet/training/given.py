"""LR that comes with HR photographs instead of being made from them: which pictures belong together, by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from lamnet.evaluation.endings import HR_ENDINGS, LR_ENDINGS
from lamnet.training.prepared import GIVEN, GivenPair

_HR_ENDINGS = (*HR_ENDINGS, "_srf_{}_hr")
_LR_ENDINGS = (*LR_ENDINGS, "_srf_{}_lr")
_FOLDER = re.compile(r"x(\d)/", re.IGNORECASE)  # of the LR of a scale
_LR_FOLDER = re.compile(r"(^|.*[/_])lr(_?(bi|bic|bicubic|unknown|mild|difficult|wild))?(_?x\d)?/", re.IGNORECASE)
_SCALES = range(2, 10)

_Key = Callable[[str], str | None]


@dataclass(frozen=True)
class Given:
    """The LR pictures of a folder, or of its folder X4, that belong to HR pictures.

    Attributes:
        folder: as it was given.
        pairs: by the path of HR below its folder.
        unpaired: paths of LR pictures, below their folder, that belong to no HR, or to one that has another LR. Those of
            other scales are no part of it.
    """

    folder: Path
    pairs: Mapping[str, GivenPair]
    unpaired: tuple[str, ...]

    @property
    def origin(self) -> str:
        """The origin of LR, for the index of a set."""
        return f"{GIVEN}{self.folder}"

    @property
    def facts(self) -> Mapping[str, Any]:
        """Where the pictures are, however that was typed, their names and lengths: what they are recognised by."""
        return {
            "lr_folder": str(self.folder.resolve()),
            "pairs": [asdict(pair) for _, pair in sorted(self.pairs.items())],
        }

    @classmethod
    def find(cls, folder: Path, scale: int, hr: Iterable[str], lr: Mapping[str, int]) -> Given:
        """Pair pictures by their names, in any case and format: a.png with a.png, ax4.jpg, a_x4.png, a_LR.png, ...

        Names that are the same pair first, over all HR, and those that are less alike follow.

        Args:
            hr: paths below the folder of HR.
            lr: lengths of files, by their paths below the folder of LR.
        """
        lacking: list[str] = sorted(hr)
        left: list[str] = sorted(lr)
        bare, names = _bare_stems(lacking), dict[str, str]()
        for of_hr, of_lr in _rounds(scale):
            if not lacking or not left:
                break
            free = {of_lr(name): name for name in reversed(left)}
            for name in lacking:
                key = of_hr(name)
                if key is not None and key in free:
                    names[name] = free.pop(key)
            taken = set(names.values())
            lacking = [name for name in lacking if name not in names]
            left = [name for name in left if name not in taken]
        pairs = {name: GivenPair(name, one, lr[one]) for name, one in names.items()}
        return cls(folder, pairs, tuple(name for name in left if not _is_of_another_scale(name, scale, bare)))


def lr_beside(names: Iterable[str]) -> set[str]:
    """Find the pictures that lie in a folder of LR by its name, and whose HR lies in no such folder."""
    stems = {name: _lower_stem(name.rpartition("/")[2]) for name in names}
    of_lr = {name for name in stems if _LR_FOLDER.match(name)}
    bare = _bare_stems(name.rpartition("/")[2] for name in stems if name not in of_lr)
    endings = {end.format(scale) for end, scale in product(_LR_ENDINGS, _SCALES)}
    return {
        name for name in of_lr for end in endings if stems[name].endswith(end) and stems[name].removesuffix(end) in bare
    }


def _rounds(scale: int) -> Iterator[tuple[_Key, _Key]]:
    """Yield what is the same of HR and of LR that belong together, the surest first."""
    for key in (_path, _stem):
        yield key, key
        yield key, partial(_inside, scale=scale, key=key)
    for of_lr in (_lower_stem, partial(_inside, scale=scale, key=_lower_stem)):
        for old, new in product(_HR_ENDINGS, _LR_ENDINGS):
            yield partial(_with_ending, old=old.format(scale), new=new.format(scale)), of_lr


def _path(name: str) -> str:
    return name


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _lower_stem(name: str) -> str:
    return _stem(name).lower()


def _inside(name: str, scale: int, key: Callable[[str], str]) -> str:
    """Return a key of the path below the folder of the scale, where it is in one."""
    found = _FOLDER.match(name)
    return key(name[found.end() :] if found and int(found[1]) == scale else name)


def _with_ending(name: str, old: str, new: str) -> str | None:
    """Return the stem with another ending; None where it has not the old one."""
    stem = _lower_stem(name)
    return stem.removesuffix(old) + new if stem.endswith(old) else None


def _bare_stems(hr: Iterable[str]) -> set[str]:
    """Return the stems of HR, as they are and without an ending."""
    endings = {end.format(scale) for end, scale in product(_HR_ENDINGS, _SCALES)}
    return {stem.removesuffix(end) for stem in map(_lower_stem, hr) for end in endings if stem.endswith(end)}


def _is_of_another_scale(name: str, scale: int, bare: set[str]) -> bool:
    """Tell whether the folder or the ending of LR names another scale, and its HR is there."""
    stem = _lower_stem(name)
    folder = _FOLDER.match(stem)
    of_folder = int(folder[1]) if folder else scale
    for rest in {stem, stem[folder.end() :] if folder else stem}:
        for end, number in product(_LR_ENDINGS, _SCALES):
            ending = end.format(number)
            other = of_folder != scale or ("{}" in end and number != scale)
            if other and rest.endswith(ending) and rest.removesuffix(ending) in bare:
                return True
    return False
