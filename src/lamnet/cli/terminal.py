"""What the verbs print with: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lamnet.base.progress import Progress, Result, Work

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


def progress_bar() -> RichProgress:
    """Bars on stderr that vanish when done; none where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal)


def shown(work: Work[Result]) -> Result:
    """The result of some work, with a bar on stderr for each task under way."""
    bars: dict[str, TaskID] = {}
    with progress_bar() as display:
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                return end.value
            show(display, bars, event)


def show(display: RichProgress, bars: dict[str, TaskID], event: Progress) -> None:
    """Bring one task's bar up to date; a finished one vanishes."""
    if event.task not in bars:
        bars[event.task] = display.add_task(ascii(event.task)[1:-1], total=1.0)
    display.update(bars[event.task], completed=event.done)
    if event.done >= 1:
        display.remove_task(bars.pop(event.task))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; a terminal's width bounds it, a file's does not."""
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


def complain(problem: object) -> None:
    """One line on stderr."""
    print(f"lamnet: {one_line(problem)}", file=sys.stderr)


def one_line(text: object) -> str:
    """One printable line, whatever bytes a file's name holds."""
    known = str(text).encode(errors="backslashreplace").decode()
    return "".join(ascii(one)[1:-1] if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in known)
