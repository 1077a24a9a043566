"""A file that lists the failures of a call, for the next call or for a person."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from lamnet.base import files
from lamnet.base.errors import BadImageError
from lamnet.batch.outcome import Event, Outcome


def recorded(events: Generator[Event], manifest: Path | None) -> Generator[Event]:
    """Pass events on, and at the end write the outcomes that failed to a file, one JSON object a line.

    An interrupted call writes those so far; a call without any outcome keeps an earlier file. Raises BadImageError, before
    anything is done, where the file could not be written.
    """
    if manifest is not None:
        files.check_place(manifest, BadImageError)
    failures: list[str] = []
    tried = False
    try:
        with closing(events):
            for event in events:
                tried = tried or isinstance(event, Outcome)
                if isinstance(event, Outcome) and event.problem is not None:
                    failures.append(json.dumps({"source": str(event.source), "problem": event.problem}) + "\n")
                yield event
        tried = True
    finally:
        if tried and manifest is not None:
            files.write_text(manifest, "".join(failures), BadImageError)
