"""The command: verbs, exit codes, and errors as one line each."""

from __future__ import annotations

import logging
import signal
import sys

from cyclopts import App, CycloptsError, Parameter

import lamnet
from lamnet.base import interrupts
from lamnet.base.errors import LamnetError
from lamnet.cli import evaluate, figures, machine, terminal, training, upscale
from lamnet.cli.app import app as serve
from lamnet.cli.whole import unrounded, with_lists_apart

app = App(
    name="lamnet",
    help="Lightweight image super-resolution with LAMNet.",
    version=lambda: lamnet.__version__,  # reading it imports much
    help_format="plaintext",  # of this list alone: what reads Markdown takes long to import
    default_parameter=Parameter(negative=(), converter=unrounded),
    suppress_keyboard_interrupt=False,
)
for group in (training.train_app, figures.app):
    app.command(group)
for verb in (
    upscale.upscale,
    evaluate.evaluate,
    training.prepare,
    machine.models,
    machine.info,
    machine.bench,
    machine.export,
    machine.demo,
    serve,
):
    app.command(verb, help_format="markdown")


def main() -> None:
    """Run one command; exit with code 1 for a refused input, 2 for a misused command line."""
    logging.getLogger("pyvips").setLevel(logging.ERROR)  # it warns of oddities in files that it reads nevertheless
    try:
        app(_arguments(sys.argv[1:]), exit_on_error=False)
    except CycloptsError:
        sys.exit(2)
    except LamnetError as error:
        terminal.complain(error)
        sys.exit(1)
    except OSError as error:  # a full or read-only disk, wherever it shows
        terminal.complain(f"{error.filename}: {error.strerror}" if error.filename else error)
        sys.exit(1)
    except KeyboardInterrupt as stop:
        terminal.complain("interrupted")
        sys.exit(128 + (stop.args[0] if isinstance(stop, interrupts.Stopped) else signal.SIGINT))


def _arguments(words: list[str]) -> list[str]:
    """Return the words of a command as Cyclopts takes them."""
    return training.with_help_first(upscale.with_streams(with_lists_apart(words)))
