"""What a reader sees of a figure: its texts, their size, and whether anything covers anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import nn

from lamnet import LAMNet, LAMNetConfig, weights


def texts(figure: Figure) -> list[Text]:
    """Every text that is drawn."""
    found = figure.findobj(lambda artist: isinstance(artist, Text) and bool(artist.get_text()) and artist.get_visible())
    width, height = figure.get_size_inches() * figure.dpi
    seen = [text for text in found if text.get_window_extent().overlaps(figure.bbox)]
    assert width > 0
    assert height > 0
    return seen


def captions(figure: Figure) -> list[list[str]]:
    """The caption's lines under each panel, shortened or not, in the order of drawing."""
    return [[text.get_text() for text in axes.texts] for axes in figure.axes]


def assert_readable(figure: Figure) -> None:
    """One column wide, 7 pt or more, every caption whole on the page and on nothing else."""
    assert figure.get_size_inches()[0] == 3.5
    assert min(text.get_fontsize() for text in texts(figure)) >= 7
    page = figure.bbox
    under_panels = [(text, axes) for axes in figure.axes for text in axes.texts]
    frames = [axes.bbox for axes in figure.axes]
    for index, (text, _) in enumerate(under_panels):
        box = text.get_window_extent()
        assert page.x0 - 1 <= box.x0
        assert box.x1 <= page.x1 + 1
        assert page.y0 <= box.y0
        shrunk = box.shrunk(0.9, 0.9)  # the boxes of neighbours in a row may touch
        assert not any(shrunk.overlaps(frame) for frame in frames), text.get_text()
        others = [other.get_window_extent() for other, _ in under_panels[index + 1 :]]
        assert not any(shrunk.overlaps(other.shrunk(0.9, 0.9)) for other in others), text.get_text()
    for index, frame in enumerate(frames):
        assert not any(frame.overlaps(other) for other in frames[index + 1 :])


def small_network(path: Path, scale: int, seed: int = 0) -> str:
    """The file of a small LAMNet whose output is near its input's colours, not grey as a fresh one's."""
    torch.manual_seed(seed)
    network = LAMNet(LAMNetConfig(scale, channels=16, groups=1, blocks=1))
    nn.init.normal_(network.head.weight, std=0.2)
    nn.init.normal_(network.tail.weight, std=0.2)
    weights.save(path, network)
    return str(path)


def pixels(figure: Figure, axes_index: int) -> np.ndarray:
    """The picture that a panel shows."""
    return np.asarray(figure.axes[axes_index].images[-1].get_array())
