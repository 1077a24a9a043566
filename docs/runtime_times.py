"""Times what else runs our networks, and others' networks, on a processor: the core, ONNX Runtime, OpenVINO, PyTorch.

python docs/runtime_times.py --size 320x180 --threads 1

All take turns, one call each a round. ONNX Runtime and OpenVINO run what `lamnet export` writes. Those of them that are not
installed are left out, and so are the peers without spandrel.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lamnet.base.errors import MissingExtraError
from lamnet.core import weights
from lamnet.core.network import Network
from lamnet.evaluation.speed import peers
from lamnet.network import onnx

PEERS = ("swinir-light", "safmn", "span")
Work = Callable[[], object]


def ours(model: str, x: Any, threads: int, folder: Path) -> Iterator[tuple[str, Work]]:
    """The core, and the exported network in each runtime that is here."""
    contents, path = weights.load(model, 4), folder / f"{model}.onnx"
    onnx.write(path, contents.config, contents.state)
    pixels = np.ascontiguousarray(x[0].transpose(1, 2, 0))
    for precision in ("float32", "bfloat16"):
        network = Network(contents.config, contents.state, precision, threads)
        yield f"{model} core {precision}", lambda network=network: network(pixels)
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        yield f"{model} onnxruntime {onnxruntime.__version__}", lambda: session.run(None, {"lr": x})
    except ImportError:
        print("onnxruntime: not installed")
    try:
        import openvino

        runtime = openvino.Core()
        graph = runtime.read_model(path)
        graph.reshape({"lr": x.shape})  # it is quicker where it knows the size
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        request = runtime.compile_model(graph, "CPU", settings).create_infer_request()
        yield f"{model} openvino {openvino.__version__.partition('-')[0]}", lambda: request.infer({"lr": x})
    except ImportError:
        print("openvino: not installed")


def others(x: Any, threads: int) -> Iterator[tuple[str, Work]]:
    """The peers in PyTorch, with random weights."""
    import torch

    torch.set_num_threads(threads)
    lr = torch.from_numpy(x)
    for name in PEERS:
        try:
            network = peers.build(name, 4)
        except MissingExtraError as error:
            print(f"{name}: {error}")
            continue
        yield name, torch.inference_mode()(lambda network=network: network(lr))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="320x180", help="width and height of the LR picture")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    x = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        works = [work for model in ("tiny", "base") for work in ours(model, x, options.threads, Path(folder))]
        works += others(x, options.threads)
        seconds: dict[str, list[float]] = {name: [] for name, _ in works}
        for name, work in works:
            start = time.perf_counter()
            work()
            print(f"{name}: first call {time.perf_counter() - start:.1f} s", flush=True)
        for _ in range(options.rounds):
            for name, work in works:
                start = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    for name, median in medians.items():
        first = medians[f"{name.split()[0] if name.split()[0] in ('tiny', 'base') else 'base'} core float32"]
        print(f"{name:32}{median:8.3f} s  {median / first:6.2f} times the core in float32")


if __name__ == "__main__":
    main()
