"""The command: each verb parses, calls one function and prints. Results on stdout, progress and errors on stderr."""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from lamnet import __version__
from lamnet.base import interrupts
from lamnet.base.errors import BadArgumentError, LamnetError
from lamnet.cli import figures
from lamnet.cli.terminal import complain, one_line, print_table, progress_bar, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from lamnet.batch.jobs import Job
    from lamnet.batch.one import Outcome, Upscalers

app = App(
    name="lamnet",
    help="Lightweight image super-resolution with LAMNet.",
    version=__version__,
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
)
app.command(figures.app)


@app.command
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
                print(one_line(line))
            return
    else:
        plan, one = partial(jobs.plan, photos, out, f"_{goal}"), upscale_one
        total = sum(1 for _ in plan())
        if not total:
            complain(f"{', '.join(photos)}: no pictures there")
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
    with progress_bar() as progress, closing(recorded(run(progress=progress), manifest)) as outcomes:
        for outcome in outcomes:
            if outcome.problem is not None:
                failed += 1
                complain(outcome.problem)
                continue
            print(one_line(outcome.target))
            if outcome.kept:
                complain(f"{outcome.target}: was there already and is kept; --overwrite replaces it")
    return failed


def _describe(jobs: Iterable[Job], upscalers: Upscalers) -> int:
    from lamnet.batch import describe

    failed = 0
    for line in describe.describe(jobs, upscalers):
        if isinstance(line, str):
            print(one_line(line))
        else:
            failed += 1
            complain(line.problem)
    return failed


@app.command
def evaluate(
    *models: str,
    data: Path,
    scale: int = 4,
    sets: str | None = None,
    results: list[Path] | None = None,
    compare: list[Path] | None = None,
    metrics: str = "psnr_y,ssim_y",
    convention: Literal["float", "matlab"] = "float",
    border: int | None = None,
    ensemble: bool = False,
    times: bool = False,
    json: Path | None = None,
    csv: Path | None = None,
    markdown: Path | None = None,
    save: Path | None = None,
    device: str | None = None,
) -> None:
    """Measure models on benchmark pictures: PSNR and SSIM on Y, per image and mean.

    Parameters
    ----------
    models
        tiny, base, large, weights files, bicubic, or spandrel:FILE for a network of others.
    data
        A folder of sets (HR and LR_bicubic/X4, LRBICX4, DIV2K_valid_HR, img_001_SRF_4_HR.png, ...), or one set; where
        there are only HR pictures, LR is made.
    scale
        How many times as wide and high.
    sets
        Names with commas between, such as Set5,Set14; all when left out.
    results
        A folder of pictures that somebody made, measured like a model; may be repeated.
    compare
        An earlier --json file whose figures join the table; may be repeated.
    metrics
        Of psnr_y, ssim_y, psnr_rgb, ssim_rgb, lpips, dists.
    convention
        float: Y unrounded, grey counts as RGB. matlab: Y rounded, grey as it is.
    border
        Pixels left out on each side; the scale when left out.
    ensemble
        The mean over eight flips and rotations (x8).
    times
        The seconds each image took as well.
    json
        Where the figures go: one model an object, several a list.
    csv
        Where the figures go, a row per image and per mean.
    markdown
        Where the table goes.
    save
        A folder for the models' results, MODEL/SET/NAMEx4.png.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    """
    from lamnet.evaluation import report
    from lamnet.evaluation.comparison import comparing
    from lamnet.evaluation.protocol import Protocol

    earlier = [evaluation for path in compare or () for evaluation in report.from_json(path)]
    protocol = Protocol(tuple(name.strip() for name in metrics.split(",")), convention, border, ensemble, times)
    chosen = [name.strip() for name in sets.split(",")] if sets else None
    found = shown(comparing(models, scale, data, chosen, protocol, results=results or (), device=device, save=save))
    for path, text in ((json, report.to_json), (csv, report.to_csv)):
        if path is not None:
            report.write(path, text(found))
    table = report.to_markdown([*earlier, *found])
    print(*map(one_line, table.splitlines()), sep="\n")
    if markdown is not None:
        report.write(markdown, table)


@app.command
def prepare(
    photos: Path,
    out: Path,
    *,
    scales: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (2, 3, 4),
) -> None:
    """Make a training set of a folder of photographs: HR and bicubic LR, in memory-mapped files.

    Parameters
    ----------
    photos
        A folder of pictures of any format that `upscale` reads; those in folders below it count too.
    out
        The folder for the set; the same command goes on where it was cut off.
    scales
        For which LR is made.
    """
    from lamnet.training.preparation import preparing

    prepared = shown(preparing(photos, out, scales))
    for photo in prepared.skipped:
        print(f"skipped {photo.name}: {photo.reason}", file=sys.stderr)
    print(f"{out}: {len(prepared.photos)} photographs, {len(prepared.skipped)} skipped")


@app.command
def train(
    recipe: str,
    /,
    *,
    data: Path,
    out: Path,
    valid: Path | None = None,
    budget: str | None = None,
    steps: int | None = None,
    batch: int | None = None,
    patch: int | None = None,
    lr: float | None = None,
    start: Annotated[str | None, Parameter(name="--from")] = None,
    seed: int = 0,
    precision: Literal["float32", "bfloat16"] = "float32",
    accumulate: int = 1,
    tensorboard: bool = False,
) -> None:
    """Train a network; the same command goes on where the last checkpoint was. Under torchrun, on many workers.

    Parameters
    ----------
    recipe
        tiny_x4, base_x2, large_x3, ...: as the paper trains; tiny_x4_short, ...: for a small budget.
    data
        A set made by `lamnet prepare`.
    out
        The run's folder: recipe.json, metrics.jsonl, checkpoint.pt, at the end weights.safetensors and card.md.
    valid
        A benchmark folder or a folder of photographs for PSNR-Y on the way.
    budget
        Time for the whole training, such as 25m or 1h30m: the schedule ends with it.
    steps
        Steps of the whole training; the recipe's when left out.
    batch
        Patches of one step, over all workers and micro-batches; the recipe's when left out.
    patch
        Side of an LR patch in pixels; the recipe's when left out.
    lr
        Highest learning rate; the recipe's when left out.
    start
        Weights to start from, a file or tiny, base, large for those that ship; of another scale, the body is taken.
    seed
        Of the first weights and the patches.
    precision
        Of the network's arithmetic in training; parameters stay float32.
    accumulate
        Micro-batches a step, for a batch that does not fit into memory.
    tensorboard
        Curves and validation pictures for TensorBoard in the run's folder; needs the extra "tensorboard".
    """
    from dataclasses import replace

    from lamnet.cli import values
    from lamnet.network import shipped
    from lamnet.training import recipes
    from lamnet.training.loop import train as run

    if steps is not None and budget is not None:
        raise BadArgumentError("steps: expected it without budget, got both")
    chosen = replace(recipes.named(recipe), seed=seed, precision=precision, accumulate=accumulate)
    given = {"steps": steps, "batch": batch, "patch": patch, "lr": lr}
    chosen = replace(chosen, **{name: value for name, value in given.items() if value is not None})
    chosen = replace(chosen, budget_s=values.seconds(budget) if budget else 0.0)
    first = shipped.path_of(start, chosen.scale) if start is not None else None
    with interrupts.by_exception():
        print(one_line(run(chosen, data, out, valid, first, tensorboard=tensorboard)))


@app.command
def demo(out: Path = Path("lamnet-demo")) -> None:
    """Upscale a photograph and put input, bicubic and LAMNet side by side.

    Parameters
    ----------
    out
        The folder for the four pictures.
    """
    from lamnet.cli.demo import run

    for name, path in run(out).items():
        print(f"{name:12} {one_line(path)}")


@app.command
def models() -> None:
    """List the networks whose weights ship, what they were trained on and what they reach."""
    from lamnet.network import catalogue

    found = catalogue.models()
    sets = list(dict.fromkeys(name for one in found for name in one.psnr_y))
    rows = [
        [one.size, f"x{one.scale}", f"{one.parameters:,}", f"{one.bytes / 1e6:.1f} MB", one.data]
        + [f"{one.psnr_y[name]:.2f}" if name in one.psnr_y else "" for name in sets]
        for one in found
    ]
    print_table(["size", "scale", "parameters", "file", "trained on", *(f"{name}, PSNR-Y dB" for name in sets)], rows)


@app.command
def info() -> None:
    """Show versions, the machine, which backend runs where or why not, and the weights that ship."""
    from lamnet.evaluation.machine import machine
    from lamnet.network import shipped
    from lamnet.ops.backend import backends

    for name, value in machine().items():
        print(f"{name:12} {value}")
    for backend, device, reason in backends():
        print(f"{f'{backend} on {device}':20} {'cannot run: ' + reason if reason else 'runs'}")
    print("weights      " + (", ".join(f"{size} x{scale}" for size, scale in shipped.shipped()) or "none ship"))


@app.command
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
    """Time our networks, the operator alone, and networks of others with random weights, all in turns.

    Parameters
    ----------
    networks
        Of tiny, base, large, swinir-light, span, safmn, omni-sr, fsa-width, fsa-height, with commas; all when left out.
        Speeds are relative to the first.
    scale
        How many times as wide and high.
    output
        Width and height of the output.
    device
        cpu, cuda, cuda:1: on a GPU with device events, torch.compile and CUDA graphs too.
    threads
        Of the processor; PyTorch's choice when left out.
    rounds
        How often each is timed.
    training
        Forward, and forward with backward, of 8 patches of 48x48 instead.
    memory
        Measure peak memory too, on a processor in a process for each row.
    json
        Where the figures go.
    markdown
        Where the table goes.
    """
    import torch

    from lamnet.evaluation import report
    from lamnet.evaluation.speed import candidate, table
    from lamnet.evaluation.speed.run import timing

    chosen = [name.strip() for name in networks.split(",")] if networks else candidate.MODELS
    setting = candidate.Setting(scale, (output[1], output[0]), device, threads or torch.get_num_threads())
    found = shown(timing(candidate.plan(chosen, device, training), setting, rounds, memory))
    print(table.caption(found))
    print_table(table.COLUMNS, [table.cells(row) for row in found.rows])
    for path, text in ((json, table.to_json), (markdown, table.to_markdown)):
        if path is not None:
            report.write(path, text(found))


@app.command
def export(model: str, out: Path, /, *, scale: Literal[2, 3, 4] | None = None) -> None:
    """Write a network for other programs: ONNX, or PyTorch's exported program, for images of any size.

    Parameters
    ----------
    model
        tiny, base, large, or a weights file.
    out
        A name that ends in .onnx or .pt2.
    scale
        Of a network that ships, 4 when left out; a file's own.
    """
    from lamnet.network import shipped, weights
    from lamnet.network.export import export

    export(weights.load(model, scale or (4 if shipped.is_name(model) else None)), out)
    print(one_line(out))


def main() -> None:
    """Run one command; exit code 1 for a refused input, 2 for a misused command line."""
    logging.getLogger("pyvips").setLevel(
        logging.ERROR
    )  # what libvips finds odd about a file that it reads nevertheless
    try:
        app(exit_on_error=False)
    except CycloptsError:
        sys.exit(2)
    except LamnetError as error:
        complain(error)
        sys.exit(1)
    except OSError as error:  # a full or read-only disk, wherever it shows
        complain(f"{error.filename}: {error.strerror}" if error.filename else error)
        sys.exit(1)
    except KeyboardInterrupt as stop:
        print("lamnet: interrupted", file=sys.stderr)
        sys.exit(128 + (stop.args[0] if isinstance(stop, interrupts.Stopped) else signal.SIGINT))
