"""What a training says of itself: the terminal and metrics.jsonl."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Monitor:
    """Progress on stderr and one JSON line per measurement in `out`/metrics.jsonl.

    `step` is where the training goes on: later lines, of steps that a cut-off run did but did not save, are dropped.
    A silent monitor (of all workers but the first) does nothing.
    """

    def __init__(self, out: Path, step: int, silent: bool) -> None:
        self._silent = silent
        self._console = Console(stderr=True, quiet=silent)
        columns = (BarColumn(20), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._progress = Progress(TextColumn("{task.description}"), *columns, console=self._console, disable=silent)
        self._task = self._progress.add_task(f"step {step}", total=1.0)
        self._psnr = ""
        if not silent:
            path = out / "metrics.jsonl"
            _drop_after(path, step)
            self._file = path.open("a")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        if not self._silent:
            self._file.close()

    def show(self, step: int, done: float, metrics: dict[str, Any]) -> None:
        """Record a line of metrics; `done` is the part of the training that lies behind, 0..1."""
        if self._silent:
            return
        self._file.write(json.dumps({"step": step, **metrics}) + "\n")
        self._file.flush()
        if "psnr_y" in metrics:
            self._psnr = f"  PSNR {metrics['psnr_y']:.2f} dB"
        text = f"step {step}  loss {metrics['loss']:.5f}  {metrics['images_per_s']:.1f} images/s{self._psnr}"
        self._progress.update(self._task, completed=done, description=text)
        if "psnr_y" in metrics and not self._console.is_terminal:
            self._console.print(f"{text}  {done:.0%}")


def _drop_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(line for line in lines if json.loads(line)["step"] <= step))
    os.replace(partial, path)
