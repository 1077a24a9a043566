"""The C library: the build of it for this processor, and the structs that it takes."""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache
from pathlib import Path

from lamnet.base import processors
from lamnet.base.errors import BackendError
from lamnet.core.builds import LEVELS, family_of

FOLDER = Path(__file__).parents[1] / "ops"

Int64 = ctypes.c_int64
Address = ctypes.c_void_p


class NetworkConfig(ctypes.Structure):
    """network_config of csrc/network.h."""

    _fields_ = [
        *((name, Int64) for name in ("scale", "channels", "groups", "blocks", "heads", "hidden", "dtype", "taps")),
        *((name, Address) for name in ("starts", "lengths")),
    ]


class NetworkRun(ctypes.Structure):
    """network_run of csrc/network.h."""

    _fields_ = [
        *((name, Int64) for name in ("threads", "height", "width", "pixels_dtype", "out_dtype")),
        *((name, Address) for name in ("pixels", "out", "means", "own_means")),
    ]


class NetworkLayer(ctypes.Structure):
    """network_layer of csrc/network.h."""

    _fields_ = [
        *((name, Int64) for name in ("threads", "height", "width", "number")),
        *((name, Address) for name in ("x", "means", "out")),
        *((name, Int64) for name in ("top", "left", "rows", "columns")),
    ]


class NetworkEnds(ctypes.Structure):
    """network_ends of csrc/network.h."""

    _fields_ = [
        *((name, Int64) for name in ("threads", "height", "width", "pixels_dtype")),
        *((name, Address) for name in ("pixels", "shallow", "deep", "out")),
    ]


_STRUCTS = {
    "network_config": NetworkConfig,
    "network_run": NetworkRun,
    "network_layer": NetworkLayer,
    "network_ends": NetworkEnds,
}
_FUNCTIONS = ("run", "block_means", "block", "end_group", "shallow", "reconstruct")  # of lamnet_network_...


@cache
def library() -> ctypes.CDLL:
    """Load the library for this processor, once.

    Raises:
        BackendError: there is none, it does not load, or it is of another version than the package.
    """
    path = _path()
    loaded = _open(path)
    for name, struct in _STRUCTS.items():
        found, expected = loaded.lamnet_size_of(name.encode()), ctypes.sizeof(struct)
        if found != expected:
            raise _of_another_version(path, f"{name} of {expected} bytes, found {found}")
    try:
        _declare(loaded)
    except AttributeError as error:
        raise _of_another_version(path, f"all functions, found {error}") from error
    return loaded


def _declare(loaded: ctypes.CDLL) -> None:
    loaded.lamnet_message.restype = ctypes.c_char_p
    loaded.lamnet_network_create.argtypes = [ctypes.POINTER(Address), ctypes.POINTER(NetworkConfig), Address, Int64]
    loaded.lamnet_multiply_adds.argtypes = [Int64, Int64, Address]
    loaded.lamnet_multiply_adds.restype = Int64
    loaded.lamnet_network_destroy.argtypes = [Address]
    loaded.lamnet_network_destroy.restype = None
    for name in _FUNCTIONS:
        getattr(loaded, f"lamnet_network_{name}")


def _of_another_version(path: Path, expected: str) -> BackendError:
    return BackendError(
        f"{path.name}: expected {expected}; it is of another version than the package, install that again"
    )


def why_not() -> str | None:
    """Say why the library does not run here; None where it does."""
    try:
        library()
    except BackendError as error:
        return str(error)
    return None


def level() -> str:
    """Name the instruction set of the library for this processor, such as x86_64_v3, or the file in LAMNET_KERNELS."""
    path = _path()
    return path.name.removeprefix("_native_").partition(".")[0] if path.parent == FOLDER else str(path)


def _path() -> Path:
    if asked := os.environ.get("LAMNET_KERNELS"):
        return Path(asked).absolute()
    return next(path for level in levels() if (path := built(level)))


def levels() -> tuple[str, ...]:
    """Name the builds that this processor and its system run, the best first.

    Raises:
        BackendError: the one that every processor runs, and that knows, is missing or does not load.
    """
    family = family_of(platform.machine())
    known = tuple(LEVELS.get(family, (family,)))
    return known[_open(_built(known[0])).lamnet_level() :: -1]


def built(level: str) -> Path | None:
    """Find the file for a level, the newest where earlier builds had other names; None where there is none."""
    return max(FOLDER.glob(f"_native_{level}.*"), key=lambda path: path.stat().st_mtime, default=None)


def _built(level: str) -> Path:
    found = built(level)
    if found is None:
        raise BackendError(
            f"core: expected its library for {platform.machine()} in {FOLDER}, found none; this installation was built "
            "without it"
        )
    return found


def _open(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
        library.lamnet_level.restype = ctypes.c_int
        library.lamnet_size_of.restype = Int64
    except (OSError, AttributeError) as error:
        raise BackendError(f"{path.name}: expected a library of this package, found {error}") from error
    return library


def default_threads() -> int:
    """Return the number of processors whose time this process gets, or OMP_NUM_THREADS where that is less."""
    return min(wanted_threads(), processors.available())


def wanted_threads() -> int:
    """Return OMP_NUM_THREADS, also where this machine has fewer processors; without it the number of processors."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(first) if first.isdecimal() and int(first) > 0 else processors.available()
