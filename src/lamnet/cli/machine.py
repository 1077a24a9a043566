"""`lamnet models`, `info`, `bench`, `export` and `demo`: the networks that ship, and what this machine does with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, cast

from cyclopts import Parameter

from lamnet.base import interrupts
from lamnet.base.errors import BadArgumentError
from lamnet.base.extras import require
from lamnet.base.files import check_apart
from lamnet.cli import terminal


def models() -> None:
    """List the networks whose weights ship, what they were trained on and what they reach."""
    from lamnet.network import catalogue

    found = catalogue.models()
    sets = list(dict.fromkeys(name for one in found for name in one.psnr_y))
    rows = [
        [one.size, f"x{one.scale}", one.variant, f"{one.parameters:,}", f"{one.bytes / 1e6:.1f} MB", one.data]
        + [f"{one.psnr_y[name]:.2f}" if name in one.psnr_y else "" for name in sets]
        for one in found
    ]
    terminal.print_table(
        ["size", "scale", "weights", "parameters", "file", "trained on", *(f"{name}, PSNR-Y dB" for name in sets)], rows
    )


def info(model: str | None = None, /, *, scale: int | None = None) -> None:
    """Show versions, the machine, which backend runs where or why not, and the weights that ship; or what a model is.

    Parameters
    ----------
    model
        tiny, base, tiny:photo, or a weights file: its network, size and what its file records of its training.
    scale
        Scale of a network that ships, 4 when left out; a weights file has its own.
    """
    if model is not None:
        _describe(model, scale)
        return
    if scale is not None:
        raise BadArgumentError("scale: expected it with a model, got it alone")
    from lamnet.core import shipped
    from lamnet.evaluation.machine import backends, machine

    for name, value in machine().items():
        terminal.say(f"{name:12} {value}")
    for backend, device, reason in backends():
        terminal.say(f"{f'{backend} on {device}':20} {'cannot run: ' + reason if reason else 'runs'}")
    terminal.say("weights      " + (", ".join(f"{one.model} x{one.scale}" for one in shipped.shipped()) or "none ship"))


def _describe(model: str, scale: int | None) -> None:
    """Print a line for each fact of a model."""
    from dataclasses import asdict

    from lamnet.core import shipped
    from lamnet.network import reading

    path = shipped.path_of(model, 4 if scale is None and shipped.is_name(model) else scale)
    contents = reading.load(path, scale)
    config = asdict(contents.config)
    window = config.pop("window")
    facts = {"file": path, "bytes": f"{path.stat().st_size:,}"}
    facts |= {"parameters": f"{sum(array.size for array in contents.state.values()):,}", **config}
    facts |= {f"window {name}": ", ".join(map(str, values)) for name, values in window.items()}
    for line in _lines({**facts, **contents.record}):
        terminal.say(line)


def _lines(facts: Mapping[str, object], indent: str = "") -> Iterator[str]:
    """Write recorded facts, a line each; those of a recipe and its degradation are indented, and without what is zero or none."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _lines(cast("dict[str, object]", value), f"{indent}  ")
        elif value or not indent:
            text = ", ".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)
            yield f"{f'{indent}{name}':{16 + len(indent)}} {text}"


def bench(
    networks: str = "",
    *,
    scale: Literal[2, 3, 4] = 4,
    output: tuple[int, int] = (1280, 720),
    device: str = "cpu",
    threads: int | None = None,
    rounds: int = 7,
    training: bool = False,
    memory: Annotated[bool, Parameter(negative="--no-memory")] = True,
    json: Path | None = None,
    markdown: Path | None = None,
) -> None:
    """Time our networks, the operator alone, and networks of others with random weights, in turns; fail where nothing ran.

    On a processor "core" is what `lamnet upscale` runs, "native" and "reference" are the network in PyTorch, with our operators
    and without.

    Parameters
    ----------
    networks
        Some of tiny, base, large, swinir-light, span, safmn, omni-sr, fsa-width, fsa-height and weights files of ours, with
        commas; all the names when left out. Speeds are relative to the first.
    scale
        Factor of width and height.
    output
        Width and height of the output.
    device
        cpu, cuda, cuda:1: on a GPU with device events, torch.compile and CUDA graphs too.
    threads
        Number of threads on a processor; PyTorch's choice when left out.
    rounds
        Number of times that each is timed.
    training
        Time forward, and forward with backward, of 8 patches of 48x48 instead.
    memory
        Measure peak memory too, on a processor in a process for each row.
    json
        A file for the figures, in JSON.
    markdown
        A file for the table.
    """
    torch = require("torch", "torch", "bench")
    from lamnet.evaluation import places, report
    from lamnet.evaluation.speed import candidate, table
    from lamnet.evaluation.speed.run import timing
    from lamnet.network import devices

    devices.pick(device)
    chosen = [name.strip() for name in networks.split(",")] if networks else candidate.MODELS
    outputs = {"json": json, "markdown": markdown}
    places.prepare({name: path for name, path in outputs.items() if path is not None}, map(Path, chosen))
    setting = candidate.Setting(
        scale, (output[1], output[0]), device, torch.get_num_threads() if threads is None else threads
    )
    found = terminal.shown(timing(candidate.plan(chosen, device, training), setting, rounds, memory))
    for line in table.caption(found).splitlines():
        terminal.say(line)
    terminal.print_table(table.COLUMNS, [table.cells(row) for row in found.rows])
    for path, text in ((json, table.to_json), (markdown, table.to_markdown)):
        if path is not None:
            report.write(path, text(found))
    if all(row.problem for row in found.rows):
        sys.exit(1)


def export(model: str, out: Path, /, *, scale: int | None = None, half: bool = False) -> None:
    """Write a network for other programs, for images of any size: ONNX, ncnn (Upscayl), or PyTorch's exported program.

    Parameters
    ----------
    model
        tiny, base, tiny:photo, or a weights file.
    out
        A name that ends in .onnx, .param (its .bin goes beside it) or .pt2.
    scale
        Scale of a network that ships, 4 when left out; a weights file has its own.
    half
        Keep the weights in float16, in half the space; the arithmetic stays float32. Not for .pt2.
    """
    from lamnet.core import shipped
    from lamnet.network import reading
    from lamnet.network.export import export

    ships = shipped.is_name(model)
    scale = 4 if ships and scale is None else scale
    source = shipped.path_of(model, scale)
    for target in (out, out.with_suffix(".bin")) if out.suffix == ".param" else (out,):
        check_apart(source, target)
    with interrupts.by_exception():
        export(reading.load(model, scale), out, half, shipped.TERMS if ships else None)
    terminal.say(out)
    if out.suffix == ".param":
        terminal.say(out.with_suffix(".bin"))


def demo(out: Path = Path("lamnet-demo")) -> None:
    """Upscale a photograph and put input, bicubic and LAMNet side by side.

    Parameters
    ----------
    out
        The folder for the four pictures.
    """
    from lamnet.cli.demo import run

    for name, path in run(out).items():
        terminal.say(f"{name:12} {path}")
