"""`lamnet upscale`: pictures and videos, one or millions."""

from __future__ import annotations

import json as json_lines
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lamnet.base import interrupts
from lamnet.cli import terminal

if TYPE_CHECKING:
    from lamnet.batch.outcome import Outcome
    from lamnet.batch.request import Request

_STDOUT = "-"  # as a result's name
_STREAM = "\0"  # stands for "-", which Cyclopts takes for an option; no argument can be it


def with_streams(arguments: list[str]) -> list[str]:
    """Return a command's arguments with "-" as `upscale` gets it."""
    if arguments[:1] != ["upscale"]:
        return arguments
    return [_STREAM if argument == "-" else argument for argument in arguments]


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
    name: str = "{stem}_{goal}",
    format: str | None = None,
    quality: int | None = None,
    damaged: bool = False,
    fields: Literal["deinterlace", "keep", "progressive"] = "deinterlace",
    json: bool = False,
) -> None:
    """Upscale pictures and videos: photo.jpg becomes photo_x4.jpg beside it.

    The result has its source's format where that can hold it, else PNG, WebP or TIFF; depth, alpha, colour profile, EXIF,
    XMP, pages and timing are kept.

    Parameters
    ----------
    photos
        Files, folders whose pictures are all upscaled with those below, quoted patterns, - for stdin, or one bucket such as
        s3://bucket/folder.
    out
        The result's file (its name says the format), - for stdout, or a folder or bucket for the results.
    scale
        Factor of width and height: 2, 3, 4, or a number between, for which a larger result is reduced. When left out, 4,
        or a weights file's own. 1 restores without enlarging, with photo weights.
    to
        A size to fit into instead: 3840x2160, 3840x or x2160. A picture that is larger is made smaller, and a line says so.
    model
        tiny, base, tiny:photo, ... (`lamnet models` lists them), or a weights file; the best that ships when left out.
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
    name
        Names of the results, without their suffix: {stem} is the source's, {goal} is x4 or a size.
    format
        Format of the results of pictures, such as jpg; the source's where that can hold them when left out.
    quality
        Quality of results in JPEG, WebP and AVIF, 1 to 100.
    damaged
        Take what there is of a JPEG or PNG that is cut or spoilt, and say so; without it such a file is refused.
    fields
        deinterlace: interlaced video, by its marks or its combs, becomes progressive, a frame for every two fields, and a
        line says so. keep: refuse it, since enlarged frames cannot hold fields. progressive: enlarge frames as they are.
    json
        Print a JSON object a line for each picture instead of its result's name, or of what a dry run says of it.
    """
    with interrupts.at_once():
        from lamnet.batch.request import Request
        from lamnet.cli import values

    request = Request(
        sources=tuple("-" if name == _STREAM else name for name in photos),
        out="-" if out == _STREAM else out,
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
        name=name,
        format=format,
        quality=quality,
        damaged=damaged,
        fields=fields,
    )
    failed = _describe(request, json) if dry_run else _upscale(request, engine, json)
    if failed:
        sys.exit(1)


def _upscale(request: Request, engine: Literal["local", "ray"], as_json: bool) -> int:
    """Carry a request out, printing each outcome; returns how many failed."""
    with interrupts.at_once():
        from lamnet.batch import cluster, local
        from lamnet.batch.outcome import Note
        from lamnet.network import runtime

        if request.device is None and engine == "local" and (chosen := runtime.chosen()):
            terminal.note(f"upscaling on {chosen}")
        if engine == "local" and (line := runtime.without_core(request.device, request.precision)):
            terminal.complain(line)
    failed = 0
    events = cluster.run(request) if engine == "ray" else local.run(request)
    with interrupts.by_exception(), closing(events), terminal.without_progress(events) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome, Note):
                terminal.complain(outcome.text)
                continue
            failed += outcome.problem is not None
            _print(outcome, as_json)
    return failed


def _print(outcome: Outcome, as_json: bool) -> None:
    into_stdout = str(outcome.target) == _STDOUT
    if as_json:
        line = terminal.note if into_stdout else terminal.say
        line(json_lines.dumps({**asdict(outcome), "problem": outcome.problem}, default=str))
        return
    if outcome.problem is not None:
        terminal.complain(outcome.problem)
        return
    if not into_stdout:
        terminal.say(outcome.target)
    if outcome.choice is not None:
        terminal.note(f"{outcome.target}: {outcome.choice}")
    if outcome.kept:
        terminal.complain(f"{outcome.target}: was there already and is kept; --overwrite replaces it")
    for note in outcome.notes:
        terminal.complain(f"{outcome.target}: {note}")


def _describe(request: Request, as_json: bool) -> int:
    """Print what a request would do; returns how many sources would fail."""
    with interrupts.at_once():
        from lamnet.batch import describe
        from lamnet.batch.outcome import Intent, Note

    failed = 0
    with interrupts.by_exception():
        for event in describe.describe(request):
            if isinstance(event, Note):
                terminal.complain(event.text)
                continue
            problem = None if isinstance(event, Intent) else event.problem
            failed += problem is not None
            if as_json:
                terminal.say(json_lines.dumps({**asdict(event), "problem": problem}, default=str))
            elif problem is not None:
                terminal.complain(problem)
            else:
                terminal.say(event)
    return failed
