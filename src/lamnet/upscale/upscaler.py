"""Upscaler: arrays and files through a network."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from copy import copy, deepcopy
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import numpy as np
import pyvips
import safetensors.torch
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lamnet.base import files
from lamnet.base.errors import BackendError, BadArgumentError
from lamnet.media import convert, opening, saving, vips
from lamnet.media.canvas import canvas_for
from lamnet.media.picture import Picture
from lamnet.network import devices
from lamnet.network.ensemble import self_ensemble
from lamnet.network.model import LAMNet
from lamnet.ops.block import fits
from lamnet.ops.memory import trim
from lamnet.upscale import video
from lamnet.upscale.exact import Exact, means_matter
from lamnet.upscale.goal import Goal
from lamnet.upscale.plan import BASE, LEAN, PLAIN, TILES, Box, Footprint, Plan, choose, fixed
from lamnet.upscale.raster import Raster, beyond_at, join, planes_at, raster_of_array, raster_of_page, within_neighbours

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Run = Callable[[Box, Tensor], Tensor]  # a box of the picture and its plane (1, 3, H, W) -> (1, 3, sH, sW)

_MOST_MEMORY = (
    2_500_000_000  # by itself on a CPU: more gains nothing, and machines with less would differ in the result
)
_PROBE = 128  # pixels a side of the pieces that tell whether the exchange means matter


class Upscaler:
    """A network made ready on a device.

    Args:
        model: the network, as from `lamnet.load`; it is copied.
        device: "cpu", "cuda", "cuda:1", "mps"; None takes the best there is.
        precision: of the network's arithmetic; "auto" is float32.
        tile: LR pixels a side of the parts a picture is cut into; "auto" takes the whole picture where it fits into
            `memory` and the largest tiles that do where not; None never cuts.
        memory: bytes that the process may use in all; None is half of what is free, on a CPU at most 2.5 GB.
        exact: cut pictures give what the whole picture would give, to 1e-4, for more time and disk space. Without it that
            is done only where it matters: with networks whose tiles would visibly differ.
        ensemble: the mean over eight flips and rotations, for eight times the time.
        goal: another size of results than the network's scale gives, a `lamnet.Goal`: they are reduced to it.
        max_pixels: of one input file, all pages together; more in its header is refused.

    Raises:
        BackendError: the device or precision cannot be used here.
        BadArgumentError: there is no such model, precision, tile, memory, goal or max_pixels, or exact and ensemble, which
            exclude each other.
    """

    def __init__(
        self,
        model: LAMNet,
        device: str | torch.device | None = None,
        precision: Precision = "auto",
        tile: int | Literal["auto"] | None = "auto",
        memory: int | None = None,
        exact: bool = False,
        ensemble: bool = False,
        goal: Goal | None = None,
        max_pixels: int = opening.MAX_PIXELS,
    ) -> None:
        if exact and ensemble:
            raise BadArgumentError("ensemble: expected it without exact, got both")
        if precision not in get_args(Precision):
            raise BadArgumentError(f"precision: expected one of {', '.join(get_args(Precision))}, got {precision}")
        if not (tile in ("auto", None) or _is_count(tile)):
            raise BadArgumentError(f"tile: expected a number of pixels, auto or None, got {tile!r}")
        if not (memory is None or _is_count(memory)):
            raise BadArgumentError(f"memory: expected a number of bytes, got {memory!r}")
        if not _is_count(max_pixels):
            raise BadArgumentError(f"max_pixels: expected a number of pixels, got {max_pixels!r}")
        _check_is("model", model, LAMNet)
        if goal is not None:
            _check_is("goal", goal, Goal)
        self.device = devices.pick(device)
        self.dtype: torch.dtype = torch.float32 if precision == "auto" else getattr(torch, precision)
        self.network = deepcopy(model).to(self.device, self.dtype).eval()
        self.scale = model.config.scale
        self.tile: int | Literal["auto"] | None = tile if tile == "auto" or tile is None else int(tile)
        self.memory = memory
        self.exact = exact
        self.ensemble = ensemble
        self.goal = goal
        self.max_pixels = max_pixels
        self._held = 0

    def __call__(
        self, array: NDArray[Any], size: tuple[int, int] | None = None, white: float | None = None
    ) -> NDArray[Any]:
        """Upscale (H, W) or (H, W, bands): grey, grey and alpha, RGB, RGB and alpha, as uint8, uint16 or float32.

        `white` is the number that stands for it, and for opaque, 0 standing for black. Left out, uint8 is white at 255,
        uint16 at the most that the bits which the array uses hold (1023 where ten are), floats at 1; floats that go
        beyond 0 or 1 are taken to reach as far as they do, outliers aside.

        Returns (scale*H, scale*W[, bands]), or of the goal's size, or of this (width, height), of the same dtype. Raises
        BadArgumentError for another shape, dtype, size or white.
        """
        if size is not None and not _is_size(size):
            raise BadArgumentError(f"size: expected a width and a height in pixels, got {size!r}")
        if white is not None and not white > 0:
            raise BadArgumentError(f"white: expected a number above 0, got {white}")
        try:
            array = np.asarray(array)
        except RuntimeError as error:  # a tensor that has a gradient, or is not on the CPU
            raise BadArgumentError(
                f"array: expected what NumPy can take, got {type(array).__name__}: {error}"
            ) from error
        raster = raster_of_array(array[..., None] if array.ndim == 2 else array, white)
        if size is not None:
            self._check_within(size, raster.width, raster.height)
        out = np.empty((raster.height * self.scale, raster.width * self.scale, raster.bands), raster.dtype)
        filled = 0
        for _, rows in self.bands(raster, Path(tempfile.gettempdir())):
            out[filled : filled + len(rows)] = rows
            filled += len(rows)
        size = size or self.result_size(raster.width, raster.height)
        if size != (out.shape[1], out.shape[0]):
            out = vips.pixels_of(convert.resized(pyvips.Image.new_from_array(out), size))
        return out[..., 0] if array.ndim == 2 else out

    def result_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the result of a picture of this size. Raises BadArgumentError when it is beyond the network."""
        if not _is_size((width, height)):
            raise BadArgumentError(f"size: expected a width and a height in pixels, got {width}, {height}")
        size = self.goal.size(width, height) if self.goal else (width * self.scale, height * self.scale)
        self._check_within(size, width, height)
        return size

    def _check_within(self, size: tuple[int, int], width: int, height: int) -> None:
        if size[0] > width * self.scale or size[1] > height * self.scale:
            raise BadArgumentError(
                f"scale: expected at most {self.scale} times {width} x {height} with this network, "
                f"got {size[0]} x {size[1]}"
            )

    def file(self, source: Path | str, target: Path | str) -> None:
        """Upscale a picture or video file into another, whose name says the format; it appears whole or not at all.

        Depth, profile, alpha, EXIF, XMP, resolution, pages and timing are kept; of videos all but the pictures, and an
        interrupted one goes on where it was. Raises BadImageError when the source is no whole picture or video, or the
        target cannot be written or hold it.
        """
        source, target = Path(source), Path(target)
        files.check_apart(source, target)
        if source.suffix.lower() in video.SUFFIXES:
            steps = video.steps(self, video.open_clip(source, self.max_pixels), target)
        else:
            steps = self.steps(opening.open_picture(source, self.max_pixels), target)
        with files.alone(target):
            for _ in steps:
                pass

    def steps(self, picture: Picture, target: Path) -> Generator[float]:
        """As `file`, stopping after every part of the work to say how much of it is done, 0 to 1."""
        sizes = [self.result_size(page.width, page.height) for page in picture.pages]
        saving.check_target(picture, target, sizes[0])
        with canvas_for(target) as canvas:
            for number in range(len(picture.pages)):
                raster = raster_of_page(picture, number)
                canvas.begin_page(raster.width * self.scale, raster.bands, raster.dtype.name)
                for done, rows in self.bands(raster, target.parent):
                    canvas.append(rows)
                    yield (number + done) / len(picture.pages)
            results = [convert.resized(page, size) for page, size in zip(canvas.pages(), sizes, strict=True)]
            saving.save(picture, results, target)

    def identity(self) -> dict[str, str | int | bool | None]:
        """All that a result follows from besides the picture, its size and the versions of programs."""
        state = safetensors.torch.save(self.network.state_dict())
        return {
            "network": hashlib.sha256(state).hexdigest(),
            "device": self.device.type,
            "precision": str(self.dtype),
            "tile": self.tile,
            "memory": self.memory,
            "exact": self.exact,
            "ensemble": self.ensemble,
        }

    def plan(self, height: int, width: int) -> Plan:
        """How a picture of this size would go through the network. Raises BadArgumentError when memory is too little."""
        pixel = torch.empty(1, 1, 1, self.network.config.channels, dtype=self.dtype, device=self.device)
        footprint = Footprint(LEAN if fits(pixel) else PLAIN, self._held)
        if isinstance(self.tile, int) or self.tile is None:
            return fixed(self.network.config, height, width, self.tile, self.exact, footprint)
        memory = free_memory(self.device) if self.memory is None else self.memory
        return choose(self.network.config, height, width, memory, self.exact, footprint)

    def beside(self, held: int) -> Self:
        """The same on the same network, with so many bytes of its memory held by something else."""
        other = copy(self)
        other._held = held
        return other

    def seconds_per_pixel(self) -> float:
        """Of LR, measured on a small picture of noise, the second time it runs."""
        noise = torch.rand(1, 3, 128, 128)
        self._run(Box(0, 0, 128, 128), noise)
        start = time.perf_counter()
        self._run(Box(0, 0, 128, 128), noise)
        return (time.perf_counter() - start) / noise[0, 0].numel()

    def bands(self, raster: Raster, scratch: Path) -> Iterator[tuple[float, NDArray[Any]]]:
        """The result from top to bottom: how much of the work is done, 0 to 1, and the next rows, possibly none yet.

        `scratch` is a folder for what does not fit into memory.
        """
        plan = self.plan(raster.height, raster.width)
        if plan.tile is not None and not self.ensemble and not plan.exact and self._means_matter(raster):
            plan = fixed(self.network.config, raster.height, raster.width, plan.tile, exact=True)
        count = 2 if raster.bands in (2, 4) else 1
        runs: list[Run] = [self._run] * count
        before, nothing = 0.0, np.empty((0, raster.width * self.scale, raster.bands), raster.dtype)
        with ExitStack() as stack:
            if plan.exact:
                layers = [stack.enter_context(self._exact(plan, raster, i, scratch)) for i in range(count)]
                runs = [one.run for one in layers]
                before = 0.9
                for i, one in enumerate(layers):
                    for done in one.prepare():
                        yield before * (i + done) / count, nothing
            for boxes in plan.rows():
                shape = boxes[0].height * self.scale, raster.width * self.scale, raster.bands
                rows = np.empty(shape, raster.dtype)
                for box in boxes:
                    columns = slice(box.left * self.scale, (box.left + box.width) * self.scale)
                    rows[:, columns] = self._part(plan, box, raster, runs)
                if plan.tile is not None:
                    trim()
                yield before + (1 - before) * (boxes[0].top + boxes[0].height) / raster.height, rows

    def _exact(self, plan: Plan, raster: Raster, plane: int, scratch: Path) -> Exact:
        return Exact(self.network, plan, lambda box: planes_at(raster, box)[plane], scratch)

    def _part(self, plan: Plan, box: Box, raster: Raster, runs: list[Run]) -> NDArray[Any]:
        """(scale*height, scale*width, bands) of a box, from what the plan lets it see."""
        outer = box.grown(plan.overlap, plan.height, plan.width)
        parts = planes_at(raster, outer)
        results = [run(outer, part) for run, part in zip(runs, parts, strict=True)]
        if len(parts) > 1:
            results[1] = within_neighbours(results[1], parts[1], self.scale)
        inner = [_crop(result, box, outer, self.scale) for result in results]
        beyond = beyond_at(raster, outer)
        if beyond is not None:  # which the network knows nothing of
            beyond = _crop(F.interpolate(beyond, scale_factor=self.scale, mode="bilinear"), box, outer, self.scale)
        return join(inner, beyond, raster)

    @torch.inference_mode()
    def _run(self, box: Box, plane: Tensor) -> Tensor:
        """The network on a plane; where the GPU's memory does not hold it, on its quarters."""
        try:
            x = plane.to(self.device, self.dtype)
            out = self_ensemble(self.network, x) if self.ensemble else self.network(x)
            return out.float().cpu()
        except torch.OutOfMemoryError as error:
            if max(plane.shape[2:]) <= TILES[-1]:
                raise BackendError(f"{self.device}: expected memory for {tuple(plane.shape[2:])} pixels") from error
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or "alloc" in str(error):
                raise BackendError(
                    f"memory: expected enough for {plane.shape[3]} x {plane.shape[2]} pixels at once, found less free; "
                    "a smaller --memory makes smaller parts"
                ) from error
            raise
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return self._quarters(plane)

    def _quarters(self, plane: Tensor) -> Tensor:
        height, width = plane.shape[2:]
        whole, tile = Box(0, 0, height, width), -(-max(height, width) // 2)
        plan = fixed(self.network.config, height, width, tile)
        out = torch.empty(1, 3, height * self.scale, width * self.scale)
        for box in (box for boxes in plan.rows() for box in boxes):
            outer = box.grown(min(plan.overlap, tile // 4), height, width)
            part = self._run(outer, _crop(plane, outer, whole, 1))
            _crop(out, box, whole, self.scale).copy_(_crop(part, box, outer, self.scale))
        return out

    @torch.inference_mode()
    def _means_matter(self, raster: Raster) -> bool:
        height, width = min(_PROBE, raster.height), min(_PROBE, raster.width)
        places = [(y, x) for y in (0.1, 0.9) for x in (0.1, 0.9)] + [(0.5, 0.5)]
        boxes = [
            Box(int((raster.height - height) * y), int((raster.width - width) * x), height, width) for y, x in places
        ]
        pieces = [planes_at(raster, box)[0].to(self.device, self.dtype) for box in boxes]
        return means_matter(self.network, pieces)


def _is_size(size: object) -> bool:
    sides = cast("Sequence[object]", size) if isinstance(size, (tuple, list)) else ()
    return len(sides) == 2 and all(map(_is_count, sides))


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and bool(value > 0)


def _check_is(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise BadArgumentError(f"{name}: expected a {kind.__name__}, got {value!r:.40}")


def free_memory(device: torch.device) -> int:
    """Half of the bytes that are free now, on the GPU or in the machine; on a CPU at most 2.5 GB."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2 + BASE
    if "SC_AVPHYS_PAGES" not in getattr(os, "sysconf_names", {}):  # macOS and Windows do not say
        return _MOST_MEMORY
    return min(_MOST_MEMORY, os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)


def _crop(plane: Tensor, box: Box, outer: Box, scale: int) -> Tensor:
    """The pixels of a box out of the plane, (1, 3, H, W) times scale, of a larger one."""
    top, left = (box.top - outer.top) * scale, (box.left - outer.left) * scale
    return plane[..., top : top + box.height * scale, left : left + box.width * scale]
