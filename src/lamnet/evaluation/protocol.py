"""The protocol: the options that figures depend on, and the measuring of a picture by them.

Networks get LR pictures as they are, as in papers. `lamnet upscale` continues a picture beyond its borders for them, which changes some
pixels at its border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BackendError, BadArgumentError
from lamnet.base.extras import require
from lamnet.evaluation.metrics import Convention, psnr, ssim, to_y

if TYPE_CHECKING:
    import torch

PERCEPTUAL = ("lpips", "dists")
METRICS = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", *PERCEPTUAL)


@dataclass(frozen=True)
class Protocol:
    """The options that figures depend on.

    Attributes:
        metrics: of METRICS. PSNR is in dB; LPIPS (AlexNet) and DISTS are pyiqa's, over the whole RGB picture, less is
            better.
        convention: of Y, see `metrics.to_y`.
        border: pixels left out on each side by PSNR and SSIM; the scale when None.
        ensemble: networks return the mean over eight flips and rotations.
        times: record the seconds that each image's upscaling took, without files and a first run.
    """

    metrics: tuple[str, ...] = ("psnr_y", "ssim_y")
    convention: Convention = "float"
    border: int | None = None
    ensemble: bool = False
    times: bool = False

    def __post_init__(self) -> None:
        if not self.metrics or not set(self.metrics) <= set(METRICS):
            raise BadArgumentError(f"metrics: expected some of {', '.join(METRICS)}, got {', '.join(self.metrics)}")
        if self.convention not in ("float", "matlab"):
            raise BadArgumentError(f'convention: expected "float" or "matlab", got {self.convention!r}')
        if self.border is not None and self.border < 0:
            raise BadArgumentError(f"border: expected at least 0, got {self.border}")

    def border_at(self, scale: int) -> int:
        """Return the border in pixels at a scale."""
        return scale if self.border is None else self.border

    def smallest_at(self, scale: int) -> int:
        """Return the smallest width and height for all the metrics, by SSIM's window and the perceptual networks' strides."""
        window = 11 if {"ssim_y", "ssim_rgb"} & set(self.metrics) else 1
        return max(2 * self.border_at(scale) + window, 32 if set(PERCEPTUAL) & set(self.metrics) else 1)


class Meter:
    """Measures results (H, W, 1 or 3) uint8 against HR pictures by a protocol."""

    def __init__(self, protocol: Protocol, scale: int, device: str | None = None) -> None:
        self.protocol = protocol
        self.border = protocol.border_at(scale)
        wanted = [name for name in protocol.metrics if name in PERCEPTUAL]
        self.perceptual = {name: _perceptual(name, device) for name in wanted}

    def scores(self, hr: NDArray[np.uint8], sr: NDArray[np.uint8]) -> dict[str, float]:
        """Measure a result by the protocol's metrics, returned by name."""
        values: dict[str, float] = {}
        for name in self.protocol.metrics:
            if name in self.perceptual:
                values[name] = self.perceptual[name].score(_rgb(sr), _rgb(hr))
            else:
                metric = psnr if name.startswith("psnr") else ssim
                first, second = self._y_planes(hr, sr) if name.endswith("_y") else (_rgb(hr), _rgb(sr))
                values[name] = metric(first, second, self.border)
        return values

    def _y_planes(self, hr: NDArray[np.uint8], sr: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        convention = self.protocol.convention
        if convention == "matlab" and hr.shape[2] == 1 != sr.shape[2]:
            sr = _grey(sr)
        elif hr.shape[2] != sr.shape[2]:
            hr, sr = _rgb(hr), _rgb(sr)
        return to_y(hr, convention), to_y(sr, convention)


def means(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """Average each metric over images."""
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}


def _rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn a network's nearly grey RGB into a grey picture (H, W, 1): BT.601 luma in full range."""
    return np.floor((to_y(rgb) - 16) * (255 / 219) + 0.5).clip(0, 255).astype(np.uint8)[..., None]


@dataclass(frozen=True)
class _Perceptual:
    """A metric of pyiqa on its device."""

    metric: Any
    device: torch.device

    def score(self, sr: NDArray[np.uint8], hr: NDArray[np.uint8]) -> float:
        """Compute the metric of two pictures (H, W, 3)."""
        import torch

        first, second = (torch.from_numpy(p.copy()).permute(2, 0, 1)[None].to(self.device) / 255 for p in (sr, hr))
        with torch.inference_mode():
            return float(self.metric(first, second))


def _perceptual(name: str, device: str | None) -> _Perceptual:
    pyiqa = require("pyiqa", "perceptual", f"metrics: {name}")
    from lamnet.network import devices

    place = devices.pick(device)
    try:
        return _Perceptual(pyiqa.create_metric(name, device=place), place)
    except Exception as error:  # pyiqa fetches its weights: anything from no network to a full disk
        raise BackendError(f"metrics: {name} cannot run here, pyiqa says {' '.join(str(error).split())}") from error
