"""Monitoring of a training: progress on the terminal, metrics.jsonl, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lamnet.base import records
from lamnet.base.errors import BadDataError
from lamnet.base.extras import require
from lamnet.base.files import read_text, write_text
from lamnet.base.lines import one_line
from lamnet.training.folder import METRICS

Metrics = Mapping[str, float | str]
"""Of a step, by name; "degrade" alone is text, the condition that "psnr_y" was measured under."""


class Monitor:
    """Progress on stderr, one JSON line per measurement in `out`/metrics.jsonl, on demand TensorBoard's files.

    Args:
        out: the training's folder.
        step: at which the training continues; lines of later steps, which an interrupted run did not save, are dropped.
        done: share of the training that is over then, 0..1.
        active: false for all workers but the first, whose monitor alone does anything.
        tensorboard: write curves and pictures for TensorBoard, too.

    Raises:
        BadDataError: metrics.jsonl holds something else, or cannot be written.
        MissingExtraError: TensorBoard does not import here.
    """

    def __init__(self, out: Path, step: int, done: float = 0.0, active: bool = True, tensorboard: bool = False) -> None:
        self._console = Console(stderr=True, quiet=not active)
        columns = (BarColumn(20), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._progress = Progress(TextColumn("{task.description}"), *columns, console=self._console, disable=not active)
        self._task = self._progress.add_task(f"step {step}", total=1.0)
        self._progress.update(self._task, completed=done)
        self._psnr = ""
        self._path = out / METRICS if active else None
        self._board: Any = _board(out, step) if active and tensorboard else None
        if self._path is not None:
            _drop_after(self._path, step or -1)  # the start is validated again

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        if self._board is not None:
            self._board.close()

    def say(self, line: str) -> None:
        """Print a line on the terminal."""
        text = one_line(line, self._console.encoding)
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, step: int, done: float, metrics: Metrics) -> None:
        """Record the metrics of a step; `done` is the share of the training that is over, 0..1."""
        if self._path is None:
            return
        try:
            with self._path.open("a") as file:
                file.write(json.dumps(records.finite({"step": step, **metrics}), allow_nan=False) + "\n")
        except OSError as error:
            raise BadDataError(f"{self._path}: step {step} cannot be recorded ({error.strerror})") from error
        if self._board is not None:
            for name, value in metrics.items():
                if not isinstance(value, str):
                    self._board.add_scalar(name, value, step)
        if "psnr_y" in metrics:
            under = f" ({metrics['degrade']})" if "degrade" in metrics else ""
            self._psnr = f"  PSNR {metrics['psnr_y']:.2f} dB{under}"
        speed = f"  loss {metrics['loss']:.5f}  {metrics['images_per_s']:.1f} images/s" if "loss" in metrics else ""
        text = f"step {step}{speed}{self._psnr}"
        self._progress.update(self._task, completed=done, description=text)
        if "psnr_y" in metrics and not self._console.is_terminal:
            self.say(f"{text}  {done:.0%}")

    @property
    def wants_pictures(self) -> bool:
        """True where `picture` records pictures."""
        return self._board is not None

    def picture(self, step: int, name: str, pixels: NDArray[np.uint8]) -> None:
        """Record a validation picture, (H, W, 3)."""
        if self._board is not None:
            self._board.add_image(name, pixels, step, dataformats="HWC")


def _board(out: Path, step: int) -> Any:
    board = require("torch.utils.tensorboard", "tensorboard", "TensorBoard's record")
    purged = step + 1 if step else 0  # the step itself is recorded, but the start is validated again
    return board.SummaryWriter(out / "tensorboard", purge_step=purged)


def _drop_after(path: Path, step: int) -> None:
    """Remove the lines after a step, and one that was cut off."""
    if not path.exists():
        return
    try:
        text = read_text(path, errors="replace")
    except (OSError, ValueError) as error:
        raise BadDataError(f"{path}: expected metrics, found {error}") from error
    lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    kept: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            entry = records.mapping(records.parsed(line), "line")
            if records.whole(entry.get("step"), "step") <= step:
                kept.append(line)
        except ValueError as error:
            raise BadDataError(
                f"{path}: expected an object with a step in line {number}, found {line[:40]!r}"
            ) from error
    write_text(path, "".join(kept))
