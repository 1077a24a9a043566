"""The files of folders that a call leaves out, counted by kind for notes of one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

_MAX_NAMES = 3  # in the line
_MAX_KINDS = 5


@dataclass
class LeftOut:
    """Files that were left out: how many of each kind, and the names of the first; results of earlier calls by themselves."""

    kinds: Counter[str] = field(default_factory=Counter[str])
    first: list[str] = field(default_factory=list[str])
    results: int = 0
    first_results: list[str] = field(default_factory=list[str])

    @property
    def total(self) -> int:
        """Number of files."""
        return self.kinds.total()

    def add(self, name: str, kind: str | None = None) -> None:
        """Count a file; its kind is its suffix unless another one is given."""
        self.kinds[kind or PurePath(name).suffix.lower() or "without a suffix"] += 1
        if len(self.first) < _MAX_NAMES:
            self.first.append(name)

    def add_result(self, name: str) -> None:
        """Count a file that by its name is the result of a picture beside it."""
        self.results += 1
        if len(self.first_results) < _MAX_NAMES:
            self.first_results.append(name)

    def lines(self) -> Iterator[str]:
        """Yield what was left out, and why, in a line each."""
        if self.total:
            yield f"left out what by its name is neither a picture nor a video: {self}"
        if self.results:
            more = ", ..." if self.results > len(self.first_results) else ""
            yield (
                f"left out what by its name is the result of a picture beside it: {self.results:,} "
                f"({', '.join(self.first_results)}{more}); --out with another folder takes all"
            )

    def clear(self) -> None:
        """Forget all counts, once they have been reported."""
        self.kinds.clear()
        self.first.clear()

    def __str__(self) -> str:
        common = self.kinds.most_common()
        kinds = [f"{count:,} {kind}" for kind, count in common[:_MAX_KINDS]]
        if rest := sum(count for _, count in common[_MAX_KINDS:]):
            kinds.append(f"{rest:,} of other kinds")
        more = ", ..." if self.total > len(self.first) else ""
        return f"{', '.join(kinds)} ({', '.join(self.first)}{more})"
