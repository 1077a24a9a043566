"""The choice of the engine that a model runs on, and the speed of an engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from lamnet.base.errors import BadArgumentError
from lamnet.core.weights import WeightsFile
from lamnet.network import reading, runtime
from lamnet.upscale.core_engine import CoreEngine

if TYPE_CHECKING:
    from typing import TypeAlias

    import torch

    from lamnet.network.model import LAMNet
    from lamnet.network.runtime import Precision
    from lamnet.upscale.engine import Engine

    AnyEngine: TypeAlias = Engine | CoreEngine


def engine_for(
    model: LAMNet | WeightsFile,
    device: str | torch.device | None,
    precision: Precision,
    ensemble: bool,
    argument: Literal["model", "photo"] = "model",
) -> AnyEngine:
    """Make a model ready: weights on the C core where the device is a processor, all else in PyTorch.

    `argument` is what its caller calls the model, for messages.

    Raises:
        BackendError: the device or the precision cannot be used here.
        BadArgumentError: the model is neither weights nor a network.
        MissingExtraError: the device or the precision takes PyTorch, which is not installed.
    """
    if isinstance(model, WeightsFile):
        device = runtime.torch_device(device, precision)
        if device is None:
            return CoreEngine(model, "bfloat16" if precision == "bfloat16" else "float32", ensemble)
        model = reading.network_of(model)
    elif not runtime.has_torch():
        raise _no_model(argument, model)
    from lamnet.network.model import LAMNet
    from lamnet.upscale.engine import Engine

    if not isinstance(cast(object, model), LAMNet):
        raise _no_model(argument, model)
    return Engine(model, device, precision, ensemble)


def seconds_per_pixel(engine: AnyEngine) -> float:
    """Measure seconds per LR pixel, from the second run over 128x128 pixels of noise."""
    noise = np.random.default_rng(0).random((3, 128, 128), np.float32)
    engine.run(noise)
    start = time.perf_counter()
    engine.run(noise)
    return (time.perf_counter() - start) / noise[0].size


def _no_model(argument: Literal["model", "photo"], found: object) -> BadArgumentError:
    kinds = "a name, a file, its weights or a LAMNet" if argument == "model" else "weights that are loaded, or a LAMNet"
    return BadArgumentError(f"{argument}: expected {kinds}, got {found!r:.40}")
