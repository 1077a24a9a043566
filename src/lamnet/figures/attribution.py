"""Local attribution maps: the LR pixels that a part of the output depends on.

Gu and Dong, "Interpreting Super-Resolution Networks with Local Attribution Maps", CVPR 2021 (arXiv 2011.11036).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyvips
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lamnet.base.errors import BadArgumentError
from lamnet.base.progress import Progress, Work, finish
from lamnet.figures import inputs, layout
from lamnet.figures.region import Region

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SMOOTHING = 1e-8  # keeps the gradient magnitude differentiable where the output is flat
_MAX_COLUMNS, _MAX_WIDTH = 4, 1.3  # panels in a row, inches of a panel
_MAP_COLOUR = (213, 94, 0)  # vermilion of Okabe and Ito
_PIXELS_TOGETHER = 2**16  # of LR in one pass: small pictures alone leave a GPU, or a busy processor's threads, waiting
_BLUR_TAIL = 1e-3  # the blur's kernel ends where it falls below this part of its peak


@dataclass(frozen=True)
class Attribution:
    """A local attribution map and the index of its diffusion.

    Attributes:
        map: (H, W) of the LR picture, signed; its sum is the detector's gain from the blurred to the sharp picture.
        diffusion_index: see `diffusion_index`.
        crop: the network's output in the region, (height, width, 3).
    """

    map: NDArray[np.float64]
    diffusion_index: float
    crop: NDArray[np.uint8]


def creating(
    picture: Path,
    models: Sequence[str],
    scale: int,
    region: Region,
    out: Path,
    device: str | None = None,
) -> Work[dict[str, Attribution]]:
    """Write the figure of a region of an HR picture file to `out`, with progress; return maps by label."""
    layout.check_target(out, picture)
    hr, lr = inputs.read_pair(picture, scale)
    region.check_inside(hr.shape)
    networks = {label: inputs.network_of(model, scale, device) for label, model in inputs.by_label(models).items()}
    found: dict[str, Attribution] = {}
    for label, network in networks.items():
        found[label] = yield from attributing(network, scale, lr, region, task=f"attribution of {label}")
    layout.save(draw(hr, lr, region, found), out)
    return found


def attribute(
    network: nn.Module, scale: int, lr: NDArray[np.uint8], region: Region, steps: int = 50, sigma: float = 9.0
) -> Attribution:
    """Compute the local attribution map of a network for a region of its output, as `attributing` does."""
    return finish(attributing(network, scale, lr, region, steps, sigma))


def attributing(
    network: nn.Module,
    scale: int,
    lr: NDArray[np.uint8],
    region: Region,
    steps: int = 50,
    sigma: float = 9.0,
    task: str = "attribution",
) -> Work[Attribution]:
    """Compute the local attribution map of a network for a region of its output, with progress.

    Gradients are integrated along the path on which the LR picture, first blurred by a Gaussian of deviation `sigma` LR
    pixels, becomes sharp; the deviation falls linearly over `steps`. The sum of the gradient magnitudes in the region is
    attributed. Steps of small pictures are taken together. Memory is that of one forward and backward pass over the
    picture, or over 65,536 pixels of LR, which `inputs.network_of` keeps low.

    Args:
        network: (B, 3, H, W) in [0, 1] -> (B, 3, scale*H, scale*W), differentiable.
        lr: (H, W, 3).
        region: in pixels of the output.
    """
    region.check_inside((lr.shape[0] * scale, lr.shape[1] * scale))
    if steps < 1 or sigma <= 0:
        raise BadArgumentError(f"steps, sigma: expected at least 1 and more than 0, got {steps} and {sigma}")
    sharp = lr / 255
    total = np.zeros(lr.shape[:2])
    before = _blurred(sharp, sigma)
    together = max(1, _PIXELS_TOGETHER // total.size)
    for first in range(0, steps, together):
        yield Progress(task, first / steps)
        part = range(first, min(first + together, steps))
        between = np.stack([_blurred(sharp, sigma * (1 - (step + 0.5) / steps)) for step in part])
        for step, gradient in zip(part, _detector_gradients(network, between, region), strict=True):
            after = _blurred(sharp, sigma * (1 - (step + 1) / steps))
            total += (gradient * (after - before)).sum(-1)  # over R, G and B of a pixel
            before = after
    yield Progress(task, 1)
    return Attribution(total, diffusion_index(total), _output(network, sharp, region))


def diffusion_index(attribution: NDArray[np.floating]) -> float:
    """Compute (1 - Gini coefficient of the magnitudes) * 100: near 0 for one pixel alone, 100 for equal pixels."""
    magnitudes = np.sort(np.abs(attribution), axis=None)
    count, total = magnitudes.size, float(magnitudes.sum())
    if total == 0:
        raise BadArgumentError("region: expected detail in the output that depends on the picture, found none")
    ranks = 2 * np.arange(1, count + 1) - count - 1
    return 100 * (1 - float((ranks * magnitudes).sum()) / (count * total))


def detector(output: Tensor, region: Region) -> Tensor:
    """Sum the gradient magnitudes (forward differences) of (B, 3, H, W) in the region: the amount of detail."""
    part = output[..., region.top : region.top + region.height, region.left : region.left + region.width]
    down = part[..., 1:, :-1] - part[..., :-1, :-1]
    across = part[..., :-1, 1:] - part[..., :-1, :-1]
    return (down.square() + across.square() + _SMOOTHING).sqrt().sum()


def draw(hr: NDArray[np.uint8], lr: NDArray[np.uint8], region: Region, found: Mapping[str, Attribution]) -> Figure:
    """Draw HR and each network by name: the map over the LR picture (square root of the magnitudes), below it the region.

    HR alone has the region's box, which would hide a small region's map. DI is the diffusion index.
    """
    count = len(found) + 1
    columns = layout.balanced_columns(count, _MAX_COLUMNS)
    width = min((layout.COLUMN - layout.GAP / 2) / columns - layout.GAP, _MAX_WIDTH)
    start = (layout.COLUMN + layout.GAP - columns * (width + layout.GAP)) / 2
    heights = (width * hr.shape[0] / hr.shape[1], min(width * region.height / region.width, width))
    pitch = sum(heights) + layout.GAP + 2 * layout.LINE + 0.04
    figure = layout.new_figure(math.ceil(count / columns) * pitch + layout.GAP)
    panels: list[tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[str, ...]]] = [(hr, region.of(hr), ("HR",))]
    panels += [
        (_overlaid(lr, one.map), one.crop, (name, f"DI {one.diffusion_index:.1f}")) for name, one in found.items()
    ]
    for index, (whole, crop, caption) in enumerate(panels):
        row, column = divmod(index, columns)
        left, top = start + column * (width + layout.GAP), layout.GAP / 2 + row * pitch
        above = layout.add_picture(figure, whole, left, top, width, heights[0])
        if whole is hr:
            layout.add_box(above, region.left, region.top, region.width, region.height)
        crop_width = heights[1] * region.width / region.height
        place = (left + (width - crop_width) / 2, top + heights[0] + layout.GAP, crop_width, heights[1])
        layout.add_caption(layout.add_picture(figure, crop, *place), *caption)
    return figure


def _overlaid(lr: NDArray[np.uint8], attribution: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Lay the map in one strong colour over the LR picture, grey and pale."""
    strength = np.sqrt(np.abs(attribution) / np.abs(attribution).max())[..., None]
    pale: NDArray[np.float64] = 127 + lr.mean(-1, keepdims=True) / 2
    return (pale * (1 - strength) + np.array(_MAP_COLOUR) * strength).astype(np.uint8)


def _output(network: nn.Module, sharp: NDArray[np.floating], region: Region) -> NDArray[np.uint8]:
    with torch.no_grad():
        output: Tensor = network(_tensor(network, sharp[None]))[0]
    pixels: NDArray[np.uint8] = output.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    return region.of(pixels)


def _tensor(network: nn.Module, pictures: NDArray[np.floating]) -> Tensor:
    device = next(network.parameters()).device
    return torch.from_numpy(pictures.astype(np.float32)).permute(0, 3, 1, 2).to(device)


def _detector_gradients(network: nn.Module, pictures: NDArray[np.floating], region: Region) -> NDArray[np.float32]:
    """Compute each picture's own gradient, (B, H, W, 3): no picture has a part in the detail of another."""
    x = _tensor(network, pictures).requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(detector(network(x), region), x)
    return gradient.permute(0, 2, 3, 1).cpu().numpy()


def _blurred(picture: NDArray[np.floating], sigma: float) -> NDArray[np.float32]:
    image = pyvips.Image.new_from_array(picture.astype(np.float32))
    return image.gaussblur(sigma, precision="float", min_ampl=_BLUR_TAIL).numpy()
