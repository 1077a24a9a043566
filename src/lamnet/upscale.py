"""Upscaler: arrays and files through a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lamnet import images, tiling
from lamnet.errors import BackendError, BadArgumentError
from lamnet.model import LAMNet
from lamnet.tiling import Box, Plan

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
    ) -> None:
        self.device = _device(device)
        self.dtype = torch.float32 if precision == "auto" else getattr(torch, precision)
        self.network = model.to(self.device, self.dtype).eval()
        self.scale = model.config.scale
        self.tile = tile
        self.memory = memory

    def __call__(self, array: NDArray[Any]) -> NDArray[Any]:
        """Upscale (H, W) or (H, W, bands): grey, grey and alpha, RGB, RGB and alpha, as uint8, uint16 or float32 in [0, 1].

        Returns (scale*H, scale*W[, bands]) of the same dtype. Raises BadArgumentError for another shape or dtype.
        """
        pixels = array if array.ndim == 3 else array[..., None]
        _check(pixels)
        plan = self.plan(*pixels.shape[:2])

        def read(box: Box) -> NDArray[Any]:
            return pixels[box.top : box.top + box.height, box.left : box.left + box.width]

        out = np.concatenate(list(self._bands(plan, read)))
        return out if array.ndim == 3 else out[..., 0]

    def file(self, source: Path | str, target: Path | str) -> None:
        """Upscale a picture file into another, whose name says the format; it appears whole or not at all.

        Raises BadImageError when the source is no whole picture or the target cannot be written.
        """
        for _ in self.steps(Path(source), Path(target)):
            pass

    def steps(self, source: Path, target: Path) -> Iterator[float]:
        """As `file`, stopping after every part of the work to say how much of it is done, 0 to 1."""
        images.format_named(target)
        image = images.open_image(source)
        plan = self.plan(image.height, image.width)

        def read(box: Box) -> NDArray[Any]:
            with images.named(source, "expected a whole picture"):
                return images.pixels_of(image.crop(box.left, box.top, box.width, box.height))

        rows: list[NDArray[Any]] = []
        for band in self._bands(plan, read):
            rows.append(band)
            yield len(rows) / len(list(plan.rows()))
        images.write_array(target, np.concatenate(rows))

    def plan(self, height: int, width: int) -> Plan:
        """How a picture of this size would go through the network."""
        if isinstance(self.tile, int) or self.tile is None:
            return Plan(height, width, self.tile)
        return tiling.choose(self.network.config, height, width, self.memory or free_memory(self.device))

    def _bands(self, plan: Plan, read: Callable[[Box], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """The result from top to bottom, as wide as the picture, one row of parts at a time."""
        for boxes in plan.rows():
            yield np.concatenate([self._part(plan, box, read) for box in boxes], axis=1)

    def _part(self, plan: Plan, box: Box, read: Callable[[Box], NDArray[Any]]) -> NDArray[Any]:
        outer = box.grown(plan.overlap, plan.height, plan.width)
        pixels = read(outer)
        top, left = (box.top - outer.top) * self.scale, (box.left - outer.left) * self.scale
        planes = [self._run(plane) for plane in _to_network(pixels)]
        inner = [p[:, top : top + box.height * self.scale, left : left + box.width * self.scale] for p in planes]
        return _from_network(inner, pixels.shape[2], pixels.dtype)

    @torch.inference_mode()
    def _run(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        x = torch.from_numpy(plane).to(self.device, self.dtype)
        out: Tensor = self.network(x[None])[0]
        return out.float().clamp_(0, 1).cpu().numpy()


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


def _check(pixels: NDArray[Any]) -> None:
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        raise BadArgumentError(f"array: expected (H, W) or (H, W, 1 to 4) with pixels, got shape {pixels.shape}")
    if pixels.dtype.name not in ("uint8", "uint16", "float32"):
        raise BadArgumentError(f"array: expected uint8, uint16 or float32, got {pixels.dtype}")


def _to_network(pixels: NDArray[Any]) -> list[NDArray[np.float32]]:
    """Colour, and alpha where there is one, as (3, H, W) float32 in [0, 1] each; one band is repeated three times."""
    most = 1.0 if pixels.dtype == np.float32 else np.iinfo(pixels.dtype).max
    planes = np.moveaxis(pixels.astype(np.float32) / np.float32(most), 2, 0)
    colours = 3 if len(planes) >= 3 else 1
    parts = [planes[:colours], planes[colours:]] if len(planes) > colours else [planes]
    return [np.ascontiguousarray(np.broadcast_to(part, (3, *part.shape[1:]))) for part in parts]


def _from_network(planes: list[NDArray[np.float32]], bands: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Back from `_to_network`'s planes to (H, W, bands) of the dtype; a repeated band is the mean of its three."""
    colour = planes[0] if bands >= 3 else planes[0].mean(0, keepdims=True)
    alphas = [plane.mean(0, keepdims=True) for plane in planes[1:]]
    pixels = np.moveaxis(np.concatenate([colour, *alphas]), 0, 2)
    if dtype == np.float32:
        return pixels
    return np.floor(pixels * np.iinfo(dtype).max + 0.5).astype(dtype)
