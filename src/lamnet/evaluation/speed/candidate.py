"""Candidates: all that can be timed, and those worth comparing on a device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from lamnet.base.errors import BadArgumentError
from lamnet.core.config import SIZES
from lamnet.evaluation.speed import peers

Task = Literal["image", "patches", "training"]
How = Literal["eager", "channels-last", "compile", "graph", "compile+graph"]
OPERATORS = {"fsa-width": 2, "fsa-height": 1}
CORE = "core"
MODELS = (*SIZES, *peers.NAMES, *OPERATORS)
PATCHES = (8, 48)  # number and side of the LR patches of "patches" and "training"


@dataclass(frozen=True)
class Candidate:
    """The work that a row of the table measures.

    Attributes:
        model: one of MODELS, or a weights file.
        backend: what runs our network: the core, as in `lamnet upscale` on a processor, or PyTorch with this backend of the
            operators; "" for peers.
        precision: "float32", "bfloat16" or "float16".
        how: eager; with channels-last memory (peers); compiled by torch.compile; replayed as a CUDA graph.
        task: the forward of one image, or of 8 LR patches of 48x48, or forward and backward of these.
    """

    model: str
    backend: str
    precision: str
    how: How = "eager"
    task: Task = "image"

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.model, self.backend, self.precision, self.how, self.task) if part)


@dataclass(frozen=True)
class Setting:
    """The setting that all rows share: scale, (height, width) of the output, device, threads."""

    scale: int
    output_size: tuple[int, int]
    device: str
    threads: int

    @property
    def lr_size(self) -> tuple[int, int]:
        height, width = self.output_size
        return math.ceil(height / self.scale), math.ceil(width / self.scale)


def plan(models: Sequence[str], device: str, training: bool = False) -> list[Candidate]:
    """List the candidates worth comparing on a device for some of MODELS and weights files, in that order.

    Raises BadArgumentError for a name that is neither.
    """
    unknown = [model for model in models if model not in MODELS and not Path(model).is_file()]
    if unknown:
        raise BadArgumentError(f"models: expected some of {', '.join(MODELS)}, or weights files, got {unknown[0]}")
    found = [candidate for model in models for candidate in _variants(model, torch.device(device).type)]
    if not training:
        return found
    networks = [one for one in found if one.how == "eager" and one.backend != CORE and one.model not in OPERATORS]
    return [replace(one, task=task) for one in networks for task in ("patches", "training")]


def _variants(model: str, device: str) -> list[Candidate]:
    gpu = device == "cuda"
    if model in peers.NAMES:
        ways: tuple[How, ...] = ("channels-last", "graph", "compile+graph") if gpu else ()
        return [Candidate(model, "", "float32"), *(Candidate(model, "", "bfloat16", how) for how in ways)]
    fast = "triton" if gpu else "native"
    if model in OPERATORS:
        how: How = "graph" if gpu else "eager"  # one call is shorter than its way through Python
        precisions = ("float32", "bfloat16", "float16") if gpu else ("float32", "bfloat16")
        own = [Candidate(model, fast, precision, how) for precision in precisions]
        return [*own, Candidate(model, "reference", "float32", how)]
    backends = (CORE, fast) if device == "cpu" else (fast,)
    own = [Candidate(model, backend, precision) for backend in backends for precision in ("float32", "bfloat16")]
    if gpu:
        ways = ("compile", "graph", "compile+graph")
        own += [Candidate(model, fast, "float16"), *(Candidate(model, fast, "bfloat16", how) for how in ways)]
    return [*own, Candidate(model, "reference", "float32")]
