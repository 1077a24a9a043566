"""The files of folders that a call has no use for, counted by kind for a note of one line."""

from __future__ import annotations

from collections import Counter
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
class OtherFiles:
    """Files of other kinds than a call takes."""

    kinds: Counter[str] = field(default_factory=Counter[str])
    names: Named = field(default_factory=Named)

    @property
    def total(self) -> int:
        """Number of the files."""
        return self.names.total

    def add(self, name: str, kind: str | None = None) -> None:
        """Count a file; its kind is its suffix unless another one is given."""
        self.kinds[kind or PurePath(name).suffix.lower() or "without a suffix"] += 1
        self.names.add(name)

    def merge(self, other: OtherFiles) -> None:
        """Count the files of another one as well."""
        self.kinds += other.kinds
        self.names.merge(other.names)

    def __str__(self) -> str:
        common = self.kinds.most_common()
        kinds = [f"{count:,} {kind}" for kind, count in common[:_MAX_KINDS]]
        if rest := sum(count for _, count in common[_MAX_KINDS:]):
            kinds.append(f"{rest:,} of other kinds")
        return f"{', '.join(kinds)} {self.names}"
