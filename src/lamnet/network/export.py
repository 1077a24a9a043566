"""A network as a file for other programs: ONNX, ncnn, or PyTorch's own exported program (.pt2), for images of any size."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lamnet.base.errors import BadArgumentError
from lamnet.base.files import appearing
from lamnet.network import ncnn, onnx
from lamnet.network.model import LAMNet
from lamnet.ops.backend import use_backend
from lamnet.ops.reference import fsa_reference
from lamnet.ops.window import Window

_EXAMPLE = (24, 40)  # height and width that tracing sees
_SMALLEST = 2  # pixels a side: tracing takes 1 for a constant


def export(network: LAMNet, path: Path, half: bool = False, facts: Mapping[str, str] | None = None) -> None:
    """Write the network for images of any size: RGB in [0, 1] in, the result out, not clamped, float32.

    ONNX and .pt2 take batches, (B, 3, H, W); ncnn one image at a time. The network stays as it is.

    Args:
        path: .onnx (needs the extra onnx), .param (ncnn; its .bin goes beside it) or .pt2; it appears whole or not at all.
        half: keep the weights in float16, in half the space; the arithmetic stays float32. ONNX and ncnn only.
        facts: names and values for the metadata of an ONNX file, such as the weights' license.

    Raises:
        BadArgumentError: the path ends otherwise, does not go with `half` or the scale, or cannot be written.
        MissingExtraError: onnx is not installed.
    """
    if path.suffix not in (".onnx", ".param", ".pt2"):
        raise BadArgumentError(f"{path}: expected a name that ends in .onnx, .param or .pt2")
    if path.suffix == ".pt2":
        if half:
            raise BadArgumentError(f"{path}: expected .onnx or .param for weights in float16, found .pt2")
        _write_program(network, path)
        return
    state = {name: tensor.detach().to("cpu", torch.float32).numpy() for name, tensor in network.state_dict().items()}
    if path.suffix == ".onnx":
        onnx.write(path, network.config, state, half, facts)
    else:
        ncnn.write(path, network.config, state, half)


def _write_program(network: LAMNet, path: Path) -> None:
    if not path.parent.is_dir():
        raise BadArgumentError(f"{path}: cannot be written: there is no folder {path.parent}")
    content = io.BytesIO()  # PyTorch's own writer ends the process when the disk is full
    torch.export.save(_plain(copy.deepcopy(network).eval().float().cpu()), content)
    with appearing(path, BadArgumentError) as partial:
        partial.write_bytes(content.getbuffer())


def _plain(network: LAMNet) -> torch.export.ExportedProgram:
    """The forward as PyTorch's own operators only, so that no program that runs it needs this package."""
    example = torch.zeros(2, 3, *_EXAMPLE)
    free = {index: torch.export.Dim(name, min=_SMALLEST) for index, name in ((2, "height"), (3, "width"))}
    shapes: Any = ({0: torch.export.Dim("batch"), **free},)
    with use_backend("reference"), torch.no_grad():
        program = torch.export.export(network, (example,), dynamic_shapes=shapes)
        return program.run_decompositions({torch.ops.lamnet.fsa.default: _fsa})


def _fsa(
    value: Tensor, weight: Tensor, starts: Sequence[int], lengths: Sequence[int], dim: int, logits: bool
) -> Tensor:
    return fsa_reference(value, torch.tanh(weight) if logits else weight, Window(tuple(starts), tuple(lengths)), dim)
