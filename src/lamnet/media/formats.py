"""The picture formats: their names, signatures, and what each can hold."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamnet.base.errors import BadImageError
from lamnet.base.files import named

if sys.platform != "win32":
    pass


@dataclass(frozen=True)
class Format:
    """A file format and what it can hold.

    Attributes:
        name: begins libvips' operations for it.
        side: the largest width or height.
        dtypes: the deepest last.
        profiled: numbers of colours, 1 for grey, for which there can be a profile.
    """

    name: str
    suffixes: tuple[str, ...]
    options: tuple[tuple[str, Any], ...]
    side: int = 2**31 - 1
    alpha: bool = True
    pages: bool = False
    written: bool = True
    dtypes: tuple[str, ...] = ("uint8",)
    profiled: tuple[int, ...] = (1, 3)


FORMATS = (
    Format("png", (".png",), (), dtypes=("uint8", "uint16")),
    Format(
        "jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"), (("Q", 95), ("subsample_mode", "off")), side=65_500, alpha=False
    ),
    Format("webp", (".webp",), (("Q", 95), ("smart_subsample", True)), side=16_383, pages=True, profiled=(3,)),
    Format(
        "heif",
        (".avif",),
        (("Q", 90), ("compression", "av1"), ("subsample_mode", "off")),
        side=16_384,
        dtypes=("uint8", "uint16"),
        profiled=(3,),
    ),
    Format(
        "tiff",
        (".tif", ".tiff"),
        (("compression", "deflate"), ("predictor", "horizontal")),
        pages=True,
        dtypes=("uint8", "uint16", "float32"),
    ),
    Format("gif", (".gif",), (), side=65_500, pages=True, profiled=()),
    Format("bmp", (".bmp", ".dib"), (), written=False),
    Format("jxl", (".jxl",), (), written=False),
)
SUFFIXES = frozenset(suffix for kind in FORMATS for suffix in kind.suffixes)

_SIGNATURES = (
    ("png", 0, (b"\x89PNG\r\n\x1a\n",)),
    ("jpeg", 0, (b"\xff\xd8\xff",)),
    ("webp", 8, (b"WEBP",)),
    ("tiff", 0, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("gif", 0, (b"GIF87a", b"GIF89a")),
    ("bmp", 0, (b"BM",)),
    ("jxl", 0, (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")),
    ("heif", 4, (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1", b"ftypheic", b"ftypheix")),
)


def format_named(path: Path) -> Format:
    """The format that a result's name asks for. Raises BadImageError for a name that asks for none that is written."""
    kinds = {suffix: kind for kind in FORMATS if kind.written for suffix in kind.suffixes}
    if path.suffix.lower() not in kinds:
        raise BadImageError(f"{path}: expected a name that ends in one of {', '.join(sorted(kinds))}")
    return kinds[path.suffix.lower()]


def format_of(path: Path) -> Format:
    """The format of an existing file, from its first bytes: names lie. Raises BadImageError when it is none of ours."""
    with named(path, "cannot be read"):
        if not path.is_file():
            raise BadImageError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            start = file.read(16)
    for name, at, signatures in _SIGNATURES:
        if start[at:].startswith(signatures):
            return next(kind for kind in FORMATS if kind.name == name)
    names = ", ".join(kind.suffixes[0][1:] for kind in FORMATS)
    raise BadImageError(
        f"{path}: expected a picture ({names}), found {'a file of another kind' if start else 'an empty file'}"
    )
