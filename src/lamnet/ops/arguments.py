"""The structs that the C kernels take, field by field as csrc/arguments.h declares and explains them; without PyTorch.

The name of a struct in C is that of its class in lower case: FocalArguments is focal_arguments, for the entry lamnet_focal.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import ClassVar, Protocol, dataclass_transform, get_type_hints


class HasAddress(Protocol):
    """A tensor."""

    def data_ptr(self) -> int: ...


Int64s = ctypes.Array[ctypes.c_int64]
Memory = HasAddress | Int64s


@dataclass_transform(kw_only_default=True)
class Struct(ctypes.Structure):
    """A struct whose fields are its annotations, in their order, all of them to be given by name.

    An int becomes an int64, Memory its address and None the null pointer; another struct is copied in. It keeps the
    memory alive whose addresses it holds.
    """

    c_name: ClassVar[str]
    names: ClassVar[tuple[str, ...]]

    def __init__(self, **fields: Memory | int | Struct | None) -> None:
        super().__init__(*[self._in_c(fields[name]) for name in self.names])
        self._fields_given = fields

    @staticmethod
    def _in_c(value: Memory | int | Struct | None) -> int | Struct | None:
        if value is None or isinstance(value, int | Struct):
            return value
        return ctypes.addressof(value) if isinstance(value, ctypes.Array) else value.data_ptr()

    @classmethod
    def lay_out(cls) -> None:
        """Make C fields of the annotations; ctypes wants this once, before the first use and before the next struct."""
        kinds = {name: kind for name, kind in get_type_hints(cls).items() if name in cls.__annotations__}
        cls.c_name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
        cls.names = tuple(kinds)
        cls._fields_ = [(name, _ctype(kind)) for name, kind in kinds.items()]


def _ctype(kind: object) -> type[ctypes.c_int64 | ctypes.c_void_p | Struct]:
    if kind is int:
        return ctypes.c_int64
    return kind if isinstance(kind, type) and issubclass(kind, Struct) else ctypes.c_void_p


def int64s(numbers: Sequence[int]) -> Int64s:
    """Numbers in memory of their own."""
    return (ctypes.c_int64 * len(numbers))(*numbers)


class Layer(Struct):
    weight: Memory
    bias: Memory


class Strided(Struct):
    data: Memory
    batch: int
    along: int
    across: int


class TapWindow(Struct):
    taps: int
    tables: int
    reach: int
    starts: Int64s
    table: Int64s
    lengths: Int64s


class BranchesSizes(Struct):
    threads: int
    dtype: int
    pixels: int
    channels: int
    half: int
    narrow: int


class BranchesWeights(Struct):
    norm: Layer
    project_in: Layer
    channel_in: Layer
    channel_out: Layer


class BranchesArguments(Struct):
    sizes: BranchesSizes
    weights: BranchesWeights
    x: Memory
    c: Memory
    u: Memory


class BranchesBackwardArguments(Struct):
    sizes: BranchesSizes
    weights: BranchesWeights
    grads: BranchesWeights
    grad_c: Memory
    grad_u: Memory
    grad_residual: Memory
    x: Memory
    grad_x: Memory


class AttentionSizes(Struct):
    threads: int
    dtype: int
    batch: int
    axis: int
    across: int
    channels: int
    heads: int
    step: int
    window: TapWindow


class FsaArguments(Struct):
    sizes: AttentionSizes
    value: Strided
    weight: Strided
    logits: int
    out: Memory


class FsaBackwardArguments(Struct):
    sizes: AttentionSizes
    grad: Strided
    value: Strided
    weight: Strided
    logits: int
    grad_value: Memory
    grad_weight: Memory


class FocalWeights(Struct):
    depthwise: Layer
    project: Layer


class FocalArguments(Struct):
    sizes: AttentionSizes
    weights: FocalWeights
    value: Strided
    out: Memory
    gates: Memory | None


class FocalBackwardArguments(Struct):
    sizes: AttentionSizes
    weights: FocalWeights
    grads: FocalWeights
    grad: Strided
    value: Strided
    gates: Memory
    grad_value: Memory


class ExchangeSizes(Struct):
    threads: int
    dtype: int
    batch: int
    pixels: int
    channels: int
    outputs: int


class ExchangeWeights(Struct):
    project_out: Layer
    scale: Memory


class ExchangeMeansArguments(Struct):
    sizes: ExchangeSizes
    c: Memory
    s: Memory
    means: Memory


class ExchangeArguments(Struct):
    sizes: ExchangeSizes
    weights: ExchangeWeights
    c: Memory
    s: Memory
    residual: Memory
    means: Memory
    out: Memory


class ExchangeBackwardArguments(Struct):
    sizes: ExchangeSizes
    weights: ExchangeWeights
    grads: ExchangeWeights
    grad: Memory
    c: Memory
    s: Memory
    means: Memory
    grad_extra: Memory | None
    own_means: int
    grad_c: Memory
    grad_s: Memory
    grad_means: Memory


class FeedForwardSizes(Struct):
    threads: int
    dtype: int
    batch: int
    height: int
    width: int
    channels: int
    hidden: int


class FeedForwardWeights(Struct):
    norm: Layer
    project_in: Layer
    depthwise: Layer
    project_out: Layer
    scale: Memory


class FeedForwardArguments(Struct):
    sizes: FeedForwardSizes
    weights: FeedForwardWeights
    x: Memory
    out: Memory
    hidden: Memory | None


class FeedForwardBackwardArguments(Struct):
    sizes: FeedForwardSizes
    weights: FeedForwardWeights
    grads: FeedForwardWeights
    grad: Memory
    x: Memory
    hidden: Memory
    grad_x: Memory


STRUCTS: tuple[type[Struct], ...] = (
    *(Layer, Strided, TapWindow),
    *(BranchesSizes, BranchesWeights, BranchesArguments, BranchesBackwardArguments),
    *(AttentionSizes, FsaArguments, FsaBackwardArguments),
    *(FocalWeights, FocalArguments, FocalBackwardArguments),
    *(ExchangeSizes, ExchangeWeights, ExchangeMeansArguments, ExchangeArguments, ExchangeBackwardArguments),
    *(FeedForwardSizes, FeedForwardWeights, FeedForwardArguments, FeedForwardBackwardArguments),
)
for _struct in STRUCTS:
    _struct.lay_out()
