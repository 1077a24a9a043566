"""A LAMNet on the C library: NumPy arrays in and out."""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BackendError, BadArgumentError
from lamnet.core.config import LAMNetConfig
from lamnet.core.library import Address, NetworkConfig, NetworkEnds, NetworkLayer, NetworkRun, default_threads, library
from lamnet.core.parameters import flattened

Precision = Literal["float32", "bfloat16"]
Floats = NDArray[np.float32]
Pixels = NDArray[Any]  # float32 or uint8

_DTYPES = {"float32": 0, "bfloat16": 1, "uint8": 3}  # as csrc/arguments.h and network.h count them
_STORED = (np.dtype(np.float32).str, np.dtype(np.uint8).str)  # of pixels, in this machine's order of bytes
_MOST_THREADS = 1024
_WORK_OF_A_THREAD = 1 << 20  # pixels by channels squared: 32x32 pixels of tiny, 4 ms of an EPYC (family 25) at x4
_NO_MEMORY = 1  # lamnet_code of csrc/network.h


class Network:
    """Super-resolution of RGB pictures on the processor.

    Several networks may run at once, and one from several threads. Results do not depend on the number of threads.

    Args:
        config: the network's configuration.
        state: its parameters by name, as `weights.load` returns them.
        precision: of the features between layers and of products.
        threads: that share the work, 1 to 1024; None takes one for each processor, or OMP_NUM_THREADS where that is less, and fewer
            for a picture so small that they would wait for each other.

    Raises:
        BadArgumentError: an unknown precision, or no thread.
        BadWeightsError: the parameters are not those of the configuration.
        BackendError: there is no library for this processor, or no memory.
    """

    def __init__(
        self,
        config: LAMNetConfig,
        state: Mapping[str, NDArray[Any]],
        precision: Precision = "float32",
        threads: int | None = None,
    ) -> None:
        if precision not in get_args(Precision):
            raise BadArgumentError(f"precision: expected one of {', '.join(get_args(Precision))}, got {precision!r}")
        if threads is not None and not (type(threads) is int and 1 <= threads <= _MOST_THREADS):
            raise BadArgumentError(f"threads: expected 1 to {_MOST_THREADS}, got {threads!r}")
        self.config = config
        self.precision: Precision = precision
        self.threads = threads or default_threads()
        self._least_work = 1 if threads else _WORK_OF_A_THREAD
        self._weights = flattened(config, state)
        self._create()

    def _create(self) -> None:
        config, window = self.config, self.config.window
        self._handle = Address()
        starts, lengths = np.array(window.starts, np.int64), np.array(window.lengths, np.int64)
        described = NetworkConfig(
            scale=config.scale,
            channels=config.channels,
            groups=config.groups,
            blocks=config.blocks,
            heads=config.heads,
            hidden=config.hidden,
            dtype=_DTYPES[self.precision],
            taps=window.taps,
            starts=starts.ctypes.data,
            lengths=lengths.ctypes.data,
        )
        _check(
            library().lamnet_network_create(
                ctypes.byref(self._handle), ctypes.byref(described), self._weights.ctypes.data, self._weights.size
            ),
            "network",
        )
        end = weakref.finalize(self, library().lamnet_network_destroy, self._handle)
        end.atexit = False  # a daemon thread may still run it when the process ends

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the network in the library, which is made again: so it can be copied, or pickled for other processes."""
        return {name: value for name, value in vars(self).items() if name != "_handle"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._create()

    def __call__(
        self, pixels: Pixels, means: Floats | None = None, dtype: Literal["float32", "uint8"] | None = None
    ) -> Pixels:
        """Upscale a picture (H, W, 3), float32 in [0, 1] or uint8, to (scale*H, scale*W, 3).

        Args:
            means: exchange means to use instead of the picture's own, (groups*blocks, 2, channels/2), as `with_means`
                returns them.
            dtype: of the result; that of the picture when left out. Float32 is not clamped, uint8 is rounded half up.

        Raises:
            BadArgumentError: another shape or dtype.
            BackendError: no memory for a picture of this size.
        """
        if means is not None:
            means = _floats("means", means, self._means_shape)
        return self._run(pixels, dtype, means, None)

    def with_means(self, pixels: Pixels, dtype: Literal["float32", "uint8"] | None = None) -> tuple[Pixels, Floats]:
        """Upscale as the call does, and return the picture's exchange means too, (groups*blocks, 2, channels/2)."""
        own = np.empty(self._means_shape, np.float32)
        return self._run(pixels, dtype, None, own), own

    def _run(self, pixels: Pixels, dtype: str | None, means: Floats | None, own: Floats | None) -> Pixels:
        pixels = _pixels(pixels)
        height, width = pixels.shape[:2]
        out = self._result(height, width, dtype or pixels.dtype.name)
        arguments = NetworkRun(
            threads=self._threads_for(height, width),
            height=height,
            width=width,
            pixels_dtype=_DTYPES[pixels.dtype.name],
            out_dtype=_DTYPES[out.dtype.name],
            pixels=pixels.ctypes.data,
            out=out.ctypes.data,
            means=_address(means),
            own_means=_address(own),
        )
        self._call("run", arguments, height, width)
        return out

    def shallow(self, pixels: Pixels) -> Floats:
        """Compute the features that the groups start from, (H, W, 3) -> (H, W, C); reach 1 pixel."""
        pixels = _pixels(pixels)
        height, width = pixels.shape[:2]
        out = self._empty((height, width, self.config.channels), "float32")
        arguments = NetworkEnds(
            threads=self._threads_for(height, width),
            height=height,
            width=width,
            pixels_dtype=_DTYPES[pixels.dtype.name],
            pixels=pixels.ctypes.data,
            out=out.ctypes.data,
        )
        self._call("shallow", arguments, height, width)
        return out

    def block_means(self, number: int, x: Floats, inner: tuple[slice, slice]) -> Floats:
        """Compute the exchange means of a block over the inner pixels of its input x (H, W, C), (2, C/2).

        Blocks are counted through all groups; the branches see window.reach pixels beyond the inner ones.
        """
        x = self._features("x", x)
        height, width = x.shape[:2]
        (top, bottom, down), (left, right, across) = inner[0].indices(height), inner[1].indices(width)
        if (down, across) != (1, 1):
            raise BadArgumentError(f"inner: expected slices without a step, got {inner}")
        out = np.empty((2, self.config.channels // 2), np.float32)
        arguments = self._block(number, x, out, top=top, left=left, rows=bottom - top, columns=right - left)
        self._call("block_means", arguments, height, width)
        return out

    def block(self, number: int, x: Floats, means: Floats) -> Floats:
        """Run one block on x (H, W, C) with these exchange means (2, C/2); reach window.reach + 1 pixels."""
        x, means = self._features("x", x), _floats("means", means, self._means_shape[1:])
        out = self._empty(x.shape, "float32")
        self._call("block", self._block(number, x, out, means=means.ctypes.data), *x.shape[:2])
        return out

    def end_group(self, number: int, deep: Floats, y: Floats) -> Floats:
        """End a group: add the output y of its blocks, times a learned factor per channel, to its input `deep`."""
        y, out = self._features("y", y), self._features("deep", deep).copy()
        if y.shape != out.shape:
            raise BadArgumentError(f"y: expected the shape of deep, {out.shape}, got {y.shape}")
        self._call("end_group", self._layer(number, self.config.groups, y, out), *y.shape[:2])
        return out

    def reconstruct(self, shallow: Floats, deep: Floats, dtype: Literal["float32", "uint8"] = "float32") -> Pixels:
        """Compute the result (scale*H, scale*W, 3) from the features before and after the groups; reach 2 pixels."""
        shallow, deep = self._features("shallow", shallow), self._features("deep", deep)
        if shallow.shape != deep.shape:
            raise BadArgumentError(f"deep: expected the shape of shallow, {shallow.shape}, got {deep.shape}")
        height, width = deep.shape[:2]
        out = self._result(height, width, dtype)
        arguments = NetworkEnds(
            threads=self._threads_for(height, width),
            height=height,
            width=width,
            pixels_dtype=_DTYPES[dtype],
            shallow=shallow.ctypes.data,
            deep=deep.ctypes.data,
            out=out.ctypes.data,
        )
        self._call("reconstruct", arguments, height, width)
        return out

    def _threads_for(self, height: int, width: int) -> int:
        work = height * width * self.config.channels**2
        return max(1, min(self.threads, math.ceil(work / self._least_work)))

    @property
    def _means_shape(self) -> tuple[int, int, int]:
        return self.config.groups * self.config.blocks, 2, self.config.channels // 2

    def _features(self, name: str, x: NDArray[Any]) -> Floats:
        _check_array(name, x, f"(H, W, {self.config.channels}) float32")
        return _floats(name, x, (*x.shape[:2], self.config.channels))

    def _block(self, number: int, x: Floats, out: Floats, **more: int) -> NetworkLayer:
        return self._layer(number, self.config.groups * self.config.blocks, x, out, **more)

    def _layer(self, number: int, count: int, x: Floats, out: Floats, **more: int) -> NetworkLayer:
        if number not in range(count):
            raise BadArgumentError(f"number: expected 0 to {count - 1}, got {number!r}")
        height, width = x.shape[:2]
        return NetworkLayer(
            threads=self._threads_for(height, width),
            height=height,
            width=width,
            number=number,
            x=x.ctypes.data,
            out=out.ctypes.data,
            **more,
        )

    def _result(self, height: int, width: int, dtype: str) -> Pixels:
        if dtype not in ("float32", "uint8"):
            raise BadArgumentError(f"dtype: expected float32 or uint8, got {dtype!r}")
        return self._empty((height * self.config.scale, width * self.config.scale, 3), dtype)

    @staticmethod
    def _empty(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        try:
            return np.empty(shape, dtype)
        except (MemoryError, ValueError) as error:
            raise BackendError(f"memory: expected room for a result of {shape}, found less free") from error

    def _call(self, name: str, arguments: ctypes.Structure, height: int, width: int) -> None:
        entry = getattr(library(), f"lamnet_network_{name}")
        _check(entry(self._handle, ctypes.byref(arguments)), f"{name} on {width} x {height}")


def _check(code: int, what: str) -> None:
    if code == _NO_MEMORY:
        raise BackendError(f"memory: expected enough for {what} pixels at once, found less free")
    if code:
        raise BadArgumentError(f"{what}: {library().lamnet_message(code).decode()}")


def _address(array: NDArray[Any] | None) -> int | None:
    return None if array is None else array.ctypes.data


def _pixels(pixels: NDArray[Any]) -> Pixels:
    _check_array("pixels", pixels, "(H, W, 3) float32 or uint8")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape or pixels.dtype.str not in _STORED:
        raise BadArgumentError(f"pixels: expected (H, W, 3) float32 or uint8, got {pixels.shape} {pixels.dtype}")
    return np.ascontiguousarray(pixels)


def _floats(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> Floats:
    _check_array(name, array, f"{shape} float32")
    if array.shape != shape or array.dtype != np.float32 or 0 in shape:
        raise BadArgumentError(f"{name}: expected {shape} float32, got {array.shape} {array.dtype}")
    return np.ascontiguousarray(array)


def _check_array(name: str, array: object, expected: str) -> None:
    kind = type(array).__name__
    if not isinstance(array, np.ndarray) or kind == "MaskedArray":
        raise BadArgumentError(f"{name}: expected {expected}, got {kind}")
