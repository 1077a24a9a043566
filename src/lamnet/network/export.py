"""A network as one file for other programs: ONNX, or PyTorch's own exported program (.pt2), for images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lamnet.base.errors import BadArgumentError
from lamnet.base.extras import require
from lamnet.base.files import appearing
from lamnet.network.model import LAMNet
from lamnet.ops.backend import use_backend
from lamnet.ops.reference import fsa_reference
from lamnet.ops.window import Window

_EXAMPLE = (24, 40)  # height and width that tracing sees
_SMALLEST = 2  # pixels a side: tracing takes 1 for a constant


def export(network: LAMNet, path: Path) -> None:
    """Write the network with free batch, height and width; input (B, 3, H, W) in [0, 1], output not clamped, float32.

    Args:
        path: .onnx (needs the extra onnx) or .pt2; it appears whole or not at all.

    Raises:
        BadArgumentError: the path ends otherwise, or cannot be written.
        MissingExtraError: onnx or onnxscript does not import here.
    """
    if path.suffix not in (".onnx", ".pt2"):
        raise BadArgumentError(f"{path}: expected a name that ends in .onnx or .pt2")
    if path.suffix == ".onnx":
        for module in ("onnx", "onnxscript"):
            require(module, "onnx", f"{path}: ONNX")
    if not path.parent.is_dir():
        raise BadArgumentError(f"{path}: cannot be written: there is no folder {path.parent}")
    program = _plain(network)
    try:
        with appearing(path, BadArgumentError) as partial:
            if path.suffix == ".pt2":
                with partial.open("wb") as file:  # by name it would have to end in .pt2
                    torch.export.save(program, file)
            else:
                torch.onnx.export(
                    program, f=partial, input_names=["lr"], output_names=["hr"], external_data=False, verbose=False
                )
    except RuntimeError as error:  # what torch's writer raises for a file that it cannot write
        raise BadArgumentError(f"{path}: cannot be written: {str(error).splitlines()[0]}") from error


def _plain(network: LAMNet) -> torch.export.ExportedProgram:
    """The forward as PyTorch's own operators only, so that no program that runs it needs this package."""
    example = torch.zeros(2, 3, *_EXAMPLE)
    free = {index: torch.export.Dim(name, min=_SMALLEST) for index, name in ((2, "height"), (3, "width"))}
    shapes: Any = ({0: torch.export.Dim("batch"), **free},)
    with use_backend("reference"), torch.no_grad():
        program = torch.export.export(network.eval().float().cpu(), (example,), dynamic_shapes=shapes)
        return program.run_decompositions({torch.ops.lamnet.fsa.default: _fsa})


def _fsa(
    value: Tensor, weight: Tensor, starts: Sequence[int], lengths: Sequence[int], dim: int, logits: bool
) -> Tensor:
    return fsa_reference(value, torch.tanh(weight) if logits else weight, Window(tuple(starts), tuple(lengths)), dim)
