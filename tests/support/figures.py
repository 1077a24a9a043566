"""Checks of a figure as a reader sees it: its texts, their size, and that nothing covers anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import nn

from lamnet import LAMNet, LAMNetConfig
from lamnet.network import weights


def captions(figure: Figure) -> list[list[str]]:
    """The caption's lines under each panel, shortened or not, in the order of drawing."""
    return [[text.get_text() for text in axes.texts] for axes in figure.axes]


def assert_readable(figure: Figure, width: float = 3.5) -> None:
    """Check that a figure is as wide as a column, texts are 7 pt or more and whole, and captions and panels cover nothing."""
    assert figure.get_size_inches()[0] == width
    figure.canvas.draw()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= 7
    for text in (text for text in texts if not _is_tick(text, figure)):
        box = text.get_window_extent()
        assert min(box.x0, box.y0) >= -1, text.get_text()
        assert box.x1 <= figure.bbox.x1 + 1, text.get_text()
        assert box.y1 <= figure.bbox.y1 + 1, text.get_text()
    # The boxes of neighbours in a row may touch, and the labels in a plot are its own.
    boxes = [text.get_window_extent().shrunk(0.9, 0.9) for axes in figure.axes if axes.images for text in axes.texts]
    boxes += [axes.bbox for axes in figure.axes]
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])


def _is_tick(text: Text, figure: Figure) -> bool:
    """Ticks beyond the axes' limits exist but are not drawn."""
    return any(text in axis.get_ticklabels(which="both") for axes in figure.axes for axis in (axes.xaxis, axes.yaxis))


def small_network(path: Path, scale: int, seed: int = 0) -> str:
    """The file of a small LAMNet whose output is near its input's colours, not grey as a fresh one's."""
    torch.manual_seed(seed)
    network = LAMNet(LAMNetConfig(scale, channels=16, groups=1, blocks=1))
    nn.init.normal_(network.head.weight, std=0.2)
    nn.init.normal_(network.tail.weight, std=0.2)
    weights.save(network, path)
    return str(path)


def pixels(figure: Figure, axes_index: int) -> np.ndarray:
    """The picture that a panel shows."""
    return np.asarray(figure.axes[axes_index].images[-1].get_array())
