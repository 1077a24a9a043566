"""The README's and the site's pages as a test reads them: their code, in order, and the inputs that it names."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from support.clips import clip

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """One block of code of a page.

    Attributes:
        page: its file.
        line: of the page that the block begins after.
        language: as the fence says it; empty where it does not.
    """

    page: Path
    line: int
    language: str
    text: str


def pages() -> list[Path]:
    """README, RESULTS.md and the pages right in docs/ that the site's navigation names."""
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    listed = [DOCS / name for name in _page_names(site["nav"]) if "/" not in name]
    return [ROOT / "README.md", ROOT / "RESULTS.md", *(page for page in listed if page.exists())]


def _page_names(entries: list[Mapping[str, object]]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            if isinstance(value, str):
                yield value
            elif isinstance(value, list):
                yield from _page_names(value)


def snippets(page: Path) -> list[Snippet]:
    """The fenced blocks of a page. Fails on code that is indented instead, which no test would see."""
    text = page.read_text(encoding="utf-8")
    found = [Snippet(page, text[: match.start(2)].count("\n"), match[1], match[2]) for match in _FENCE.finditer(text)]
    left = _FENCE.sub("", text)
    assert "```" not in left, f"{page.name}: a fence that does not end at the margin"
    assert not re.search(r"\n\n(?: {4}|\t)\S", left), f"{page.name}: code that is indented; fence it"
    return found


def inputs(folder: Path, photo_size: tuple[int, int] = (48, 60)) -> None:
    """Make what the pages name: photographs, LR of them, benchmark sets, a clip, runs; all small."""
    rng = np.random.default_rng(0)
    for name in ("photos/a", "photos/below/c"):
        _picture(folder / f"{name}.png", rng, photo_size)
    for name in ("a", "below/c"):
        with Image.open(folder / "photos" / f"{name}.png") as hr:
            target = folder / "lr" / f"{name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            hr.reduce(4).save(target)
    for one in ("Set5", "Set14", "B100"):
        _picture(folder / "benchmarks" / one / "HR" / "one.png", rng, (60, 72))
    _picture(folder / "photo.jpg", rng, (40, 48))
    _picture(folder / "in.tif", rng, (24, 24))
    _picture(folder / "scans" / "s.png", rng, (24, 24))
    _picture(folder / "coffee.png", rng, (120, 160))
    _picture(folder / "chelsea.png", rng, (128, 128))
    clip(folder, "clip.mp4")
    for run in ("tiny_x4", "tiny_x4b", "base_x4", "base_x4d"):
        _run(folder / "runs" / run)
    for results in ("docs/results", "src/lamnet/pretrained"):
        (folder / results).mkdir(parents=True)


def _picture(path: Path, rng: np.random.Generator, size: tuple[int, int]) -> None:
    height, width = size
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path)


def _run(folder: Path) -> None:
    folder.mkdir(parents=True)
    point = {"loss": 0.1, "lr": 1e-3, "psnr_y": 30.0}
    lines = [json.dumps({"step": step, **point, "elapsed_s": 10.0 * step}) for step in (100, 200)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
