"""The structs that the C kernels take, field by field as csrc/arguments.h declares and explains them; without PyTorch."""

from __future__ import annotations

from lamnet.ops.c_struct import Address, Int64s, Struct


class Layer(Struct):
    weight: Address
    bias: Address


class Strided(Struct):
    data: Address
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
    dtype: int
    norm: Layer
    project_in: Layer
    channel_in: Layer
    channel_out: Layer


class BranchesArguments(Struct):
    sizes: BranchesSizes
    weights: BranchesWeights
    x: Address
    c: Address
    u: Address


class BranchesBackwardArguments(Struct):
    sizes: BranchesSizes
    weights: BranchesWeights
    grads: BranchesWeights
    grad_c: Address
    grad_u: Address
    grad_residual: Address
    x: Address
    grad_x: Address


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
    out: Address


class FsaBackwardArguments(Struct):
    sizes: AttentionSizes
    grad: Strided
    value: Strided
    weight: Strided
    logits: int
    grad_value: Address
    grad_weight: Address


class FocalWeights(Struct):
    dtype: int
    depthwise: Layer
    project: Layer


class FocalArguments(Struct):
    sizes: AttentionSizes
    weights: FocalWeights
    value: Strided
    out: Address
    gates: Address | None


class FocalBackwardArguments(Struct):
    sizes: AttentionSizes
    weights: FocalWeights
    grads: FocalWeights
    grad: Strided
    value: Strided
    gates: Address
    grad_value: Address


class ExchangeSizes(Struct):
    threads: int
    dtype: int
    batch: int
    pixels: int
    channels: int
    outputs: int


class ExchangeWeights(Struct):
    dtype: int
    project_out: Layer
    scale: Address


class ExchangeMeansArguments(Struct):
    sizes: ExchangeSizes
    c: Address
    s: Address
    means: Address


class ExchangeArguments(Struct):
    sizes: ExchangeSizes
    weights: ExchangeWeights
    c: Address
    s: Address
    residual: Address
    means: Address
    out: Address


class ExchangeBackwardArguments(Struct):
    sizes: ExchangeSizes
    weights: ExchangeWeights
    grads: ExchangeWeights
    grad: Address
    c: Address
    s: Address
    means: Address
    grad_extra: Address | None
    own_means: int
    grad_c: Address
    grad_s: Address
    grad_means: Address


class FeedForwardSizes(Struct):
    threads: int
    dtype: int
    batch: int
    height: int
    width: int
    channels: int
    hidden: int


class FeedForwardWeights(Struct):
    dtype: int
    norm: Layer
    project_in: Layer
    depthwise: Layer
    project_out: Layer
    scale: Address


class FeedForwardArguments(Struct):
    sizes: FeedForwardSizes
    weights: FeedForwardWeights
    x: Address
    out: Address
    hidden: Address | None


class FeedForwardBackwardArguments(Struct):
    sizes: FeedForwardSizes
    weights: FeedForwardWeights
    grads: FeedForwardWeights
    grad: Address
    x: Address
    hidden: Address
    grad_x: Address


class ResidualSizes(Struct):
    threads: int
    dtype: int
    pixels: int
    channels: int


class ResidualArguments(Struct):
    sizes: ResidualSizes
    x: Address
    y: Address
    scale: Address
    out: Address


class ResidualBackwardArguments(Struct):
    sizes: ResidualSizes
    grad: Address
    y: Address
    scale: Address
    grad_y: Address
    grad_scale: Address


STRUCTS: tuple[type[Struct], ...] = (
    *(Layer, Strided, TapWindow),
    *(BranchesSizes, BranchesWeights, BranchesArguments, BranchesBackwardArguments),
    *(AttentionSizes, FsaArguments, FsaBackwardArguments),
    *(FocalWeights, FocalArguments, FocalBackwardArguments),
    *(ExchangeSizes, ExchangeWeights, ExchangeMeansArguments, ExchangeArguments, ExchangeBackwardArguments),
    *(FeedForwardSizes, FeedForwardWeights, FeedForwardArguments, FeedForwardBackwardArguments),
    *(ResidualSizes, ResidualArguments, ResidualBackwardArguments),
)
for _struct in STRUCTS:
    _struct.lay_out()
