"""The inputs of figures: HR pictures, and the models that a command line names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint  # pyright: ignore[reportUnknownVariableType] (partly typed)

from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.core import shipped
from lamnet.core.borders import continued
from lamnet.core.config import EDGE
from lamnet.evaluation import contenders
from lamnet.evaluation.benchmarks import unmeasurable
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.figures.labels import split_label
from lamnet.media import arrays, formats
from lamnet.network import devices, weights
from lamnet.network.model import Group

_CHECKPOINT: Any = checkpoint  # pyright: ignore[reportUnknownVariableType] (partly typed)


def read_pair(picture: Path, scale: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read HR, cropped to a multiple of the scale, and make LR from it as for benchmarks; (H, W, 3) each, grey included."""
    pixels = arrays.read_array(picture)
    if problems := list(unmeasurable(picture)):
        raise BadImageError(f"{picture}: {problems[0]}")
    hr = crop_to_multiple(np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))), scale)
    if hr.size == 0:
        raise BadImageError(f"{picture}: expected at least {scale} pixels each way, found {pixels.shape[:2]}")
    return hr, imresize(hr, 1 / scale)


def by_label(models: Sequence[str]) -> dict[str, str]:
    """Index models, given as MODEL or LABEL=MODEL, by their label in a figure."""
    labelled: dict[str, str] = {}
    for argument in models:
        label, model = split_label(argument)
        label = label or label_of(model)
        if label in labelled:
            raise BadArgumentError(f"models: expected a label for each (LABEL=MODEL), found {label} twice")
        labelled[label] = model
    return labelled


def label_of(model: str) -> str:
    """Label a model that has no label: tiny is LAMNet-tiny, a file goes by its name."""
    if model == contenders.BICUBIC:
        return "Bicubic"
    return f"LAMNet-{model}" if shipped.is_name(model) else Path(model.removeprefix(contenders.PEER)).stem


def output_of(model: str, scale: int, lr: NDArray[np.uint8], device: str | None = None) -> NDArray[np.uint8]:
    """Make a model's picture (scale*H, scale*W, 3); a picture file is read as the result of a network that is not here.

    The picture is continued beyond its borders for the network, as in `lamnet upscale` and not in `lamnet evaluate`.
    """
    if Path(model).suffix.lower() in formats.SUFFIXES:
        if problems := list(unmeasurable(Path(model))):
            raise BadImageError(f"{model}: {problems[0]}")
        pixels = arrays.read_array(Path(model))
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3)) if pixels.shape[2] == 1 else pixels
    wide = continued(np.moveaxis(lr, 2, 0).astype(np.float32) / np.float32(255), EDGE, EDGE, EDGE, EDGE)
    seen = np.floor(np.moveaxis(wide.clip(0, 1), 0, 2) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    out = contenders.load(model, scale, device=device).upscale(seen)
    return out[scale * EDGE : -scale * EDGE, scale * EDGE : -scale * EDGE]


def network_of(model: str, scale: int, device: str | None = None) -> nn.Module:
    """Load a model as a differentiable network with frozen weights: (B, 3, H, W) in [0, 1] -> (B, 3, scale*H, scale*W).

    For gradients it keeps only the inputs of its blocks and computes each block again, so that large pictures fit in memory.
    """
    if model == contenders.BICUBIC:
        raise BadArgumentError("models: expected networks, which have gradients, found bicubic")
    if model.startswith(contenders.PEER):
        network = _Peer(contenders.peer(Path(model.removeprefix(contenders.PEER)), scale))
        for block in _blocks(network):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    else:
        network = weights.load(model, scale)
        for group in network.groups:
            assert isinstance(group, Group)
            group.blocks = nn.ModuleList(_Again(block) for block in group.blocks.children())
    return network.requires_grad_(False).to(devices.pick(device))


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the members of the innermost lists of modules."""
    for module in network.modules():
        if isinstance(module, nn.ModuleList):
            yield from (block for block in module if not any(isinstance(m, nn.ModuleList) for m in block.modules()))


class _Again(nn.Module):
    """A block of ours that is computed again for gradients; itself unchanged, so that the kernels run."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, means: Tensor | None) -> tuple[Tensor, Tensor]:
        return _CHECKPOINT(self.block, x, means, use_reentrant=False)


class _Peer(nn.Module):
    """A spandrel descriptor's network with padding to sizes that it takes; the descriptor's own call has no gradients."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network = descriptor.model
        self.scale: int = descriptor.scale
        self.requirements = descriptor.size_requirements

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        right, bottom = self.requirements.get_padding(width, height)
        out = self.network(F.pad(x, (0, right, 0, bottom), "replicate"))
        return out[..., : self.scale * height, : self.scale * width]
