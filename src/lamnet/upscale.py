"""Upscaler: arrays and files through a network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lamnet import pictures, tiling
from lamnet import planes as planes_of
from lamnet.errors import BackendError, BadArgumentError
from lamnet.model import LAMNet
from lamnet.pictures import Picture
from lamnet.tiling import Box, Plan, Raster

Precision = Literal["auto", "float32", "bfloat16", "float16"]


class Upscaler:
    """A network made ready on a device.

    Args:
        model: the network, as from `lamnet.load`.
        device: "cpu", "cuda", "cuda:1", "mps"; None takes the best there is.
        precision: of the network's arithmetic; "auto" is float32.
        tile: LR pixels a side of the parts a picture is cut into; "auto" takes the whole picture where it fits into
            `memory` and the largest tiles that do where not; None never cuts.
        memory: bytes that the network may use; None is half of what the machine (or the GPU) has free.
        max_pixels: of one input file, all pages together; more in its header is refused.

    Raises:
        BackendError: the device or precision cannot be used here.
    """

    def __init__(
        self,
        model: LAMNet,
        device: str | None = None,
        precision: Precision = "auto",
        tile: int | Literal["auto"] | None = "auto",
        memory: int | None = None,
        max_pixels: int = pictures.MAX_PIXELS,
    ) -> None:
        self.device = _device(device)
        self.dtype = torch.float32 if precision == "auto" else getattr(torch, precision)
        self.network = model.to(self.device, self.dtype).eval()
        self.scale = model.config.scale
        self.tile = tile
        self.memory = memory
        self.max_pixels = max_pixels

    def __call__(self, array: NDArray[Any]) -> NDArray[Any]:
        """Upscale (H, W) or (H, W, bands): grey, grey and alpha, RGB, RGB and alpha, as uint8, uint16 or float32.

        Floats are black at 0 and white at 1; an array that goes beyond is taken to reach from its least to its most.
        Returns (scale*H, scale*W[, bands]) of the same dtype. Raises BadArgumentError for another shape or dtype.
        """
        pixels = array if array.ndim == 3 else array[..., None]
        out = np.concatenate(list(self.bands(_raster_of_array(pixels))))
        return out if array.ndim == 3 else out[..., 0]

    def file(self, source: Path | str, target: Path | str) -> None:
        """Upscale a picture file into another, whose name says the format; it appears whole or not at all.

        Depth, profile, alpha, EXIF, XMP, resolution, pages and timing are kept. Raises BadImageError when the source is
        no whole picture, or the target cannot be written or hold it.
        """
        for _ in self.steps(pictures.open_picture(Path(source), self.max_pixels), Path(target)):
            pass

    def steps(self, picture: Picture, target: Path) -> Iterator[float]:
        """As `file`, stopping after every part of the work to say how much of it is done, 0 to 1."""
        first = picture.pages[0]
        pictures.check_target(picture, target, (first.width * self.scale, first.height * self.scale))
        with pictures.canvas(target) as canvas:
            for number, page in enumerate(picture.pages):
                raster = _raster_of_page(picture, number)
                canvas.begin_page(page.width * self.scale, raster.bands, raster.dtype.name)
                rows = 0
                for band in self.bands(raster):
                    canvas.append(band)
                    rows += len(band)
                    yield (number + rows / (page.height * self.scale)) / len(picture.pages)
            pictures.save(picture, canvas.pages(), target)

    def plan(self, height: int, width: int) -> Plan:
        """How a picture of this size would go through the network."""
        if isinstance(self.tile, int) or self.tile is None:
            return Plan(height, width, self.tile)
        return tiling.choose(self.network.config, height, width, self.memory or free_memory(self.device))

    def bands(self, raster: Raster) -> Iterator[NDArray[Any]]:
        """The result from top to bottom, as wide as the picture, one row of parts at a time."""
        plan = self.plan(raster.height, raster.width)
        for boxes in plan.rows():
            yield np.concatenate([self._part(plan, box, raster) for box in boxes], axis=1)

    def _part(self, plan: Plan, box: Box, raster: Raster) -> NDArray[Any]:
        outer = box.grown(plan.overlap, plan.height, plan.width)
        planes = planes_of.split(raster.read(outer), raster.low, raster.high)
        results = [self._run(plane) for plane in planes]
        if len(planes) > 1:
            results[1] = planes_of.within_neighbours(results[1], planes[1], self.scale)
        top, left = (box.top - outer.top) * self.scale, (box.left - outer.left) * self.scale
        inner = [r[..., top : top + box.height * self.scale, left : left + box.width * self.scale] for r in results]
        return planes_of.join(inner, raster.bands, raster.dtype, raster.low, raster.high)

    @torch.inference_mode()
    def _run(self, plane: Tensor) -> Tensor:
        return self.network(plane.to(self.device, self.dtype)).float().cpu()


def free_memory(device: torch.device) -> int:
    """Half of the bytes that are free now, on the GPU or in the machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _device(name: str | None) -> torch.device:
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise BackendError(f"device: expected one that works here, got {name}: {str(error).splitlines()[0]}") from error
    return device


def _raster_of_array(pixels: NDArray[Any]) -> Raster:
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        raise BadArgumentError(f"array: expected (H, W) or (H, W, 1 to 4) with pixels, got shape {pixels.shape}")
    if pixels.dtype.name not in ("uint8", "uint16", "float32"):
        raise BadArgumentError(f"array: expected uint8, uint16 or float32, got {pixels.dtype}")
    if pixels.dtype != np.float32:
        low, high = 0.0, float(np.iinfo(pixels.dtype).max)
    elif np.isfinite(pixels).all():
        low, high = min(0.0, float(pixels.min())), max(1.0, float(pixels.max()))
    else:
        raise BadArgumentError("array: expected finite numbers, got NaN or infinity")

    def read(box: Box) -> NDArray[Any]:
        return pixels[box.top : box.top + box.height, box.left : box.left + box.width]

    height, width, bands = pixels.shape
    return Raster(height, width, bands, pixels.dtype, low, high, read)


def _raster_of_page(picture: Picture, number: int) -> Raster:
    page = picture.pages[number]
    low, high = pictures.value_range(picture, number)

    def read(box: Box) -> NDArray[Any]:
        return pictures.read(picture, number, box.top, box.left, box.height, box.width)

    return Raster(page.height, page.width, page.bands, np.dtype(picture.dtype), low, high, read)
