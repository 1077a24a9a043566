"""Prints where the kernels' time goes: of each its share of a call, its arithmetic and memory rates beside the machine's.

A kernel's time is that of its quickest call times its calls, so a machine that does something else besides still tells
the kernels apart. The whole call has PyTorch's part too: the 3x3 convolutions around the blocks, autograd, dispatch.

python docs/kernel_times.py base --size 320x180 --threads 2
python docs/kernel_times.py tiny --training --dtype bfloat16
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable

import torch

from lamnet.core.config import LAMNetConfig
from lamnet.network.model import LAMNet
from lamnet.ops import kernels, native
from lamnet.ops.c_struct import Struct

CONFIGS = {"tiny": LAMNetConfig.tiny, "base": LAMNetConfig.base, "large": LAMNetConfig.large}
ROUNDS = 9
NARROW = 4  # channels over those of the channel branch's relu


def costs(config: LAMNetConfig, kept: bool) -> dict[str, tuple[int, int]]:
    """Count the multiply-adds of a pixel and the numbers read and written by each entry, if no cache holds an image."""
    c, d, n, h = config.channels, config.channels // 2, config.channels // NARROW, 2 * config.hidden
    taps, span = config.window.taps, config.window.span
    g = config.heads * taps
    return {
        "branches": (c * c + 2 * d * n, 2 * c),
        "focal": (d * (span + g + taps), c + g * kept),
        "exchange_means": (c, c),
        "exchange": (c * c, 3 * c),
        "feed_forward": (h * (2 * c + 9), 2 * c + h * kept),
        "feed_forward_backward": (h * (4 * c + 27), 3 * c + h),
        "exchange_backward": (2 * c * c, 6 * c),
        "focal_backward": (d * (3 * span + 2 * g + 2 * taps), 3 * d + g),
        "branches_backward": (2 * c * c + c * d + 5 * d * n, 4 * c),
    }


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ceilings(dtype: torch.dtype) -> tuple[float, float]:
    """Multiply-adds a second of a product of 512 cubed, bytes a second of a copy of 64 MiB; the best of short tries."""
    a, b = (torch.ones(512, 512, dtype=dtype) for _ in range(2))
    source, target = torch.ones(2**26, dtype=torch.uint8), torch.zeros(2**26, dtype=torch.uint8)
    products = min(seconds(lambda: torch.mm(a, b)) for _ in range(10 * ROUNDS))
    copies = min(seconds(lambda: target.copy_(source)) for _ in range(10 * ROUNDS))
    return 512**3 / products, 2 * source.numel() / copies


def timed(work: Callable[[], object]) -> tuple[float, dict[str, list[float]]]:
    """The least seconds of the whole work, and of every entry those of all its calls."""
    entries: dict[str, list[float]] = defaultdict(list)
    call = kernels.call

    def timed_call(arguments: Struct) -> None:
        entries[arguments.c_name.removesuffix("_arguments")].append(seconds(lambda: call(arguments)))

    work()
    kernels.call = timed_call
    total = min(seconds(work) for _ in range(ROUNDS))
    kernels.call = call
    return total, entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=CONFIGS)
    parser.add_argument(
        "--size", default="320x180", help="of the LR picture, or of a patch with --training, then 48x48"
    )
    parser.add_argument("--training", action="store_true", help="forward and backward of 8 patches")
    parser.add_argument("--dtype", default="float32", choices=[str(dtype).split(".")[1] for dtype in native.DTYPES])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config, dtype = CONFIGS[options.model](4), getattr(torch, options.dtype)
    width, height = (48, 48) if options.training else map(int, options.size.split("x"))
    x = torch.rand(8 if options.training else 1, 3, height, width)
    network = LAMNet(config).eval()

    def step() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            network(x).mean().backward()

    @torch.inference_mode()
    def forward() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            network(x)

    arithmetic, memory = ceilings(dtype)
    total, entries = timed(step if options.training else forward)
    pixels, size = x.shape[0] * width * height, torch.finfo(dtype).bits // 8
    print(f"ceilings: {2e-9 * arithmetic:.0f} GFLOP/s, {1e-9 * memory:.0f} GB/s")
    print(f"{'kernel':24}{'ms':>8}{'share':>8}{'GFLOP/s':>9}{'GB/s':>7}")
    spent = {entry: min(calls) * len(calls) / ROUNDS for entry, calls in entries.items()}
    for entry, calls in entries.items():
        multiply_adds, numbers = costs(config, options.training)[entry]
        least, share = min(calls), spent[entry] / sum(spent.values())
        rates = f"{2e-9 * multiply_adds * pixels / least:9.0f}{1e-9 * numbers * size * pixels / least:7.1f}"
        print(f"{entry:24}{1e3 * spent[entry]:8.1f}{share:8.0%}{rates}")
    print(f"{'the kernels':24}{1e3 * sum(spent.values()):8.1f}\n{'the whole call':24}{1e3 * total:8.1f}")


if __name__ == "__main__":
    main()
