"""The places of a request's pictures: folders of this machine, or buckets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lamnet.base.progress import Work
from lamnet.batch import buckets, jobs, one
from lamnet.batch.buckets import Transfer
from lamnet.batch.jobs import Job
from lamnet.batch.outcome import Outcome
from lamnet.batch.request import Request
from lamnet.batch.upscalers import Upscalers
from lamnet.upscale.goal import Goal


@dataclass(frozen=True)
class Folders:
    """Files of this machine: the jobs of a request, and one of them done."""

    request: Request
    mark: str

    def jobs(self) -> Iterator[Job]:
        """The jobs, as they are found. Raises BadArgumentError as `jobs.find`."""
        return jobs.find(self.request.sources, self.request.out, self.mark)

    def upscale(self, job: Job, upscalers: Upscalers) -> Work[Outcome]:
        """Upscale one picture or video."""
        return one.upscale_one(job, upscalers, self.request.overwrite)


def place_of(request: Request, goal: Goal) -> Folders | Transfer:
    """The place that a request's names are of; results get the goal after their names.

    Raises as `buckets.transfer`.
    """
    mark = f"_{goal}"
    if any(buckets.is_uri(name) for name in (*request.sources, request.out or "")):
        return buckets.transfer(request.sources, request.out, mark, request.overwrite)
    return Folders(request, mark)
