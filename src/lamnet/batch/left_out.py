"""The files of folders that a call leaves out, counted by kind for a note of one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath

_MAX_NAMES = 3  # in the line
_MAX_KINDS = 5


@dataclass
class LeftOut:
    """Files that were left out: how many of each kind, and the names of the first."""

    kinds: Counter[str] = field(default_factory=Counter[str])
    first: list[str] = field(default_factory=list[str])

    @property
    def total(self) -> int:
        """Number of files."""
        return self.kinds.total()

    def add(self, name: str, kind: str | None = None) -> None:
        """Count a file; its kind is its suffix unless another one is given."""
        self.kinds[kind or PurePath(name).suffix.lower() or "without a suffix"] += 1
        if len(self.first) < _MAX_NAMES:
            self.first.append(name)

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
