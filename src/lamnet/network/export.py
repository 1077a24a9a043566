"""A network as a file for other programs: ONNX, ncnn, or PyTorch's own exported program (.pt2), for images of any size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lamnet.base.errors import BadArgumentError
from lamnet.base.extras import require
from lamnet.core.weights import WeightsFile
from lamnet.network import ncnn, onnx, reading

if TYPE_CHECKING:
    from lamnet.network.model import LAMNet


def export(
    network: LAMNet | WeightsFile, path: str | Path, half: bool = False, facts: Mapping[str, str] | None = None
) -> None:
    """Write a network for images of any size: RGB in [0, 1] in, RGB out, not clamped, float32.

    ONNX and .pt2 take batches, (B, 3, H, W); ncnn one image at a time. The network stays as it is. ONNX and ncnn are written
    by its configuration and weights, so a network with a changed part or a hook is refused; .pt2 holds it.

    Args:
        network: the network, or its weights, which need PyTorch for .pt2 only.
        path: .onnx (needs the extra onnx), .param (ncnn; its .bin goes beside it) or .pt2; it appears whole or not at all.
        half: keep the weights in float16, in half the space; the arithmetic stays float32. ONNX and ncnn only.
        facts: names and values for the metadata of an ONNX file, such as the weights' license.

    Raises:
        BadArgumentError: the path has another ending, does not go with `half` or the scale, or cannot be written.
        BadWeightsError: the network is changed, or its weights are not finite or not there (meta).
        MissingExtraError: onnx is not installed, or PyTorch for .pt2.
    """
    path = Path(path)
    if path.suffix not in (".onnx", ".param", ".pt2"):
        raise BadArgumentError(f"{path}: expected a name that ends in .onnx, .param or .pt2")
    if path.suffix == ".pt2":
        if half:
            raise BadArgumentError(f"{path}: expected .onnx or .param for weights in float16, found .pt2")
        require("torch", "torch", f"{path}: a program of PyTorch")
        from lamnet.network import program

        program.write(path, reading.network_of(network) if isinstance(network, WeightsFile) else network)
        return
    if isinstance(network, WeightsFile):
        state = network.state
    else:
        from lamnet.network.checks import check_finite, check_unchanged

        network = check_unchanged(path, network)
        tensors = network.state_dict()
        check_finite(path, tensors)
        state = {name: tensor.detach().cpu().float().numpy() for name, tensor in tensors.items()}
    if path.suffix == ".onnx":
        onnx.write(path, network.config, state, half, facts)
    else:
        ncnn.write(path, network.config, state, half)
