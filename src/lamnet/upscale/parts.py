"""Finished parts of a video on disk, which outlive an interruption, and a record of all that they depend on."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lamnet.base import files, records
from lamnet.base.errors import BadImageError
from lamnet.upscale.plan import Plan

RECORD = "plan.json"
# All files of the folder besides the record: parts, their times, and partial files of an interrupted call.
_FILES = ("[0-9]*.mkv", "[0-9]*.json", "[0-9]*.partial", ".[0-9]*.partial")


class Parts:
    """The folder of a video's parts, hidden in the folder of the target.

    Args:
        folder: may be missing.
        origin: all that parts depend on besides their plan, as JSON; parts of another origin are not used.
    """

    def __init__(self, folder: Path, origin: dict[str, Any]) -> None:
        self.folder = folder
        self._record = folder / RECORD
        self._origin: dict[str, Any] = json.loads(json.dumps(origin))

    def recorded_plan(self) -> Plan | None:
        """Read the plan of parts that can be used; None where a run has to start anew."""
        try:
            known = dict(records.mapping(records.parsed(files.read_text(self._record)), RECORD))
            plan = records.record(Plan, known.pop("plan", None), "plan")  # which earlier versions did not record
        except (FileNotFoundError, ValueError):
            return None
        counts = (plan.height, plan.width, plan.tile if plan.tile is not None else 1)
        usable = min(counts) > 0 and plan.overlap >= 0 and plan.memory >= 0
        return plan if usable and known == self._origin else None

    def begin(self, plan: Plan) -> None:
        """Start anew with this plan. Raises BadImageError where the folder has other files in it."""
        partial = files.partial_of(self._record)
        if self.folder.exists() and not self._record.exists() and set(self.folder.iterdir()) - {partial}:
            raise BadImageError(f"{self.folder}: expected a folder for parts of the video, found other files in it")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._clear()
        files.write_text(self._record, json.dumps({**self._origin, "plan": asdict(plan)}, indent=1), BadImageError)

    def path(self, number: int) -> Path:
        """Name the file of a part."""
        return self.folder / f"{number:06d}.mkv"

    def drop(self) -> None:
        """Remove the folder and its files, except those that are not ours."""
        self._clear()
        self._record.unlink()
        with suppress(OSError):
            self.folder.rmdir()

    def _clear(self) -> None:
        for pattern in _FILES:
            for path in self.folder.glob(pattern):
                path.unlink()
