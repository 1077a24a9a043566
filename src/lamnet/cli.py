"""The command: each verb parses, calls one function and prints. Results on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from lamnet import __version__
from lamnet.errors import LamnetError

if TYPE_CHECKING:
    from rich.progress import Progress

app = App(name="lamnet", help="Lightweight image super-resolution with LAMNet.", version=__version__)


@app.command
def upscale(
    photos: list[Path],
    /,
    *,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    scale: Literal[2, 3, 4] = 4,
    model: str | None = None,
    overwrite: bool = False,
    device: str | None = None,
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
) -> None:
    """Upscale pictures: photo.png becomes photo_x4.png beside it, in the format it has.

    Parameters
    ----------
    photos
        Picture files, or folders whose pictures are all upscaled.
    out
        The result's file (its name says the format), or a folder for the results.
    scale
        How many times as wide and high.
    model
        tiny, base, large, or a weights file; the best that ships when left out.
    overwrite
        Replace results that exist.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    precision
        Of the network's arithmetic; auto is float32.
    """
    from lamnet import batch
    from lamnet.upscale import Upscaler

    upscaler = Upscaler(batch.load_best(model, scale), device, precision)
    failed = 0
    with _progress() as progress:
        for outcome in batch.run(batch.plan_jobs(photos, out, scale), upscaler, overwrite, progress):
            if outcome.problem is None:
                print(_line(outcome.target))
            else:
                failed += 1
                _complain(outcome.problem)
    if failed:
        sys.exit(1)


@app.command
def demo(out: Path = Path("lamnet-demo")) -> None:
    """Upscale a photograph and put input, bicubic and LAMNet side by side.

    Parameters
    ----------
    out
        The folder for the four pictures.
    """
    from lamnet.demo import run

    for name, path in run(out).items():
        print(f"{name:12} {_line(path)}")


def main() -> None:
    """Run one command; exit code 1 for a refused input, 2 for a misused command line."""
    try:
        app(exit_on_error=False)
    except CycloptsError:
        sys.exit(2)
    except LamnetError as error:
        _complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        print("lamnet: interrupted", file=sys.stderr)
        sys.exit(130)


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal)


def _complain(problem: object) -> None:
    print(f"lamnet: {_line(problem)}", file=sys.stderr)


def _line(text: object) -> str:
    """One printable line, whatever bytes a file's name holds."""
    return str(text).encode(errors="backslashreplace").decode().replace("\r", "\\r").replace("\n", "\\n")
