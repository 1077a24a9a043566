"""A network as ncnn's two files, .param and .bin, written layer by layer from its folded weights: no converter.

Blobs and values are those that realesrgan-ncnn-vulkan and Upscayl expect of a model: "data" (3, H, W) RGB in [0, 1] in,
"output" (3, scale*H, scale*W) out. All layers are old ones of ncnn with a Vulkan version. To repeat a blob for each channel
of a head, a Concat takes it several times: a Reshape of free sizes is newer than their ncnn.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError
from lamnet.base.files import appearing
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import Window
from lamnet.network.folding import Attention, Block, Conv, Folded, State, fold

_MAGIC = 7767517
_FLOAT32, _FLOAT16 = 0, 0x01306B47  # the flag before weights in .bin
_EPS = 1e-5  # of the norms
_SUB, _MUL, _DIV = "0=1", "0=2", "0=3"  # of BinaryOp; without any it adds
_SQUARE, _SQRT = "0=4", "0=5"  # of UnaryOp
_RELU, _SIGMOID = "9=1", "9=4"  # activation of a Convolution


def write(path: Path, config: LAMNetConfig, state: State, half: bool = False) -> None:
    """Write a network for ncnn: `path` (.param), and the .bin of the same name next to it.

    Args:
        state: the tensors by their names in the network's state dict.
        half: keep the weights in float16, in half the space.

    Raises BadArgumentError when the name stands for another scale than the network's, a .bin lies there that belongs to no
    .param, or a file cannot be written.
    """
    check_name(path, config.scale)
    values = path.with_suffix(".bin")
    if values.is_file() and not path.exists():
        raise BadArgumentError(
            f"{values}: expected a name that is free, found a file, which the weights of {path} would replace"
        )
    net = _Net(half)
    _network(net, fold(config, state))
    with appearing(path, BadArgumentError) as layers, appearing(values, BadArgumentError) as weights:
        weights.write_bytes(b"".join(net.weights))
        layers.write_text(net.text(), encoding="ascii")


def check_name(path: Path, scale: int) -> None:
    """Refuse a name from which Upscayl would read another scale: it looks for x2, 2x, x3, 3x, else takes 4."""
    found = re.findall(r"x([23])|([23])x", path.stem.lower())
    read = min((int(a or b) for a, b in found), default=4)
    says = re.search(r"x[234]|[234]x", path.stem.lower())
    name = f"a name for x{read}" if says else "a name without a scale, which it takes for x4"
    if scale in (2, 3, 4) and read != scale:
        wanted = f"x{scale} in the name" if scale < 4 else "no x2 or x3 in the name"
        raise BadArgumentError(f"{path}: expected {wanted}, by which Upscayl knows the scale; found {name}")


@dataclass(frozen=True)
class _Layer:
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: str

    def text(self, name: str) -> str:
        counts = f"{len(self.inputs)} {len(self.outputs)}"
        return " ".join([self.kind, name, counts, *self.inputs, *self.outputs, self.params]).rstrip()


@dataclass
class _Net:
    """The layers and weights added so far; each blob is named by its number."""

    half: bool
    layers: list[_Layer] = field(default_factory=list[_Layer])
    weights: list[bytes] = field(default_factory=list[bytes])

    def add(self, kind: str, inputs: Sequence[str], params: str = "", name: str | None = None) -> str:
        return self.fan(kind, inputs, params, [name or f"b{len(self.layers)}"])[0]

    def fan(self, kind: str, inputs: Sequence[str], params: str, outputs: Sequence[str]) -> Sequence[str]:
        self.layers.append(_Layer(kind, tuple(inputs), tuple(outputs), params))
        return outputs

    def conv(self, x: str, conv: Conv, last: str = "", name: str | None = None) -> str:
        (rows, columns), (out, _, high, wide) = conv.pads, conv.weight.shape
        params = f"0={out} 1={wide} 11={high} 4={columns} 14={rows} 5=1 6={conv.weight.size}"
        self._store(conv.weight)
        self.weights.append(conv.bias.tobytes())
        if conv.depthwise:
            return self.add("ConvolutionDepthWise", [x], f"{params} 7={out} {last}", name)
        return self.add("Convolution", [x], f"{params} {last}", name)

    def _store(self, weight: NDArray[np.float32]) -> None:
        flag, data = (_FLOAT16, weight.astype("<f2").tobytes()) if self.half else (_FLOAT32, weight.tobytes())
        self.weights += [flag.to_bytes(4, "little"), data, b"\0" * (-len(data) % 4)]

    def channel_mean(self, x: str, channels: int, offset: float = 0.0, last: str = "") -> str:
        """Add the mean over the channels of each pixel, as a convolution, which runs everywhere."""
        weight = np.full((1, channels, 1, 1), 1 / channels, np.float32)
        return self.conv(x, Conv(weight, np.full(1, offset, np.float32)), last)

    def pixel_mean(self, x: str) -> str:
        """Add the mean over all pixels of each channel."""
        return self.add("Pooling", [x], "0=1 4=1")

    def text(self) -> str:
        """Write out the .param file; a blob that several layers read goes through a Split, as ncnn requires."""
        readers = Counter(name for layer in self.layers for name in layer.inputs)
        copies = {name: [f"{name}_{i}" for i in range(count)] for name, count in readers.items() if count > 1}
        waiting = {name: iter(names) for name, names in copies.items()}
        lines: list[_Layer] = []
        for layer in self.layers:
            inputs = tuple(next(waiting[name]) if name in waiting else name for name in layer.inputs)
            lines.append(_Layer(layer.kind, inputs, layer.outputs, layer.params))
            lines += [_Layer("Split", (name,), tuple(copies[name]), "") for name in layer.outputs if name in copies]
        blobs = sum(len(layer.outputs) for layer in lines)
        rows = [line.text(f"n{i}") for i, line in enumerate(lines)]
        return "\n".join([str(_MAGIC), f"{len(lines)} {blobs}", *rows, ""])


def _network(net: _Net, folded: Folded) -> None:
    config = folded.config
    net.add("Input", [], name="data")
    centred = net.conv("data", Conv(np.eye(3, dtype=np.float32)[:, :, None, None], -folded.mean))
    shallow = net.conv(centred, folded.head)
    deep = shallow
    for group in folded.groups:
        x = deep
        for block in group.blocks:
            x = _block(net, x, _heads_inside(block, config), config)
        net.weights.append(group.scale.tobytes())
        deep = net.add("BinaryOp", [net.add("Scale", [x], f"0={config.channels}"), deep])
    deep = net.add("BinaryOp", [net.conv(deep, folded.fuse), shallow])
    if config.scale == 1:
        net.conv(deep, folded.tail, name="output")
    else:
        net.add("PixelShuffle", [net.conv(deep, folded.tail)], f"0={config.scale}", name="output")


def _block(net: _Net, x: str, block: Block, config: LAMNetConfig) -> str:
    n = _norm(net, x, config.channels)
    c = net.conv(net.conv(n, block.channel_in, _RELU), block.channel_out)
    s = _attention(net, net.conv(n, block.value), block.horizontal, config, across=True)
    s = _attention(net, s, block.vertical, config, across=False)
    x = net.add("BinaryOp", [x, net.conv(_exchange(net, c, s, config.channels // 2), block.project_out)])
    z = net.conv(net.conv(_norm(net, x, config.channels), block.ffn_in), block.ffn_depthwise)
    z1, z2 = net.fan("Slice", [z], "-23300=2,-233,-233 1=0", [f"{z}l", f"{z}r"])
    gelu = net.add("GELU", [z1], "0=0")
    gates = [net.add("BinaryOp", [gelu, z1], _MUL), net.add("BinaryOp", [gelu, z2], _MUL)]
    return net.add("BinaryOp", [x, net.conv(net.add("Concat", gates, "0=0"), block.ffn_out)])


def _norm(net: _Net, x: str, channels: int) -> str:
    """Add a layer norm over the channels of each pixel, without gain and offset."""
    centred = net.add("BinaryOp", [x, net.channel_mean(x, channels)], _SUB)
    variance = net.channel_mean(net.add("UnaryOp", [centred], _SQUARE), channels, _EPS)
    return net.add("BinaryOp", [centred, net.add("UnaryOp", [variance], _SQRT)], _DIV)


def _exchange(net: _Net, c: str, s: str, inner: int) -> str:
    """Add both branches with their gates (IEM), one after the other."""
    pixel_gate = net.channel_mean(net.add("BinaryOp", [c, net.pixel_mean(s)], _MUL), inner, last=_SIGMOID)
    both = net.add("BinaryOp", [s, net.channel_mean(c, inner)], _MUL)
    channel_gate = net.add("Sigmoid", [net.pixel_mean(both)])
    gated = [net.add("BinaryOp", [c, pixel_gate], _MUL), net.add("BinaryOp", [s, channel_gate], _MUL)]
    return net.add("Concat", gated, "0=0")


def _attention(net: _Net, x: str, attention: Attention, config: LAMNetConfig, across: bool) -> str:
    """Add FSA: crops of x, each weighted by its tap, whose weights per head are repeated for the head's channels."""
    weights = net.add("TanH", [net.conv(net.conv(x, attention.depthwise), attention.project)])
    taps, heads, repeats = config.window.taps, config.heads, config.channels // 2 // config.heads
    sizes = ",".join([str(heads)] * taps)
    names = [f"{weights}t{tap}" for tap in range(taps)]
    by_tap = net.fan("Slice", [weights], f"-23300={taps},{sizes} 1=0", names) if taps > 1 else [weights]
    terms = [
        net.add("BinaryOp", [values, net.add("Concat", [weight] * repeats, "0=0") if repeats > 1 else weight], _MUL)
        for values, weight in zip(_taps(net, x, config.window, across), by_tap, strict=True)
    ]
    return net.add("Eltwise", terms, "0=1") if taps > 1 else terms[0]


def _taps(net: _Net, x: str, window: Window, across: bool) -> list[str]:
    """Add for every tap the mean of its pixels around each pixel of x, zero outside."""
    before = max(0, -min(window.starts))
    after = max(0, *(start + length - 1 for start, length in zip(window.starts, window.lengths, strict=True)))
    padded = net.add("Padding", [x], f"2={before} 3={after}" if across else f"0={before} 1={after}")
    means = {1: padded}
    taps: list[str] = []
    for start, length in zip(window.starts, window.lengths, strict=True):
        if length not in means:
            kernel = f"1={length} 11=1" if across else f"1=1 11={length}"
            means[length] = net.add("Pooling", [padded], f"0=1 {kernel} 2=1 5=1")
        front, back = start + before, after - (start + length - 1)
        offsets = f"0={front} 6={back}" if across else f"1={front} 7={back}"
        taps.append(net.add("Crop", [means[length]], f"{offsets} 3=-233 4=-233 5=-233"))
    return taps


def _heads_inside(block: Block, config: LAMNetConfig) -> Block:
    """Reorder the channels of a block's branches: all heads of a place follow each other, not all places of a head."""
    inner = config.channels // 2
    order = np.arange(inner).reshape(config.heads, -1).T.ravel()
    both = np.concatenate([order, order + inner])

    def outputs(conv: Conv) -> Conv:
        return replace(conv, weight=conv.weight[order], bias=conv.bias[order])

    def attention(old: Attention) -> Attention:
        return Attention(outputs(old.depthwise), Conv(old.project.weight[:, order], old.project.bias))

    return Block(
        channel_in=block.channel_in,
        channel_out=outputs(block.channel_out),
        value=outputs(block.value),
        horizontal=attention(block.horizontal),
        vertical=attention(block.vertical),
        project_out=Conv(block.project_out.weight[:, both], block.project_out.bias),
        ffn_in=block.ffn_in,
        ffn_depthwise=block.ffn_depthwise,
        ffn_out=block.ffn_out,
    )
