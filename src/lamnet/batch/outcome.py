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
    """The end of a job: its result is there unless a reason says why not.

    Attributes:
        source: the picture's file or address.
        target: the result's; of a job that failed, as far as it is known.
        reason: why there is no result, without a file's name.
        blames_target: the reason is about the target and not the source.
        kept: the result had been there before.
        choice: the weights that the result was made with, where there were two; None elsewhere.
    """

    source: Path | str
    target: Path | str
    reason: str | None = None
    blames_target: bool = False
    kept: bool = False
    choice: Choice | None = None

    @property
    def problem(self) -> str | None:
        """The reason after the name of the file that it is about; None where there is a result."""
        if self.reason is None:
            return None
        return f"{self.target if self.blames_target else self.source}: {self.reason}"


Event = Progress | Outcome


def failed(
    source: Path | str, target: Path | str, error: Exception, read: Path | None = None, written: Path | None = None
) -> Outcome:
    """The outcome of a job that raised an error, of lamnet or not: one bad file never ends a batch.

    Args:
        read, written: the files that stood in for source and target on this machine, which the error may name instead.
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
