"""A network as an ONNX file, written node by node from its folded weights: no PyTorch and no converter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError
from lamnet.base.extras import require
from lamnet.base.files import appearing
from lamnet.core.config import SIZES, LAMNetConfig
from lamnet.core.window import Window
from lamnet.network.folding import Attention, Block, Conv, Folded, State, fold

OPSET = 18
IR_VERSION = 8  # the oldest that holds this opset
_EPS = 1e-5  # of the norms
_TO_THE_END = np.iinfo(np.int64).max
_WIDTH, _HEIGHT = 3, 2


def write(
    path: Path, config: LAMNetConfig, state: State, half: bool = False, facts: Mapping[str, str] | None = None
) -> None:
    """Write a network as ONNX: "lr" (batch, 3, height, width) in [0, 1] -> "hr", `scale` times as high and wide, not clamped.

    It takes any batch and any size from 1x1. Tensors have four dimensions at most.

    Args:
        state: the tensors by their names in the network's state dict.
        half: keep the weights in float16, in half the space; the arithmetic stays float32.
        facts: further names and values for the file's metadata, such as the weights' license.

    Raises:
        BadArgumentError: the file cannot be written; an earlier one stays.
        MissingExtraError: onnx is not installed.
    """
    helper = require("onnx.helper", "onnx", f"{path}: ONNX")
    content = _model(helper, config, state, half, facts or {}).SerializeToString()
    with appearing(path, BadArgumentError) as partial:
        partial.write_bytes(content)


def _model(helper: Any, config: LAMNetConfig, state: State, half: bool, facts: Mapping[str, str]) -> Any:
    graph = _Graph(helper, half)
    _network(graph, fold(config, state))
    sizes = ("batch", 3, "height", "width")
    high, wide = ("height", "width") if config.scale == 1 else (f"{config.scale}*height", f"{config.scale}*width")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "lamnet",
            [helper.make_tensor_value_info("lr", 1, sizes)],
            [helper.make_tensor_value_info("hr", 1, ("batch", 3, high, wide))],
            initializer=graph.constants,
        ),
        producer_name="lamnet",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, {**_described(config), **facts})
    return model


def _described(config: LAMNetConfig) -> dict[str, str]:
    """Describe the network for the file's metadata."""
    size = next((f" {name}" for name, make in SIZES.items() if make(config.scale) == config), "")
    return {
        "name": f"LAMNet{size} x{config.scale}",
        "scale": str(config.scale),
        "input": "RGB, sRGB values as they are stored, in [0, 1]",
        "output": "RGB, nominally in [0, 1], not clamped",
        "paper": "https://arxiv.org/abs/2409.17597",
    }


class _Graph:
    """The nodes and constants added so far; each output is named by its number."""

    def __init__(self, helper: Any, half: bool) -> None:
        self.helper, self.half = helper, half
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: dict[tuple[str, bytes], str] = {}

    def add(self, kind: str, *inputs: str, outputs: int = 1, name: str | None = None, **attributes: Any) -> Any:
        """Add a node of ONNX; return the name of its output, or a list of names where it has several."""
        names = [name or f"v{len(self.nodes)}"] if outputs == 1 else [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(self.helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: NDArray[Any] | Sequence[int] | float) -> str:
        """Add a small constant, whole numbers as int64, others as float32; equal constants are stored once."""
        array = np.asarray(value, np.float32 if isinstance(value, float) else None)
        key = (f"{array.dtype} {array.shape}", array.tobytes())
        if key not in self._known:
            self._known[key] = self._store(array)
        return self._known[key]

    def weight(self, value: NDArray[np.float32]) -> str:
        """Add learned numbers, in float16 where half precision was asked for."""
        if not self.half:
            return self._store(value)
        return self.add("Cast", self._store(value.astype(np.float16)), to=1)

    def _store(self, array: NDArray[Any]) -> str:
        kind = self.helper.np_dtype_to_tensor_dtype(array.dtype)
        name = f"c{len(self.constants)}"
        self.constants.append(self.helper.make_tensor(name, kind, array.shape, array.tobytes(), raw=True))
        return name

    def conv(self, x: str, conv: Conv) -> str:
        rows, columns = conv.pads
        attributes: dict[str, Any] = {"pads": [rows, columns, rows, columns]} if rows or columns else {}
        if conv.depthwise:
            attributes["group"] = len(conv.weight)
        attributes["kernel_shape"] = conv.weight.shape[2:]
        return self.add("Conv", x, self.weight(conv.weight), self.weight(conv.bias), **attributes)

    def mean(self, x: str, *axes: int) -> str:
        return self.add("ReduceMean", x, self.constant(axes), keepdims=1)


def _network(graph: _Graph, net: Folded) -> None:
    shallow = graph.conv(graph.add("Sub", "lr", graph.constant(net.mean[:, None, None])), net.head)
    size = graph.add("Shape", "lr", start=2)
    deep = shallow
    for group in net.groups:
        x = deep
        for block in group.blocks:
            x = _block(graph, x, block, net.config, size)
        deep = graph.add("Add", deep, graph.add("Mul", x, graph.constant(group.scale[:, None, None])))
    deep = graph.add("Add", shallow, graph.conv(deep, net.fuse))
    tail = graph.conv(deep, net.tail)
    if net.config.scale == 1:
        graph.add("Identity", tail, name="hr")
    else:
        graph.add("DepthToSpace", tail, blocksize=net.config.scale, mode="CRD", name="hr")


def _block(graph: _Graph, x: str, block: Block, config: LAMNetConfig, size: str) -> str:
    n = _norm(graph, x)
    c = graph.conv(graph.add("Relu", graph.conv(n, block.channel_in)), block.channel_out)
    s = _attention(graph, graph.conv(n, block.value), block.horizontal, config, _WIDTH, size)
    s = _attention(graph, s, block.vertical, config, _HEIGHT, size)
    x = graph.add("Add", x, graph.conv(_exchange(graph, c, s), block.project_out))
    z = graph.conv(graph.conv(_norm(graph, x), block.ffn_in), block.ffn_depthwise)
    z1, z2 = graph.add("Split", z, outputs=2, axis=1, num_outputs=2)
    gelu = _gelu(graph, z1)
    gates = graph.add("Concat", graph.add("Mul", gelu, z1), graph.add("Mul", gelu, z2), axis=1)
    return graph.add("Add", x, graph.conv(gates, block.ffn_out))


def _norm(graph: _Graph, x: str) -> str:
    """Add a layer norm over the channels of each pixel, without gain and offset."""
    centred = graph.add("Sub", x, graph.mean(x, 1))
    variance = graph.mean(graph.add("Mul", centred, centred), 1)
    return graph.add("Div", centred, graph.add("Sqrt", graph.add("Add", variance, graph.constant(_EPS))))


def _gelu(graph: _Graph, x: str) -> str:
    """Add the exact GELU, in the five nodes that runtimes recognise and replace by one."""
    erf = graph.add("Erf", graph.add("Div", x, graph.constant(2.0**0.5)))
    return graph.add("Mul", graph.add("Mul", x, graph.add("Add", erf, graph.constant(1.0))), graph.constant(0.5))


def _exchange(graph: _Graph, c: str, s: str) -> str:
    """Add both branches with their gates (IEM), one after the other."""
    pixel_gate = graph.add("Sigmoid", graph.mean(graph.add("Mul", c, graph.mean(s, 2, 3)), 1))
    channel_gate = graph.add("Sigmoid", graph.mean(graph.add("Mul", s, graph.mean(c, 1)), 2, 3))
    return graph.add("Concat", graph.add("Mul", c, pixel_gate), graph.add("Mul", s, channel_gate), axis=1)


def _attention(graph: _Graph, x: str, attention: Attention, config: LAMNetConfig, axis: int, size: str) -> str:
    """Add FSA: slices of x, each weighted by its tap. Pixels are one axis here, so that heads can be another."""
    weights = graph.add("Tanh", graph.conv(graph.conv(x, attention.depthwise), attention.project))
    inner, heads, window = config.channels // 2, config.heads, config.window
    flat = graph.add("Reshape", weights, graph.constant([0, heads * window.taps, 1, -1]))
    by_tap = graph.add("Split", flat, outputs=window.taps, axis=1, num_outputs=window.taps)
    shape = graph.constant([0, heads, inner // heads, -1])
    terms = [
        graph.add("Mul", graph.add("Reshape", values, shape), weight)
        for values, weight in zip(_taps(graph, x, window, axis), by_tap if window.taps > 1 else [by_tap], strict=True)
    ]
    total = graph.add("Sum", *terms)
    return graph.add("Reshape", total, graph.add("Concat", graph.constant([0, inner]), size, axis=0))


def _taps(graph: _Graph, x: str, window: Window, axis: int) -> list[str]:
    """Add for every tap the mean of its pixels around each pixel of x, zero outside."""
    before = max(0, -min(window.starts))
    after = max(0, *(start + length - 1 for start, length in zip(window.starts, window.lengths, strict=True)))
    pads = [0] * 8
    pads[axis], pads[axis + 4] = before, after
    padded = graph.add("Pad", x, graph.constant(pads), graph.constant(0.0))
    means = {1: padded}
    taps: list[str] = []
    for start, length in zip(window.starts, window.lengths, strict=True):
        if length not in means:
            kernel = (1, length) if axis == _WIDTH else (length, 1)
            means[length] = graph.add("AveragePool", padded, kernel_shape=kernel, strides=(1, 1))
        rest = after - (start + length - 1)  # pixels after the slice
        bounds = ([start + before], [-rest if rest else _TO_THE_END], [axis])
        taps.append(graph.add("Slice", means[length], *(graph.constant(bound) for bound in bounds)))
    return taps
