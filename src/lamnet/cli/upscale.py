"""`lamnet upscale`: pictures and videos, one or millions."""

from __future__ import annotations

import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lamnet.base import interrupts
from lamnet.cli import terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from lamnet.batch.jobs import Job
    from lamnet.batch.one import Outcome, Upscalers


def upscale(
    photos: list[str],
    /,
    *,
    out: Annotated[str | None, Parameter(alias="-o")] = None,
    scale: float | None = None,
    to: str | None = None,
    model: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    device: str | None = None,
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    memory: str | None = None,
    tile: int | None = None,
    exact: bool = False,
    ensemble: bool = False,
    max_pixels: int = 500_000_000,
    engine: Literal["local", "ray"] = "local",
    manifest: Path | None = None,
) -> None:
    """Upscale pictures and videos: photo.jpg becomes photo_x4.jpg beside it.

    The result has its source's format where that can hold it, else PNG, WebP or TIFF; depth, alpha, colour profile, EXIF,
    XMP, pages and timing are kept.

    Parameters
    ----------
    photos
        Files, folders whose pictures are all upscaled with those below, quoted patterns, or one bucket such as
        s3://bucket/folder.
    out
        The result's file (its name says the format), or a folder or bucket for the results.
    scale
        How many times as wide and high: 2, 3, 4, or a number between, for which a larger result is reduced. 4 when left
        out, or a weights file's own.
    to
        A size to fit into instead: 3840x2160, 3840x or x2160.
    model
        tiny, base, large, or a weights file; the best that ships when left out.
    overwrite
        Replace results that exist.
    dry_run
        Say what would be done, with memory and time, and do nothing.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    precision
        Of the network's arithmetic; auto is float32.
    memory
        What the process may use, such as 2GB; half of what is free when left out, on a CPU at most 2.5 GB.
    tile
        Pixels a side of the parts that a picture is cut into; as memory allows when left out.
    exact
        Cut pictures equal uncut ones to 1e-4, for more time and disk space.
    ensemble
        The mean over eight flips and rotations: a little better, eight times slower.
    max_pixels
        The most that a file's header may claim, all pages together.
    engine
        ray: many pictures at once, on the cluster that RAY_ADDRESS names or on this machine.
    manifest
        A file for what failed, one JSON object a line.
    """
    with interrupts.at_once():
        from lamnet.batch import buckets, jobs
        from lamnet.batch.one import Upscalers, upscale_one
        from lamnet.cli import values
        from lamnet.network import catalogue
        from lamnet.upscale.goal import Goal
        from lamnet.upscale.upscaler import Upscaler

    goal = values.goal_of(scale, to) or Goal(factor=catalogue.default_factor(model))
    bound = None if memory is None else values.bytes_of(memory)
    ready = partial(
        Upscaler,
        device=device,
        precision=precision,
        tile="auto" if tile is None else tile,
        memory=bound,
        exact=exact,
        ensemble=ensemble,
        goal=goal,
        max_pixels=max_pixels,
    )
    make = partial(Upscalers, catalogue.networks_for(model, goal.factor), goal, ready, max_pixels)
    if any(buckets.is_uri(name) for name in (*photos, out or "")):
        transfer = buckets.transfer(photos, out, f"_{goal}")
        plan, one, total = transfer.plan, transfer.upscale_one, None
        if dry_run:
            for line in transfer.describe():
                terminal.say(line)
            return
    else:
        plan, one = partial(jobs.plan, photos, out, f"_{goal}"), upscale_one
        total = sum(1 for _ in plan())
        if not total:
            terminal.complain(f"{', '.join(photos)}: no pictures there")
    with interrupts.by_exception():
        if dry_run:
            failed = _describe(plan(), make())
        else:
            failed = _upscale(partial(_engine(engine), plan(), one, make, overwrite, total=total), manifest)
    if failed:
        sys.exit(1)


def _engine(name: str) -> Callable[..., Generator[Outcome]]:
    from lamnet.batch import cluster, run

    return cluster.run if name == "ray" else run.run


def _upscale(run: Callable[..., Generator[Outcome]], manifest: Path | None) -> int:
    from lamnet.batch.run import recorded

    failed = 0
    with terminal.progress_bar() as progress, closing(recorded(run(progress=progress), manifest)) as outcomes:
        for outcome in outcomes:
            if outcome.problem is not None:
                failed += 1
                terminal.complain(outcome.problem)
                continue
            terminal.say(outcome.target)
            if outcome.kept:
                terminal.complain(f"{outcome.target}: was there already and is kept; --overwrite replaces it")
    return failed


def _describe(jobs: Iterable[Job], upscalers: Upscalers) -> int:
    from lamnet.batch import describe

    failed = 0
    for line in describe.describe(jobs, upscalers):
        if isinstance(line, str):
            terminal.say(line)
        else:
            failed += 1
            terminal.complain(line.problem)
    return failed
