"""The files of folders that a call leaves out, counted by kind for notes of one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

_MAX_NAMES = 3  # in the line
_MAX_KINDS = 5


@dataclass
class Named:
    """Files: how many, and the names of the first."""

    total: int = 0
    first: list[str] = field(default_factory=list[str])

    def add(self, name: str) -> None:
        """Count a file."""
        self.total += 1
        if len(self.first) < _MAX_NAMES:
            self.first.append(name)

    def merge(self, other: Named) -> None:
        """Count the files of another one as well."""
        self.total += other.total
        self.first += other.first[: _MAX_NAMES - len(self.first)]

    def __str__(self) -> str:
        more = ", ..." if self.total > len(self.first) else ""
        return f"({', '.join(self.first)}{more})"


@dataclass
class LeftOut:
    """Files that were left out: what is no picture, by its kind, and by themselves results of earlier calls."""

    kinds: Counter[str] = field(default_factory=Counter[str])
    others: Named = field(default_factory=Named)
    results: Named = field(default_factory=Named)

    @property
    def total(self) -> int:
        """Number of files that are no pictures."""
        return self.others.total

    def add(self, name: str, kind: str | None = None) -> None:
        """Count a file that is no picture; its kind is its suffix unless another one is given."""
        self.kinds[kind or PurePath(name).suffix.lower() or "without a suffix"] += 1
        self.others.add(name)

    def lines(self) -> Iterator[str]:
        """Yield what was left out, and why, in a line each."""
        if self.total:
            yield f"left out what by its name is neither a picture nor a video: {self}"
        if self.results.total:
            yield (
                f"left out what by its name is the result of a picture beside it: {self.results.total:,} {self.results}; "
                "--out with another folder takes all"
            )

    def merge(self, other: LeftOut) -> None:
        """Count the files of another one as well."""
        self.kinds += other.kinds
        self.others.merge(other.others)
        self.results.merge(other.results)

    def clear(self) -> None:
        """Forget the files that are no pictures, once they have been reported."""
        self.kinds.clear()
        self.others = Named()

    def __str__(self) -> str:
        common = self.kinds.most_common()
        kinds = [f"{count:,} {kind}" for kind, count in common[:_MAX_KINDS]]
        if rest := sum(count for _, count in common[_MAX_KINDS:]):
            kinds.append(f"{rest:,} of other kinds")
        return f"{', '.join(kinds)} {self.others}"
