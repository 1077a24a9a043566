"""Prefetching of patches: they are drawn before the step that needs them."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from lamnet.training.pairs import PatchSampler

if TYPE_CHECKING:
    from lamnet.training.degraded import DegradedSampler


class Loader:
    """Draws a worker's part of the next step's batch in a thread while the current step computes."""

    def __init__(self, sampler: PatchSampler | DegradedSampler, part: int, parts: int, device: torch.device) -> None:
        self._sampler, self._part, self._parts, self._device = sampler, part, parts, device
        self._pool = ThreadPoolExecutor(1)
        self._upcoming: tuple[int, Future[tuple[Tensor, Tensor]]] | None = None
        self._images, self._seconds = 0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    @property
    def images_per_s(self) -> float:
        """Patches per second that this worker could draw if nothing else took time."""
        return self._images / max(self._seconds, 1e-9)

    def take(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the LR and HR patches of a step, uint8, on the device, and begin to draw those of the next."""
        if self._upcoming is None or self._upcoming[0] != step:
            self._upcoming = step, self._pool.submit(self._draw, step)
        pair = self._upcoming[1].result()
        self._upcoming = step + 1, self._pool.submit(self._draw, step + 1)
        lr, hr = (side.to(self._device, non_blocking=True) for side in pair)
        return lr, hr

    def _draw(self, step: int) -> tuple[Tensor, Tensor]:
        begun = time.perf_counter()
        lr, hr = (torch.from_numpy(side) for side in self._sampler.draw(step, self._part, self._parts))
        if self._device.type == "cuda":
            lr, hr = lr.pin_memory(), hr.pin_memory()
        self._images += len(lr)
        self._seconds += time.perf_counter() - begun
        return lr, hr
