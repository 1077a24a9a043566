"""The files of folders that a call to upscale leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lamnet.base.other_files import Named, OtherFiles


@dataclass
class LeftOut:
    """Files that were left out: what is neither picture nor video, and by themselves results of earlier calls."""

    others: OtherFiles = field(default_factory=OtherFiles)
    results: Named = field(default_factory=Named)

    def lines(self) -> Iterator[str]:
        """Yield what was left out, and why, in a line each."""
        if self.others.total:
            yield f"left out what by its name is neither a picture nor a video: {self.others}"
        if self.results.total:
            yield (
                f"left out what by its name is the result of a picture beside it: {self.results.total:,} {self.results}; "
                "--out with another folder takes all"
            )

    def merge(self, other: LeftOut) -> None:
        """Count the files of another one as well."""
        self.others.merge(other.others)
        self.results.merge(other.results)
