"""What a folder holds that a call leaves out, counted by kind, so that it can be said in one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath

_NAMED = 3  # names that the line gives
_KINDS = 5  # kinds that it gives


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
        if len(self.first) < _NAMED:
            self.first.append(name)

    def clear(self) -> None:
        """Forget all that was counted, since it has been said."""
        self.kinds.clear()
        self.first.clear()

    def __str__(self) -> str:
        common = self.kinds.most_common()
        kinds = [f"{count:,} {kind}" for kind, count in common[:_KINDS]]
        if rest := sum(count for _, count in common[_KINDS:]):
            kinds.append(f"{rest:,} of other kinds")
        more = ", ..." if self.total > len(self.first) else ""
        return f"{', '.join(kinds)} ({', '.join(self.first)}{more})"
