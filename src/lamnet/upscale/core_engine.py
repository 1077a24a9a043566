"""The engine without PyTorch: a network on the C core."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamnet.core import parameters
from lamnet.core.ensemble import self_ensemble
from lamnet.core.network import Network, Precision
from lamnet.core.weights import WeightsFile
from lamnet.upscale.exact import Exact, as_pixels, differ_visibly
from lamnet.upscale.memory import free_on_processor
from lamnet.upscale.plan import Footprint, Plan
from lamnet.upscale.raster import Plane

_BASE = 150_000_000  # bytes of a process before its first picture
_IMAGES = 6  # images of C channels that the core holds at once, with some reserve for the pixels

Floats = NDArray[np.float32]


class CoreEngine:
    """Weights ready to run on the processor.

    Args:
        contents: configuration and weights.
        precision: of the features between layers and of products.
        ensemble: return the mean over eight flips and rotations, for eight times the time.

    Raises:
        BackendError: there is no library for this processor.
    """

    def __init__(self, contents: WeightsFile, precision: Precision = "float32", ensemble: bool = False) -> None:
        self.network = Network(contents.config, contents.state, precision)
        self.config = contents.config
        self.scale = contents.config.scale
        self.ensemble = ensemble
        weights = parameters.flattened(contents.config, contents.state)
        self._digest = hashlib.sha256(repr(contents.config).encode() + weights.tobytes()).hexdigest()

    def run(self, plane: Floats) -> Floats:
        """Upscale a plane, (1 or 3, H, W) in [0, 1] -> (3, scale*H, scale*W), not clamped; grey counts as RGB.

        Raises BackendError where there is no memory.
        """
        pixels = as_pixels(plane)
        out = self_ensemble(self.network, pixels) if self.ensemble else self.network(pixels)
        return np.ascontiguousarray(out.transpose(2, 0, 1))

    def exact(self, plan: Plan, plane: Plane, scratch: Path) -> Exact:
        """Make a plane ready to run layer by layer, with files in the folder `scratch`. Raises BackendError."""
        return Exact(self.network, plan, plane, scratch)

    def means_matter(self, pieces: list[Floats]) -> bool:
        """Tell whether pieces of a plane (1 or 3, H, W) come out visibly different with each other's exchange means."""
        pixels = [as_pixels(piece) for piece in pieces]
        own = [self.network.with_means(piece) for piece in pixels]
        common = np.stack([means for _, means in own]).mean(0)
        return differ_visibly([out for out, _ in own], [self.network(piece, common) for piece in pixels])

    def interpolate(self, plane: Floats) -> Floats:
        """Upscale (C, H, W) of any numbers bilinearly."""
        return _stretched(_stretched(plane, self.scale, 1), self.scale, 2)

    def footprint(self) -> Footprint:
        """Return the memory of this process besides that of a plan's parts."""
        return Footprint(_BASE, _IMAGES)

    def free_memory(self) -> int:
        """Return the bytes that the process may use by default: its own and half of what is free, at most 2.5 GB."""
        return free_on_processor(_BASE)

    def identity(self) -> dict[str, str | bool]:
        """Return all that a plane's result depends on, besides its pixels, its parts and the versions of programs."""
        return {
            "network": self._digest,
            "device": "core",
            "precision": self.network.precision,
            "ensemble": self.ensemble,
        }


def _stretched(plane: Floats, scale: int, axis: int) -> Floats:
    """Upscale bilinearly along one axis; beyond the centres of the first and the last pixel these are repeated."""
    size = plane.shape[axis]
    at = ((np.arange(size * scale, dtype=np.float32) + np.float32(0.5)) / np.float32(scale) - np.float32(0.5)).clip(0)
    before = at.astype(np.intp)
    share = (at - before).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(plane.ndim)])
    low, high = plane.take(before, axis), plane.take(np.minimum(before + 1, size - 1), axis)
    return (low * (1 - share) + high * share).astype(np.float32)
