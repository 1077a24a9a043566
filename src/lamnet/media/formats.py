"""The picture formats: one tuple of codecs, and the one for a file or a name."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from pathlib import Path, PurePath
from typing import Protocol, runtime_checkable

import pyvips

from lamnet.base import files
from lamnet.base.errors import BadImageError
from lamnet.media import kinds
from lamnet.media.codecs import avif, gif, hdr, heic, jpeg, jxl, pillow, png, tiff, webp
from lamnet.media.contract import Extras, Format
from lamnet.media.picture import Picture

_MARK = re.compile(r"_(x\d+(\.\d+)?|\d+x\d*)$")  # at the end of the names of our results: a factor, or a size


@runtime_checkable
class Codec(Protocol):
    """A module that reads a format."""

    FORMAT: Format

    def load(self, path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
        """Open `n` pages from `page` on, all for -1; pixels need not be read yet. Raises BadImageError, OSError, pyvips.Error."""
        ...

    def extras(self, path: Path) -> Extras:
        """Learn what libvips does not see, of a broken file as much as can be. Raises OSError."""
        ...


@runtime_checkable
class Writer(Codec, Protocol):
    """A codec that writes its format too."""

    def save(self, path: Path, results: Sequence[pyvips.Image], picture: Picture, target: Path) -> None:
        """Write the results of a picture's pages, one for all frames of an animation, with what the picture carries.

        Args:
            path: where to write, whatever its suffix.
            results: in depths and colours that the format holds, with libvips' share of the metadata.
            target: the name that the file will have, for messages.

        Raises BadImageError, OSError, pyvips.Error.
        """
        ...


# A format more is a module more and its place here. Results whose own format cannot hold them try them in this order,
# and a file is of the first whose signature it has: pillow's for TGA is the weakest.
CODECS: tuple[Codec, ...] = (png, jpeg, webp, heic, avif, tiff, gif, jxl, hdr, pillow)
WRITERS: tuple[Writer, ...] = tuple(codec for codec in CODECS if isinstance(codec, Writer))
FORMATS = tuple(codec.FORMAT for codec in CODECS)
SUFFIXES = frozenset(suffix for format in FORMATS for suffix in format.suffixes)


def writer_named(path: Path) -> Writer:
    """Return the codec that a result's name asks for. Raises BadImageError for a name that asks for none that writes."""
    by_suffix = {suffix: writer for writer in WRITERS for suffix in writer.FORMAT.suffixes}
    if path.suffix.lower() not in by_suffix:
        raise BadImageError(f"{path}: expected a name that ends in one of {', '.join(sorted(by_suffix))}")
    return by_suffix[path.suffix.lower()]


def format_named(path: Path) -> Format:
    """Return the format that a result's name asks for. Raises BadImageError for a name that asks for none that is written."""
    return writer_named(path).FORMAT


def without_mark(stem: str, suffixes: Set[str] = SUFFIXES) -> str | None:
    """Return the stem of the picture that ours of this stem is the result of: "a" of "a_x4", "a_x4.gif" and "a_640x480".

    None for a stem that is not one of our results'.
    """
    one = PurePath(stem).stem if PurePath(stem).suffix in suffixes else stem
    shorter = _MARK.sub("", one)
    return shorter if shorter != one else None


def codec_of(path: Path) -> Codec:
    """Return the codec of an existing file by its first bytes, since names lie. Raises BadImageError where none fits."""
    with files.naming_errors(path, "cannot be read"):
        if not path.is_file():
            raise BadImageError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            start = file.read(kinds.START)
    for codec in CODECS:
        if codec.FORMAT.signature.match(start):
            return codec
    names = ", ".join(format.suffixes[0][1:] for format in FORMATS)
    raise BadImageError(f"{path}: expected a picture ({names}), found {kinds.kind_of(start)}")
