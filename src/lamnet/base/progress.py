"""Progress events: long work is a generator that yields them and returns its result. The terminal alone shows them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """The progress of one task of a call.

    Attributes:
        task: its name, such as a file's.
        done: the share of it that is done, 0 to 1; at 1 the task is over.
    """

    task: str
    done: float


Work = Generator[Progress, None, Result]


def finish(work: Generator[object, None, Result]) -> Result:
    """Do some work to its end and return its result; its progress is shown to nobody."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
