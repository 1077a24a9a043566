"""Picture files <-> arrays, by libvips: which formats there are, what each can hold, reading and writing whole ones."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import pyvips
from numpy.typing import NDArray

from lamnet import bmp, gif, tiff, webp
from lamnet.errors import BadImageError

if sys.platform != "win32":
    import fcntl


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
_YCBCR_TO_RGB = [[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]]  # BT.601
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


def check_apart(source: Path, target: Path) -> None:
    """Raises BadImageError when a result would take its source's place."""
    with named(target, "cannot be written"):
        if target.exists() and source.exists() and target.samefile(source):
            raise BadImageError(f"{target}: expected another name for the result than its source's")


def find(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


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


@contextmanager
def named(path: Path, what: str) -> Generator[None]:
    """Turn what libvips and the system say about a file into one BadImageError that names it."""
    try:
        yield
    except pyvips.Error as error:
        lines = dict.fromkeys(str(error.detail or error.message).splitlines())  # each once: libraries repeat themselves
        reason = " ".join(" ".join(lines).split())
        raise BadImageError(f"{path}: {what}: {reason}") from error
    except UnicodeDecodeError as error:  # libvips quotes the file's name, whose bytes need not be UTF-8
        raise BadImageError(f"{path}: {what}") from error
    except OSError as error:
        raise BadImageError(f"{path}: {what}: {error.strerror or error}") from error


def load(path: Path, **options: int) -> pyvips.Image:
    """libvips' image of a file, pixels not yet read; the loader is chosen by content and never reads options in a name.

    Raises BadImageError when it is missing, empty, of another kind, or its header is broken.
    """
    if _first_reader() != os.getpid():
        raise BadImageError(f"{path}: expected a spawned process, found one forked from one that has read pictures")
    kind = format_of(path)
    if kind.name == "jxl" and not pyvips.type_find("VipsOperation", "jxlload"):
        raise BadImageError(
            f"{path}: JPEG XL wants a libvips that reads it: install the system's and remove pyvips-binary"
        )
    with named(path, "expected a picture"):
        if kind.name == "bmp":
            return bmp.load(path)
        if kind.name == "gif" and not gif.is_whole(path):
            raise BadImageError(f"{path}: expected a whole picture, found its end within a frame")
        if kind.name == "tiff":
            return _load_tiff(path, options)
        return pyvips.Operation.call(
            f"{kind.name}load", os.fsencode(path), fail_on="truncated", revalidate=True, **options
        )


@cache
def _first_reader() -> int:
    """The process that first read a picture: libvips' threads are its own, and in forked ones it would wait for them for ever."""
    return os.getpid()


def _load_tiff(path: Path, options: dict[str, int]) -> pyvips.Image:
    """Cut, spoilt and unknown pixels are errors to libtiff; of those in tiles libvips tells at its next level only."""
    mended = tiff.mended(path, options.get("page", 0))
    name, source = ("tiffload_buffer", mended.data) if mended.data else ("tiffload", os.fsencode(path))
    image = pyvips.Operation.call(name, source, fail_on="error", revalidate=True, **options)
    if image.get_typeof("tile-width"):
        image = pyvips.Operation.call(name, source, fail_on="warning", revalidate=True, **options)
    return _rgb_of(image, mended.space) if mended.space else image


def _rgb_of(pixels: Any, space: tiff.Space) -> pyvips.Image:
    """Numbers of another space, said to be RGB, in RGB; Lab as ICC has it, with the white of D50."""
    if space == "white at 0":
        return 1 - pixels
    colour, alpha = pixels.extract_band(0, n=3), [pixels[3]] if pixels.bands > 3 else []
    most = 255 if pixels.format == "uchar" else 65535
    if space == "YCbCr":
        chroma = pixels[0].bandjoin([pixels[band] - (most + 1) // 2 for band in (1, 2)])
        rgb = chroma.recomb(pyvips.Image.new_from_array(_YCBCR_TO_RGB)).rint().cast(pixels.format)
    else:
        unit = (most + 1) // 256  # of a and b
        lightest = 65280 if space == "ICCLab" and most > 255 else most
        if space == "CIELab":
            bands = [(colour[band] ^ (most + 1) // 2) - (most + 1) // 2 for band in (1, 2)]
        else:
            bands = [colour[band] - 128 * unit for band in (1, 2)]
        lab = (colour[0] * (100 / lightest)).bandjoin([band / unit for band in bands]).copy(interpretation="lab")
        rgb = lab.icc_export(output_profile="srgb", depth=8 if most == 255 else 16)
    return rgb.bandjoin(alpha) if alpha else rgb


def open_image(path: Path) -> pyvips.Image:
    """As `load`, the first page only, upright."""
    image = load(path)
    with named(path, "expected a picture"):
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


def save(path: Path, image: pyvips.Image, **options: Any) -> None:
    """Write a libvips image to a file whose suffix names the format; the file appears whole or not at all."""
    kind = format_named(path)
    with appearing(path) as partial:
        write(kind, partial, image, **options)


@contextmanager
def appearing(path: Path) -> Generator[Path]:
    """Where to write a file that then takes its name: it appears whole or not at all. Raises BadImageError."""
    partial = partial_of(path)
    try:
        with named(path, "cannot be written"):
            partial.unlink(missing_ok=True)  # it might be a link
            yield partial
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def alone(path: Path) -> Generator[None]:
    """Wait until nobody else, in this process or another, is at this result. Raises BadImageError.

    Where the file system knows no locks there is nothing to wait for.
    """
    lock = partial_of(path, ".lock")
    with named(path, "cannot be written"):
        file = _locked(lock)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        file.close()


def _locked(path: Path) -> IO[bytes]:
    while True:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666), "wb")
        if sys.platform != "win32":
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):  # whoever had it before has removed it
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def write(kind: Format, path: Path, image: pyvips.Image, **options: Any) -> None:
    """Write a libvips image in a format, whatever the file's name. Raises pyvips.Error."""
    pyvips.Operation.call(f"{kind.name}save", image, os.fsencode(path), **dict(kind.options), **options)
    if kind.name == "webp" and image.hasalpha():
        webp.say_alpha(path)


def partial_of(path: Path, what: str = "") -> Path:
    """Where a file is made before it takes its name: hidden, in its folder, the same every time so that none pile up."""
    name = path.name if len(os.fsencode(path.name)) < 230 else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    return path.with_name(f".{name}{what}.partial")
