"""A training watched without packages: lines on stdout, metrics.jsonl, and PSNR of a few photographs every minute."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gpu.pack import Pack, reduced
from lamnet.base.files import write_text
from lamnet.evaluation.protocol import Meter, Protocol
from lamnet.training.learner import Learner

EVERY_S = 60.0
_HEARD_S = 10.0

Pairs = list[tuple[Tensor, NDArray[np.uint8]]]


def watched_pairs(pack: Pack, scale: int, device: torch.device) -> Pairs:
    """LR (1, 3, h, w) in [0, 1] on the device and HR (H, W, 3) of the photographs that are for watching alone."""
    pairs: Pairs = []
    for _, hr in pack.photographs(watched=True):
        lr = torch.from_numpy(reduced(hr, scale)).to(device)
        pairs.append((lr.permute(2, 0, 1)[None] / 255, hr))
    return pairs


class Watcher:
    """Stand-in for a `Monitor`, for the loop.

    Args:
        folder: of the run, for metrics.jsonl; lines of steps that were not saved are dropped.
        tell: gets what is known of the training whenever it has been looked at.
        name: of the training, before its lines.
    """

    wants_pictures = False

    def __init__(
        self, folder: Path, learner: Learner, pairs: Pairs, tell: Callable[[Mapping[str, Any]], None], name: str = ""
    ) -> None:
        self._path, self._learner, self._pairs, self.tell = folder / "metrics.jsonl", learner, pairs, tell
        self._meter = Meter(Protocol(metrics=("psnr_y",)), learner.recipe.scale)
        self._name = f"{name}: " if name else ""
        self._looked = self._heard = time.monotonic()
        self.seen: list[dict[str, float]] = []
        if self._path.exists():
            kept = [line for line in self._path.read_text().splitlines() if _step_of(line) <= learner.step]
            write_text(self._path, "".join(f"{line}\n" for line in kept))

    def say(self, line: str) -> None:
        """Print a line."""
        print(f"{self._name}{line}", flush=True)

    def show(self, step: int, done: float, metrics: dict[str, float]) -> None:
        """Record the metrics of a step, with PSNR once a minute."""
        now = time.monotonic()
        extra = self.look(step) if now - self._looked >= EVERY_S else {}
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **metrics, **extra}) + "\n")
        if extra or now - self._heard >= _HEARD_S:
            self._heard = now
            psnr = f"  {extra['psnr_y']:.3f} dB" if extra else ""
            self.say(
                f"step {step}  loss {metrics['loss']:.5f}  {metrics['images_per_s']:.1f} images/s  {done:.0%}{psnr}"
            )

    def look(self, step: int) -> dict[str, float]:
        """PSNR-Y of the moving average on the watched photographs, {} without any; what is known is told."""
        learner, recipe = self._learner, self._learner.recipe
        psnr = {"psnr_y": round(self._psnr(), 4)} if self._pairs else {}
        self.seen.append({"step": step, "elapsed_s": round(learner.elapsed, 1), **psnr})
        pixels = (learner.step - learner.begin) * recipe.batch * recipe.patch**2
        facts = {"phase": recipe.schedule, "step": learner.step, "elapsed_s": round(learner.elapsed, 1)}
        self.tell({**facts, "batch": recipe.batch, "patch": recipe.patch, "lr_pixels": pixels, "seen": self.seen})
        self._looked = time.monotonic()
        return psnr

    def _psnr(self) -> float:
        total = 0.0
        with torch.inference_mode():
            for lr, hr in self._pairs:
                out = self._learner.average(lr)[0].clamp(0, 1) * 255
                total += self._meter.scores(hr, out.round().byte().permute(1, 2, 0).cpu().numpy())["psnr_y"]
        return total / len(self._pairs)


def _step_of(line: str) -> float:
    """The step of a line of metrics; infinite of one that was cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
