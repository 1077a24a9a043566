"""Picture files <-> arrays and bands of rows, by libvips: which formats there are, what each can hold, reading, writing."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyvips
from numpy.typing import NDArray

from lamnet.errors import BadImageError

MAX_PIXELS = 1_000_000_000  # of one file, all pages together; a header that claims more is refused unless asked for


@dataclass(frozen=True)
class Format:
    """A file format: libvips' operations for it and what it can hold; `side` is its largest width or height."""

    name: str
    suffixes: tuple[str, ...]
    side: int
    save: tuple[tuple[str, Any], ...]
    alpha: bool = True
    pages: bool = False
    depths: frozenset[str] = frozenset({"uint8"})


FORMATS = (
    Format("png", (".png",), 2**31 - 1, (), depths=frozenset({"uint8", "uint16"})),
    Format("jpeg", (".jpg", ".jpeg"), 65_535, (("Q", 95), ("subsample_mode", "off")), alpha=False),
    Format("webp", (".webp",), 16_383, (("Q", 95), ("smart_subsample", True)), pages=True),
    Format(
        "heif",
        (".avif",),
        16_384,
        (("Q", 90), ("compression", "av1"), ("subsample_mode", "off")),
        depths=frozenset({"uint8", "uint16"}),
    ),
    Format(
        "tiff",
        (".tif", ".tiff"),
        2**31 - 1,
        (("compression", "deflate"), ("predictor", "horizontal")),
        pages=True,
        depths=frozenset({"uint8", "uint16", "float32"}),
    ),
    Format("gif", (".gif",), 65_535, (), pages=True),
)
SUFFIXES = frozenset(suffix for kind in FORMATS for suffix in kind.suffixes)


def find(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def format_named(path: Path) -> Format:
    """The format that a file's name asks for. Raises BadImageError for a name that asks for none."""
    for kind in FORMATS:
        if path.suffix.lower() in kind.suffixes:
            return kind
    raise BadImageError(f"{path}: expected a name that ends in one of {', '.join(sorted(SUFFIXES))}")


def format_of(path: Path) -> Format:
    """The format of an existing file, from its first bytes: names lie. Raises BadImageError when it is none of ours."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError as error:
        raise BadImageError(f"{path}: no such file") from error
    except OSError as error:
        raise BadImageError(f"{path}: cannot be read, {error.strerror}") from error
    kind = _sniff(start)
    if kind is None:
        found = "an empty file" if not start else "a file of another kind"
        raise BadImageError(
            f"{path}: expected a picture ({', '.join(k.suffixes[0][1:] for k in FORMATS)}), found {found}"
        )
    return next(k for k in FORMATS if k.name == kind)


def _sniff(start: bytes) -> str | None:
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if start.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "webp"
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if start[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis", b"mif1", b"heic", b"heix", b"msf1"):
        return "heif"
    return None


@contextmanager
def named(path: Path, what: str) -> Generator[None]:
    """Turn what libvips and the system say about a file into one BadImageError that names it."""
    try:
        yield
    except pyvips.Error as error:
        reason = " ".join(str(error.detail or error.message).split())
        raise BadImageError(f"{path}: {what}: {reason}") from error
    except UnicodeDecodeError as error:  # libvips quotes the file's name, whose bytes need not be UTF-8
        raise BadImageError(f"{path}: {what}") from error
    except OSError as error:
        raise BadImageError(f"{path}: {what}: {error.strerror or error}") from error


def open_image(path: Path, max_pixels: int = MAX_PIXELS) -> pyvips.Image:
    """A file's picture with its metadata, upright, as 1 to 4 bands of uint8, uint16 or float32; pixels not yet read.

    Raises BadImageError when it is missing, empty, of another kind, or its header claims over `max_pixels`.
    """
    kind = format_of(path)
    with named(path, "expected a picture"):
        image: pyvips.Image = pyvips.Operation.call(f"{kind.name}load", os.fsencode(path), fail_on="truncated")
        if image.width * image.height > max_pixels:
            raise BadImageError(
                f"{path}: expected at most {max_pixels:,} pixels (see --max-pixels), its header claims {image.width}x{image.height}"
            )
        return image.autorot()


def pixels_of(image: pyvips.Image) -> NDArray[Any]:
    """(H, W, bands) of a libvips image."""
    pixels: NDArray[Any] = image.numpy()
    return pixels if pixels.ndim == 3 else pixels[..., None]


def read_array(path: Path) -> NDArray[Any]:
    """The pixels of a picture as its file holds them: (H, W, bands) uint8 or uint16, orientation applied.

    Raises BadImageError when the file is missing, empty, truncated or not a picture.
    """
    image = open_image(path)
    with named(path, "expected a whole picture"):
        return pixels_of(image)


def write_array(path: Path, pixels: NDArray[Any]) -> None:
    """Write (H, W, bands) to a file whose suffix names the format; the file appears whole or not at all."""
    save(path, pyvips.Image.new_from_array(pixels))


def save(path: Path, image: pyvips.Image) -> None:
    """Write a libvips image to a file whose suffix names the format; the file appears whole or not at all."""
    kind = format_named(path)
    partial = partial_of(path)
    try:
        with named(path, "cannot be written"):
            options = dict(kind.save)
            pyvips.Operation.call(f"{kind.name}save", image, os.fsencode(partial), **options)
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """Where a file is made before it takes its name: hidden, in the same folder, of this process only."""
    return path.with_name(f".{path.name[:40]}.{os.getpid()}.partial")
