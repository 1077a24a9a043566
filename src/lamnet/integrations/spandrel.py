"""LAMNet for spandrel, and so for the programs that load their networks through it: ComfyUI, chaiNNer and others.

    import spandrel
    from lamnet.integrations import spandrel as lamnet_spandrel

    lamnet_spandrel.register()
    model = spandrel.ModelLoader().load_from_file("base_x4.safetensors")

Our files and published checkpoints load alike. Our files have the window in their header, which a bare state dict lacks:
`load_from_state_dict` takes the paper's window, if it fits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import wraps
from pathlib import Path
from typing import Any, cast

import safetensors
import torch
from torch import Tensor

from lamnet.base.errors import BadWeightsError
from lamnet.base.extras import require
from lamnet.core import header, parameters
from lamnet.core.config import SIZES, LAMNetConfig
from lamnet.core.window import PAPER_WINDOW, Window
from lamnet.network.model import LAMNet
from lamnet.network.published import translate

ID = "LAMNet"
WINDOW = "lamnet.window"  # key of the window among the tensors of a file: rows of starts and of lengths
_OURS = "groups.0.blocks.0.mixer.horizontal.project.weight"
_PUBLISHED = "deep_feature_extraction.0.mixers.0.fn.kernel_map"
_SOURCE = Path("state dict")  # stands for a file's name in messages


def register(registry: Any = None) -> None:
    """Make spandrel's ModelLoader know LAMNet; a second call changes nothing.

    Args:
        registry: an ArchRegistry; None is spandrel's main one, which a ModelLoader uses by default.

    Raises MissingExtraError without spandrel.
    """
    spandrel = require("spandrel", "peers", "lamnet.integrations.spandrel")
    registry = spandrel.MAIN_REGISTRY if registry is None else registry
    support = spandrel.ArchSupport.from_architecture(_architecture(spandrel))
    registry.add(support, ignore_duplicates=True)
    _keep_windows(spandrel.ModelLoader)


def _keep_windows(loader: Any) -> None:
    """Make the loader add the window of a file of ours to its tensors, where `load` finds it."""
    read = loader.load_state_dict_from_file
    if hasattr(read, "__wrapped__"):
        return

    @wraps(read)
    def with_window(self: Any, path: str | Path) -> dict[str, Tensor]:
        state: dict[str, Tensor] = read(self, path)
        window = _window_in_header(path) if _OURS in state and _is_ours(self.registry.get(ID)) else None
        return state if window is None else {**state, WINDOW: torch.tensor([window.starts, window.lengths])}

    loader.load_state_dict_from_file = with_window


def _is_ours(support: Any) -> bool:
    """Tell whether a registry's LAMNet is the one made here, which takes the window, and not one of spandrel's own."""
    return support is not None and type(support.architecture).__module__ == __name__


def _window_in_header(path: str | Path) -> Window | None:
    if os.fspath(path)[-12:].lower() != ".safetensors":
        return None
    metadata = cast("dict[str, str]", safetensors.safe_open(path, framework="pt").metadata() or {})
    if "config" not in metadata:
        return None
    try:
        return header.read(metadata)[0].window
    except ValueError as error:
        raise BadWeightsError(f"{path}: expected a LAMNet's configuration in its header, found {error}") from error


def _architecture(spandrel: Any) -> Any:
    """Make the architecture, with its class: the base is spandrel's, which is not always installed."""

    class LAMNetArchitecture(spandrel.Architecture):
        def __init__(self) -> None:
            super().__init__(id=ID, detect=detects)

        def load(self, state_dict: Mapping[str, Tensor]) -> Any:
            config, state = network_of(state_dict)
            return spandrel.ImageModelDescriptor(
                LAMNet(config),
                state,
                architecture=self,
                purpose="SR" if config.scale > 1 else "Restoration",
                tags=[_size(config), f"{config.channels}c", f"{config.groups}x{config.blocks}"],
                supports_half=True,
                supports_bfloat16=True,
                scale=config.scale,
                input_channels=3,
                output_channels=3,
            )

    return LAMNetArchitecture()


def detects(state: Mapping[str, object]) -> bool:
    """Tell whether a state dict is a LAMNet's, with our names or the published ones."""
    return (_OURS in state and "fuse_scale" in state) or _PUBLISHED in state


def network_of(state: Mapping[str, Tensor]) -> tuple[LAMNetConfig, dict[str, Tensor]]:
    """Return the configuration and the tensors by our names. Raises BadWeightsError for an incomplete or unknown network."""
    if _PUBLISHED in state:
        return translate(_SOURCE, state)
    own = {name: tensor for name, tensor in state.items() if name != WINDOW}
    config = _config(own, state.get(WINDOW))
    parameters.check(_SOURCE, config, {name: tuple(tensor.shape) for name, tensor in own.items()})
    return config, own


def _config(state: Mapping[str, Tensor], window: Tensor | None) -> LAMNetConfig:
    """Read the configuration off the shapes; the number of heads follows from the window's taps."""
    block = "groups.0.blocks.0."
    try:
        rows, span = len(state[_OURS]), state[block + "mixer.horizontal.depthwise.weight"].shape[3]
        taps = PAPER_WINDOW if window is None else _window(window)
        if taps.span != span or rows % taps.taps:
            raise BadWeightsError(
                f"{_SOURCE}: expected a file, whose header has the window, or the paper's window; "
                f"found {rows} weights over {span} pixels"
            )
        channels = len(state["head.weight"])
        return LAMNetConfig(
            scale=round((len(state["tail.weight"]) / 3) ** 0.5),
            channels=channels,
            groups=_count(state, r"groups\.(\d+)\."),
            blocks=_count(state, r"groups\.0\.blocks\.(\d+)\."),
            heads=rows // taps.taps,
            expansion=len(state[block + "ffn.depthwise.weight"]) / 2 / channels,
            window=taps,
        )
    except KeyError as error:
        raise BadWeightsError(f"{_SOURCE}: expected a LAMNet, found it without {error.args[0]}") from error


def _window(rows: Tensor) -> Window:
    starts, lengths = cast("list[list[int]]", rows.tolist())
    return Window(tuple(starts), tuple(lengths))


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return 1 + max(int(found[1]) for name in state if (found := re.match(pattern, name)))


def _size(config: LAMNetConfig) -> str:
    return next((name for name, make in SIZES.items() if make(config.scale) == config), "own size")
