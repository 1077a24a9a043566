"""The outcome of one picture or video, and the events of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb

from lamnet.base.errors import LamnetError
from lamnet.base.progress import Progress
from lamnet.upscale.choice import Choice


@dataclass(frozen=True)
class Outcome:
    """The end of a job: a result, or the reason why there is none.

    Attributes:
        source: the picture's file or address.
        target: that of the result; of a job that failed, as far as it is known.
        reason: why there is no result, without a file's name.
        blames_target: the reason is about the target and not the source.
        kept: the result existed before.
        notes: what the result does not carry over from its source, and what was asked for and not done, a line each.
        choice: the weights of the result, where there were two to choose from; None elsewhere.
    """

    source: Path | str
    target: Path | str
    reason: str | None = None
    blames_target: bool = False
    kept: bool = False
    notes: tuple[str, ...] = ()
    choice: Choice | None = None

    @property
    def problem(self) -> str | None:
        """The reason, after the name of its file; None where there is a result."""
        if self.reason is None:
            return None
        return f"{self.target if self.blames_target else self.source}: {self.reason}"


@dataclass(frozen=True)
class Intent:
    """What a job of a dry run would do.

    Attributes:
        about: sizes, plan, memory and time, as a text; "" of an object in a bucket, which nobody has read.
        choice: as an outcome has it.
    """

    source: Path | str
    target: Path | str
    about: str = ""
    choice: Choice | None = None

    def __str__(self) -> str:
        about = ", ".join(str(part) for part in (self.about, self.choice) if part)
        return f"{self.source} -> {self.target}{about and ': '}{about}"


@dataclass(frozen=True)
class Note:
    """One line about a whole call, such as the files that were left out."""

    text: str


Event = Progress | Outcome | Note


def failed(
    source: Path | str, target: Path | str, error: Exception, read: Path | None = None, written: Path | None = None
) -> Outcome:
    """Make the outcome of a job that raised any error: one bad file never ends a batch.

    Args:
        read, written: local files in the place of source and target, which the error may name instead.
    """
    if isinstance(error, OSError):
        if error.filename is not None and str(error.filename) in (str(source), str(read)):
            return Outcome(source, target, f"cannot be read: {error.strerror}")
        return Outcome(source, target, f"cannot be written: {error.strerror or error}", blames_target=True)
    reason = " ".join(_reason(error).split())
    for name in _names(source, read):
        if reason.startswith(f"{name}: "):
            return Outcome(source, target, reason.removeprefix(f"{name}: "))
    for name in _names(target, written):
        if reason.startswith(f"{name}: "):
            return Outcome(source, target, reason.removeprefix(f"{name}: "), blames_target=True)
    return Outcome(source, target, reason)


def _reason(error: Exception) -> str:
    if isinstance(error, LamnetError):
        return str(error)
    if isinstance(error, MemoryError):
        return "expected more free memory than there is; a smaller --memory needs less"
    places = extract_tb(error.__traceback__)
    place = f" ({Path(places[-1].filename).name}, line {places[-1].lineno})" if places else ""
    return f"this is a bug in lamnet, please report it: {type(error).__name__}: {error}{place}"


def _names(name: Path | str, stand_in: Path | None) -> Iterator[str]:
    yield from (" ".join(str(one).split()) for one in (name, stand_in) if one is not None)
