"""Which engine a model runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from lamnet.base.errors import BackendError, BadArgumentError
from lamnet.base.extras import require
from lamnet.core.weights import WeightsFile
from lamnet.upscale.core_engine import CoreEngine

if TYPE_CHECKING:
    from typing import TypeAlias

    import torch

    from lamnet.network.model import LAMNet
    from lamnet.upscale.engine import Engine

    AnyEngine: TypeAlias = Engine | CoreEngine

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def engine_for(
    model: LAMNet | WeightsFile, device: str | torch.device | None, precision: Precision, ensemble: bool
) -> AnyEngine:
    """Make a model ready: weights as `core.weights.load` gives them on the C core, a network in PyTorch with that.

    Raises:
        BackendError: the device or the precision cannot be used here.
        BadArgumentError: it is neither.
        MissingExtraError: it takes PyTorch, which is not installed.
    """
    if isinstance(model, WeightsFile):
        if device is not None and str(device) != "cpu":
            raise BackendError(
                f"device: expected cpu for weights without PyTorch, got {device}; lamnet.load has others"
            )
        if precision == "float16":
            raise BackendError("precision: expected float32 or bfloat16 without PyTorch, got float16")
        return CoreEngine(model, "float32" if precision == "auto" else precision, ensemble)
    require("torch", "torch", "a network on other devices than the processor")
    from lamnet.network.model import LAMNet
    from lamnet.upscale.engine import Engine

    if not isinstance(cast(object, model), LAMNet):
        raise BadArgumentError(f"model: expected a LAMNet, got {model!r:.40}")
    return Engine(model, device, precision, ensemble)
