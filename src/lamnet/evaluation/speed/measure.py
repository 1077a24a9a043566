"""Time and peak memory of one call, by a clock or device events, and by resident or allocated memory."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

_SHORTEST = 0.02  # seconds between two device events: shorter work is repeated


@dataclass
class Timed:
    """Work that is timed repeatedly; `samples` are seconds a call, `amount` is the work of a call, for the rate.

    `pause` are seconds of rest before each: PyTorch's threads keep a processor busy for some time after their work.
    """

    run: Callable[[], object]
    device: torch.device
    amount: float = 0.0
    repeats: int = 1
    pause: float = 0.0
    samples: list[float] = field(default_factory=list[float])

    def warm_up(self) -> None:
        """Make two calls that do not count; on a GPU they set the number of repeats between two events."""
        self._seconds()
        seconds = self._seconds()
        if self.device.type == "cuda":
            self.repeats = max(1, math.ceil(_SHORTEST / max(seconds, 1e-6)))

    def sample(self) -> None:
        self.samples.append(self._seconds())

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def rate(self) -> float:
        """The amount of work done per second."""
        return self.amount / self.median

    @property
    def best_rate(self) -> float:
        """The most work that was done per second."""
        return self.amount / min(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """First and third quartile."""
        if len(self.samples) < 2:
            return self.median, self.median
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return low, high

    def _seconds(self) -> float:
        time.sleep(self.pause)
        if self.device.type != "cuda":
            start = time.perf_counter()
            self.run()
            return time.perf_counter() - start
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(self.repeats):
            self.run()
        last.record()
        last.synchronize()
        return first.elapsed_time(last) / 1000 / self.repeats


def graphed(run: Callable[[], object]) -> Callable[[], object]:
    """Capture work as one CUDA graph. What `run` reads stays in memory as long as the result: the graph has its addresses."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()

    def replay(_: object = run) -> None:
        graph.replay()

    return replay


def peak_bytes(run: Callable[[], object], device: torch.device) -> int:
    """Measure the peak memory of one call beyond the memory in use before it.

    On a GPU it is PyTorch's memory there, elsewhere this process's resident memory: measure in a fresh process.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is resident now
        before = _resident("VmRSS")
        run()
        return _resident("VmHWM") - before
    except OSError:
        import resource  # not on Windows

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        run()
        return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))
