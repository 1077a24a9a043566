"""Progress as one kind of event: long work is a generator that yields it and returns its result."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """How far one task of a call has come.

    Attributes:
        task: its name, such as a file's.
        done: the share of it that is done, 0 to 1; at 1 the task is over.
    """

    task: str
    done: float


Work = Generator[Progress, None, Result]


def finish(work: Work[Result]) -> Result:
    """The result of some work, its progress shown to nobody."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
