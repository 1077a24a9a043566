"""A network as one file for other programs: ONNX, or PyTorch's own exported program (.pt2), for images of any size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lamnet.base.errors import BadArgumentError, MissingExtraError
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
        MissingExtraError: onnx or onnxscript is not installed.
    """
    if path.suffix not in (".onnx", ".pt2"):
        raise BadArgumentError(f"{path}: expected a name that ends in .onnx or .pt2")
    if path.suffix == ".onnx" and not (find_spec("onnx") and find_spec("onnxscript")):
        raise MissingExtraError(f"{path}: ONNX needs onnx and onnxscript; pip install 'lamnet-sr[onnx]'")
    if not path.parent.is_dir():
        raise BadArgumentError(f"{path}: cannot be written, there is no folder {path.parent}")
    program = _plain(network)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        if path.suffix == ".pt2":
            torch.export.save(program, partial)
        else:
            torch.onnx.export(
                program, f=partial, input_names=["lr"], output_names=["hr"], external_data=False, verbose=False
            )
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError for a file it cannot write
        raise BadArgumentError(f"{path}: cannot be written, {str(error).splitlines()[0]}") from error
    finally:
        partial.unlink(missing_ok=True)


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
