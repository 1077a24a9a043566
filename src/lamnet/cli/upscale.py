"""`lamnet upscale`: pictures and videos, one or millions."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lamnet.base import interrupts
from lamnet.cli import terminal

if TYPE_CHECKING:
    from lamnet.batch.outcome import Outcome
    from lamnet.batch.request import Request


def upscale(
    photos: list[str],
    /,
    *,
    out: Annotated[str | None, Parameter(alias="-o")] = None,
    scale: float | None = None,
    to: str | None = None,
    model: str | None = None,
    weights: Literal["auto", "clean", "photo"] = "auto",
    strength: float | None = None,
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
        Factor of width and height: 2, 3, 4, or a number between, for which a larger result is reduced. When left out, 4,
        or a weights file's own. 1 restores without enlarging, with photo weights.
    to
        A size to fit into instead: 3840x2160, 3840x or x2160.
    model
        tiny, base, large, tiny:photo, or a weights file; the best that ships when left out.
    weights
        photo: for pictures that JPEG, noise or a soft lens have been at. clean: for others. auto: what suits each picture,
        by its file or its pixels; a line on stderr says which and why.
    strength
        Instead, a mix for all pictures, from 0 (clean) to 1 (photo).
    overwrite
        Replace results that exist.
    dry_run
        Print what would be done, with memory and time, and do nothing.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    precision
        Number format of the network's arithmetic; auto is float32.
    memory
        Memory that the process may use, such as 2GB; half of what is free when left out, on a CPU at most 2.5 GB.
    tile
        Side in pixels of the tiles that a picture is cut into; as large as memory allows when left out.
    exact
        Make cut pictures equal uncut ones to 1e-4, for more time and disk space.
    ensemble
        Take the mean over eight flips and rotations: a little better, eight times slower.
    max_pixels
        Largest number of pixels that a file's header may claim, all pages together.
    engine
        local: one picture after another. ray: many at once, on the cluster that RAY_ADDRESS names or on this machine.
    manifest
        A file that lists what failed, one JSON object a line.
    """
    with interrupts.at_once():
        from lamnet.batch.request import Request
        from lamnet.cli import values

    request = Request(
        sources=tuple(photos),
        out=out,
        goal=values.goal_of(scale, to),
        model=model,
        weights=None if weights == "auto" else weights,
        strength=strength,
        device=device,
        precision=precision,
        memory=None if memory is None else values.bytes_of(memory),
        tile=tile,
        exact=exact,
        ensemble=ensemble,
        max_pixels=max_pixels,
        overwrite=overwrite,
        manifest=manifest,
    )
    tried, failed = _describe(request) if dry_run else _upscale(request, engine)
    if not tried:
        terminal.complain(f"{', '.join(photos)}: no pictures there")
    if failed:
        sys.exit(1)


def _upscale(request: Request, engine: Literal["local", "ray"]) -> tuple[int, int]:
    """Carry a request out, printing each outcome; returns how many there were, and how many failed."""
    with interrupts.at_once():
        from lamnet.batch import cluster, local
        from lamnet.network import runtime

        if request.device is None and engine == "local" and (chosen := runtime.chosen()):
            terminal.note(f"upscaling on {chosen}")
    tried = failed = 0
    events = cluster.run(request) if engine == "ray" else local.run(request)
    with interrupts.by_exception(), closing(events), terminal.without_progress(events) as outcomes:
        for outcome in outcomes:
            tried += 1
            failed += outcome.problem is not None
            _print(outcome)
    return tried, failed


def _print(outcome: Outcome) -> None:
    if outcome.problem is not None:
        terminal.complain(outcome.problem)
        return
    terminal.say(outcome.target)
    if outcome.choice is not None:
        terminal.note(f"{outcome.target}: {outcome.choice}")
    if outcome.kept:
        terminal.complain(f"{outcome.target}: was there already and is kept; --overwrite replaces it")


def _describe(request: Request) -> tuple[int, int]:
    """Print what a request would do; returns how many lines there were, and how many sources would fail."""
    with interrupts.at_once():
        from lamnet.batch import describe

    tried = failed = 0
    with interrupts.by_exception():
        for line in describe.describe(request):
            tried += 1
            if isinstance(line, str):
                terminal.say(line)
            else:
                failed += 1
                terminal.complain(line.problem)
    return tried, failed
