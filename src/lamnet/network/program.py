"""A network as PyTorch's own exported program (.pt2), for images of any size."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lamnet.base.errors import BadArgumentError
from lamnet.base.files import appearing
from lamnet.core.window import Window
from lamnet.network.checks import check_finite, unwrapped
from lamnet.network.model import LAMNet
from lamnet.ops.backend import use_backend
from lamnet.ops.reference import fsa_reference

_EXAMPLE = (24, 40)  # height and width that tracing sees
_SMALLEST = 2  # pixels a side: tracing takes 1 for a constant


def write(path: Path, network: LAMNet) -> None:
    """Write the program of a network, which stays as it is. Raises as `export.export`."""
    if not path.parent.is_dir():
        raise BadArgumentError(f"{path}: cannot be written: there is no folder {path.parent}")
    network = unwrapped(path, network)
    check_finite(path, network.state_dict())
    content = io.BytesIO()  # PyTorch's own writer ends the process when the disk is full
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's own, of its own parts
        torch.export.save(_plain(copy.deepcopy(network).eval().float().cpu()), content)
    with appearing(path, BadArgumentError) as partial:
        partial.write_bytes(content.getbuffer())


def _plain(network: LAMNet) -> torch.export.ExportedProgram:
    """Trace the forward into PyTorch's own operators, so that programs that run it do not need this package."""
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
