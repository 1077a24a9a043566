"""The process that does the work: tasks come as lines of JSON on stdin, events go as lines of JSON to stdout.

It ends when the server does, even a server that was killed: then it removes the server's folder too.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from lamnet.batch import describe, one
from lamnet.batch.jobs import Job
from lamnet.batch.outcome import Outcome, failed
from lamnet.batch.request import Request
from lamnet.batch.upscalers import Upscalers
from lamnet.server.options import for_clients, request_of
from lamnet.server.settings import Engine
from lamnet.upscale.engines import seconds_per_pixel
from lamnet.upscale.planner import Planner

_SMALL = 2 * 128 * 128  # pixels that are done sooner than a speed is measured
_FOLDERS = re.compile(r"(?<![\w/:.])(?:[A-Za-z]:)?[\\/](?:[^\s\\/:'\"]+[\\/])+")


@dataclass
class Ready:
    """The networks of a request, and seconds per pixel of those that were timed."""

    upscalers: Upscalers
    speeds: dict[Planner, float] = field(default_factory=dict[Planner, float])


@lru_cache(maxsize=4)
def ready_for(request: Request) -> Ready:
    """Load the networks for a request; those of the last few stay. Raises as `Upscalers.of`."""
    return Ready(Upscalers.of(request))


def events_of(task: Mapping[str, Any], engine: Engine) -> Generator[dict[str, Any]]:
    """Upscale the file of a task: a line for an estimate in seconds, lines for the share done, and one for the outcome."""
    job = Job(Path(task["source"]), Path(task["target"]))
    target = job.target
    try:
        ready = ready_for(request_of(task["options"], engine))
        opened = one.open_job(job, ready.upscalers)
        target = opened.target
        yield {"estimate": _estimate(opened, ready)}
        notes = yield from _written(opened)
        outcome = Outcome(job.source, target, notes=notes, choice=opened.choice)
    except Exception as error:
        outcome = failed(job.source, target, error)
    yield {"outcome": _for_clients(outcome, job.source.parent)}


def _written(opened: one.Opened) -> Generator[dict[str, Any], None, tuple[str, ...]]:
    """Write the result with a line for each share done; returns its notes."""
    with closing(one.write(opened, "")) as progress:
        while True:
            try:
                yield {"done": next(progress).done}
            except StopIteration as end:
                return end.value


def _estimate(opened: one.Opened, ready: Ready) -> float | None:
    """Seconds for the work, as a dry run would say; None where it is too little to time anything for."""
    planner, (width, height) = opened.planner, opened.shown_size
    plan, passes = planner.plan(height, width), describe.passes_of(opened.source)
    if plan.pixels * passes < _SMALL:
        return None
    if planner not in ready.speeds:
        ready.speeds[planner] = seconds_per_pixel(planner.engine)
    return describe.seconds_of(plan, passes, ready.speeds[planner])


def _for_clients(outcome: Outcome, folder: Path) -> dict[str, Any]:
    """An outcome as clients may see it: no folder of this machine is in it, and no option that they do not have."""
    reason, *notes = (for_clients(without_folders(text, folder)) for text in (outcome.reason or "", *outcome.notes))
    return {
        "file": Path(outcome.target).name,
        "error": reason or None,
        "notes": notes,
        "weights": None if outcome.choice is None else str(outcome.choice),
    }


def without_folders(text: str, folder: Path) -> str:
    """Return a message with the names of files alone where it has their paths, in this folder or elsewhere."""
    return _FOLDERS.sub("", text.replace(f"{folder}{os.sep}", ""))


def _listen(tasks: SimpleQueue[dict[str, Any]], cancelled: threading.Event, folder: Path) -> None:
    """Take what the server says until it is gone, and end this process then, whatever it is doing."""
    for line in sys.stdin:
        message = json.loads(line)
        if "cancel" in message:
            cancelled.set()
        else:
            cancelled.clear()
            tasks.put(message)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def main() -> None:
    """Do tasks until stdin ends. The arguments are the server's folder and an Engine as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the server
    logging.getLogger("pyvips").setLevel(logging.ERROR)
    folder, engine = Path(sys.argv[1]), Engine(**json.loads(sys.argv[2]))
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no event
    tasks, cancelled = SimpleQueue[dict[str, Any]](), threading.Event()
    threading.Thread(target=_listen, args=(tasks, cancelled, folder), daemon=True).start()
    while True:
        with closing(events_of(tasks.get(), engine)) as events:
            for event in events:
                if cancelled.is_set() and "outcome" not in event:
                    event = {"outcome": {"error": "cancelled"}}
                print(json.dumps(event), file=channel, flush=True)
                if "outcome" in event:
                    break


if __name__ == "__main__":
    main()
