"""Many pictures and videos in one call, one after another, and a record of what failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from lamnet.base import files
from lamnet.batch.jobs import Job
from lamnet.batch.one import Outcome, Upscalers, Work

if TYPE_CHECKING:
    pass


def run(
    jobs: Iterable[Job],
    one: Work,
    make: Callable[[], Upscalers],
    overwrite: bool,
    progress: Progress,
    total: int | None,
) -> Generator[Outcome]:
    """Upscale one picture after another; a problem with one is its outcome and leaves the others alone.

    Args:
        one: what upscales one of them: `upscale_one`, or a bucket's.
        total: how many there are, where that is known.
    """
    upscalers = make()
    whole = progress.add_task("all", total=total, visible=total != 1)
    for job in jobs:
        task = progress.add_task(ascii(job.source.name)[1:-1], total=1.0)
        yield one(job, upscalers, overwrite, lambda done, task=task: progress.update(task, completed=done))
        progress.remove_task(task)
        progress.advance(whole)


def recorded(outcomes: Generator[Outcome], manifest: Path | None) -> Generator[Outcome]:
    """The same outcomes; those that failed also go into a file, one JSON object a line, at the end.

    An interrupted call leaves those so far; one that ends before the first leaves the file that was there.
    """
    failed: list[str] = []
    known = False
    try:
        with closing(outcomes):
            for outcome in outcomes:
                known = True
                if outcome.problem is not None:
                    failed.append(json.dumps({"source": str(outcome.source), "problem": outcome.problem}))
                yield outcome
        known = True
    finally:
        if known and manifest is not None:
            with files.appearing(manifest) as partial:
                partial.write_text("".join(line + "\n" for line in failed))
