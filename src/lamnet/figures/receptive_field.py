"""Effective receptive fields: the LR pixels that an output pixel depends on.

Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", NIPS 2016; the area
ratios as in Ding et al., "Scaling Up Your Kernels to 31x31", CVPR 2022.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.base.progress import Progress, Work
from lamnet.figures import inputs, layout
from lamnet.media import arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (0.2, 0.3, 0.5, 0.99)
_MAX_COLUMNS, _MAX_WIDTH = 3, 1.5  # panels in a row, inches of a panel
_DECADES = 5  # of the colour scale
_BAR = 0.45  # inches at the right for the colour scale


@dataclass(frozen=True)
class ReceptiveField:
    """A receptive field: `map` (size, size) of LR pixels, of sum 1, and the `sides` of the centred squares of SHARES."""

    map: NDArray[np.float64]
    sides: tuple[int, ...]

    @property
    def area_ratios(self) -> tuple[float, ...]:
        """The squares' areas as shares of the LR crop's."""
        return tuple(side**2 / self.map.size for side in self.sides)


def creating(
    pictures: Path,
    models: Sequence[str],
    scale: int,
    out: Path,
    size: int,
    device: str | None = None,
) -> Work[dict[str, ReceptiveField]]:
    """Write the figure to `out`, averaged over the centres of HR pictures; return the fields by label.

    There is progress after each network.

    Args:
        pictures: a file or a folder; LR is made from them as for benchmarks.
        size: width and height of the centres, LR pixels, odd.
    """
    layout.check_target(out, pictures)
    if size < 1 or size % 2 == 0:
        raise BadArgumentError(f"size: expected an odd number of LR pixels, got {size}")
    files = arrays.find(pictures) if pictures.is_dir() else [pictures]
    if not files:
        raise BadImageError(f"{pictures}: expected HR pictures, found none")
    networks = {label: inputs.network_of(model, scale, device) for label, model in inputs.by_label(models).items()}
    crops = [_centre_crop(path, scale, size) for path in files]
    fields: dict[str, ReceptiveField] = {}
    for label, network in networks.items():
        yield Progress("receptive fields", len(fields) / len(networks))
        fields[label] = measure(network, scale, crops)
    yield Progress("receptive fields", 1)
    layout.save(draw(fields), out)
    return fields


def measure(network: nn.Module, scale: int, crops: Sequence[NDArray[np.uint8]]) -> ReceptiveField:
    """Average the gradient magnitudes of the centre output pixel over LR crops (size, size, 3), size odd."""
    total, count = np.zeros(()), 0
    for crop in crops:
        if crop.shape[0] != crop.shape[1] or crop.shape[0] % 2 == 0 or (count and crop.shape[:2] != total.shape):
            raise BadArgumentError(f"crops: expected squares of one odd side, got {crop.shape[1]}x{crop.shape[0]}")
        total = total + _centre_gradient(network, scale, crop)
        count += 1
    if not count or not total.any():
        raise BadArgumentError(f"crops: expected pictures that the centre pixel depends on, got {count} without")
    share = total / total.sum()
    return ReceptiveField(share, _sides(share))


def draw(fields: Mapping[str, ReceptiveField]) -> Figure:
    """Draw each network's map by name, logarithmic from its own peak, with the square that holds the last of SHARES."""
    columns = layout.balanced_columns(len(fields), _MAX_COLUMNS)
    width = min((layout.COLUMN - _BAR - layout.GAP) / columns - layout.GAP, _MAX_WIDTH)
    start = (layout.COLUMN - _BAR + layout.GAP - columns * (width + layout.GAP)) / 2
    pitch = width + 2 * layout.LINE + 0.04
    figure = layout.new_figure(math.ceil(len(fields) / columns) * pitch + layout.LINE)
    for index, (name, field) in enumerate(fields.items()):
        row, column = divmod(index, columns)
        place = (start + column * (width + layout.GAP), layout.LINE / 2 + row * pitch, width, width)
        axes = layout.add_picture(figure, np.zeros((1, 1)), *place)
        image = axes.imshow(_logarithm(field.map), cmap="cividis", vmin=-_DECADES, vmax=0, interpolation="nearest")
        side = field.sides[-1]
        corner = (len(field.map) - side) // 2
        layout.add_box(axes, corner, corner, side, side, colour=layout.OKABE_ITO[1])
        layout.add_caption(axes, name, f"{SHARES[-1]:.0%} in {side}x{side} ({field.area_ratios[-1]:.1%})")
        if index == 0:
            bar = layout.add_axes(figure, start + columns * (width + layout.GAP), place[1], 0.08, width)
            figure.colorbar(image, cax=bar)
            layout.label_axes(bar, y="decades below the peak")
    return figure


def _logarithm(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log10(np.maximum(share / share.max(), 10.0**-_DECADES))


def _centre_crop(picture: Path, scale: int, size: int) -> NDArray[np.uint8]:
    lr = inputs.read_pair(picture, scale)[1]
    height, width = lr.shape[:2]
    if min(height, width) < size:
        raise BadImageError(
            f"{picture}: expected at least {scale * size} pixels each way for LR crops of {size}, "
            f"found {scale * width}x{scale * height}"
        )
    top, left = (height - size) // 2, (width - size) // 2
    return np.ascontiguousarray(lr[top : top + size, left : left + size])


def _centre_gradient(network: nn.Module, scale: int, crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute the gradient magnitudes (size, size) of the centre pixel's sum of colours, summed over the input's colours."""
    device = next(network.parameters()).device
    x = (torch.from_numpy(crop).permute(2, 0, 1)[None].to(device).float() / 255).requires_grad_()
    centre = scale * (crop.shape[0] // 2) + scale // 2
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(network(x)[0, :, centre, centre].sum(), x)
    return gradient[0].abs().sum(0).double().cpu().numpy()


def _sides(share: NDArray[np.float64]) -> tuple[int, ...]:
    reach = np.abs(np.arange(len(share)) - len(share) // 2)
    rings = np.bincount(np.maximum(reach[:, None], reach).ravel(), share.ravel())
    held = np.cumsum(rings)
    return tuple(2 * int(np.argmax(held >= wanted * held[-1])) + 1 for wanted in SHARES)
