"""Settings of one call, and the places of its files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamnet.base.errors import BadDataError
from lamnet.base.files import appearing, write_text

SCALE = 4


@dataclass(frozen=True)
class Call:
    """One call of `make gpu`.

    Attributes:
        folder: of all that calls share.
        out: gets the results: seven small files.
        until: when the call must be over, as of time.time().
        cooldown: seconds at its end for a cool-down.
        dry: go through everything on the processor, in small.
    """

    folder: Path
    out: Path
    until: float
    cooldown: float = 0.0
    dry: bool = False

    @property
    def photos(self) -> Path:
        """The pack."""
        return self.folder / "feed" / "photos.pack"

    @property
    def start(self) -> Path:
        """The weights that the first call starts from."""
        return self.folder / "feed" / "start.pth"

    @property
    def recipe(self) -> Path:
        """The recipe of its stable phase; without one, base x4's."""
        return self.folder / "feed" / "recipe.toml"

    @property
    def fleet(self) -> list[Path]:
        """The recipes of trainings that go on at the same time, NAME.toml with NAME.pth to start from beside it; [] for one alone."""
        return sorted((self.folder / "feed" / "fleet").glob("*.toml"))

    @property
    def state(self) -> Path:
        """The stable phase's run folder, from which the next call goes on."""
        return self.folder / "state"

    @property
    def cool(self) -> Path:
        """The run folder of this call's cool-down."""
        return self.folder / "cool"

    @property
    def set(self) -> Path:
        """The pack as a prepared set."""
        return self.folder / "set"

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.time()

    def findings(self, stage: str) -> dict[str, Any]:
        """Return what a stage has found so far, in this call or an earlier one; {} for nothing."""
        return self._read(self.folder / "work" / f"{stage}.json") or self.results().get(stage, {})

    def say(self, stage: str, found: Mapping[str, Any]) -> None:
        """Record what a stage has found so far, so that it is there should the stage end here."""
        path = self.folder / "work" / f"{stage}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(found, indent=1))

    def results(self) -> dict[str, Any]:
        """Return what all stages have found, by name."""
        return self._read(self.state / "results.json")

    def record(self, stage: str, found: Mapping[str, Any]) -> None:
        """Add to the results, which go along to the next call."""
        self.state.mkdir(parents=True, exist_ok=True)
        write_text(self.state / "results.json", json.dumps({**self.results(), stage: found}, indent=1))

    def mirror(self) -> None:
        """Bring what has changed of checkpoint, metrics and weights to where results go, each whole."""
        self.out.mkdir(parents=True, exist_ok=True)
        for name in ("checkpoint.pt", "recipe.json", "metrics.jsonl", "results.json"):
            _copy(self.state / name, self.out / name)
        for name in ("weights.safetensors", "weights.pth", "card.md"):
            cooled = self.cool / name
            _copy(cooled if cooled.exists() else self.state / name, self.out / name)
        for path in self.fleet:
            for suffix in (".safetensors", ".pth"):
                stable, cooled = (
                    folder / path.stem / f"weights{suffix}" for folder in (self.folder / "fleet", self.cool)
                )
                _copy(cooled if cooled.exists() else stable, self.out / f"{path.stem}{suffix}")

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError):
            return {}


def _copy(source: Path, target: Path) -> None:
    """Copy a file that is not there in this form, atomically."""
    if not source.exists():
        return
    found = source.stat()
    if target.exists() and (target.stat().st_mtime_ns, target.stat().st_size) == (found.st_mtime_ns, found.st_size):
        return
    with appearing(target, BadDataError) as partial:
        partial.write_bytes(source.read_bytes())
        os.utime(partial, ns=(found.st_atime_ns, found.st_mtime_ns))
