"""The terminal: results on stdout, progress and complaints on stderr. Only this module and training.monitor use rich."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, TextIO, TypeVar, cast

from lamnet.base import interrupts, lines
from lamnet.base.progress import Progress, Result, Work

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

Event = TypeVar("Event")


def progress_bar() -> AbstractContextManager[RichProgress | None]:
    """Make bars on stderr that vanish when done; none where stderr is no terminal, as rich takes long to import."""
    stderr = cast("TextIO | None", sys.stderr)  # None where the caller has closed it
    if stderr is None or not stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)


def shown(work: Work[Result]) -> Result:
    """Do some work and return its result, with a bar on stderr for each running task; a signal raises Stopped."""
    bars: dict[str, TaskID] = {}
    with interrupts.by_exception(), closing(work), progress_bar() as display:
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                return end.value
            show(display, bars, event)


@contextmanager
def without_progress(events: Iterable[Progress | Event]) -> Generator[Iterator[Event]]:
    """Show the progress of some work in bars on stderr, and yield its other events."""
    bars: dict[str, TaskID] = {}

    def others(display: RichProgress | None) -> Iterator[Event]:
        for event in events:
            if isinstance(event, Progress):
                show(display, bars, event)
            else:
                yield event

    with progress_bar() as display:
        yield others(display)


def show(display: RichProgress | None, bars: dict[str, TaskID], event: Progress) -> None:
    """Update the bar of an event's task: it is made when the task is new and removed when the task is over.

    Args:
        display: None where nothing is shown.
        bars: the tasks that have a bar now; updated.
    """
    if display is None:
        return
    if event.done >= 1:
        if event.task in bars:
            display.remove_task(bars.pop(event.task))
        return
    if event.task not in bars:
        bars[event.task] = display.add_task(ascii(event.task)[1:-1], total=1.0)
    display.update(bars[event.task], completed=event.done)


def say(result: object) -> None:
    """Print one line of results on stdout, without buffering."""
    _print(result, sys.stdout)


def complain(problem: object) -> None:
    """Print one line on stderr, after the command's name."""
    note(f"lamnet: {problem}")


def note(line: object) -> None:
    """Print one line on stderr."""
    _print(line, sys.stderr)


def _print(line: object, stream: TextIO) -> None:
    """Print one line; when its reader ends early (`lamnet upscale a b c | head -1`), lines are lost and work continues.

    So they are where the caller has closed the stream (`>&-`), which Python has as None.
    """
    if cast("TextIO | None", stream) is None:
        return
    try:
        print(lines.one_line(line, stream.encoding), file=stream, flush=True)
    except OSError as error:  # what is left in the buffer would raise again when Python ends
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        if not isinstance(error, BrokenPipeError) and stream is not sys.stderr:
            complain(f"stdout: cannot be written: {error.strerror}; no more lines are printed")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout, as wide as the terminal; in a file, as wide as it needs."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE)
    for row in rows:
        table.add_row(*row)
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 1000
    console.print(table)
