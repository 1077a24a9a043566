"""Pictures for the page in a browser, what the command makes of them, and how near the page has to come."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PATIENCE = 600  # seconds


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGBA")).astype(np.int16)


def by_command(path: Path, target: Path, *options: str) -> tuple[np.ndarray, str]:
    """What the command makes of a picture, and what it says."""
    call = [sys.executable, "-m", "lamnet", "upscale", path, "--model", "tiny", *options, "-o", target]
    done = subprocess.run([str(word) for word in call], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pixels_of(target), done.stderr


def check_equal(page: np.ndarray, command: np.ndarray) -> None:
    """To one level in every pixel; the colours of what is not there at all do not count."""
    assert page.shape == command.shape
    assert np.array_equal(page[..., 3], command[..., 3]) or np.abs(page[..., 3] - command[..., 3]).max() <= 1
    assert np.abs(page - command)[command[..., 3] > 0].max() <= 1


def until(page: Any, true: Callable[[], bool]) -> None:
    """Wait for what no element of the page shows."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        page.wait_for_timeout(100)


def picture(kind: str, folder: Path, photograph: np.ndarray) -> Path:
    image, path = Image.fromarray(photograph), folder / "picture.png"
    if kind == "grey":
        image = image.convert("L")
    elif kind == "palette":
        image = image.convert("P")
    elif kind in ("alpha", "webp"):
        rows, columns = np.mgrid[: image.height, : image.width]
        alpha = (np.hypot(rows - 50, columns - 70) * 6 - 120).clip(0, 255).astype(np.uint8)
        image.putalpha(Image.fromarray(alpha))
        path = path.with_suffix(".webp") if kind == "webp" else path
    elif kind.startswith("jpeg"):
        path, exif = path.with_suffix(".jpg"), Image.Exif()
        exif[0x112] = int(kind.split()[1])
        image.save(path, quality=int(kind.split()[2]), exif=exif)
        return path
    image.save(path)
    return path
