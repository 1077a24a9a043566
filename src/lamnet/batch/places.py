"""The places of a request's pictures: folders of this machine, or buckets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lamnet.base.errors import BadArgumentError
from lamnet.base.progress import Work
from lamnet.batch import buckets, finding, names, one
from lamnet.batch.buckets import Transfer
from lamnet.batch.jobs import Job
from lamnet.batch.left_out import LeftOut
from lamnet.batch.outcome import Note, Outcome
from lamnet.batch.request import Request
from lamnet.batch.upscalers import Upscalers
from lamnet.upscale.goal import Goal


@dataclass(frozen=True)
class Folders:
    """Files of this machine: finds the jobs of a request, and does one of them."""

    request: Request
    mark: str
    left_out: LeftOut = field(default_factory=LeftOut)

    def jobs(self) -> Iterator[Job]:
        """Find the jobs. Raises BadArgumentError as `finding.find`."""
        return finding.find(self.request.sources, self.request.out, self.mark, self.left_out)

    def upscale(self, job: Job, upscalers: Upscalers) -> Work[Outcome]:
        """Upscale one picture or video."""
        return one.upscale_one(job, upscalers, self.request.overwrite)


def place_of(request: Request, goal: Goal) -> Folders | Transfer:
    """Choose the place of a request's names; results get the goal at the end of their names.

    Raises as `buckets.transfer`, and BadArgumentError for web addresses.
    """
    mark = names.checked(request.name).replace(names.GOAL, str(goal))
    for name in (*request.sources, request.out or ""):
        if scheme := buckets.WEB.match(name):
            raise BadArgumentError(
                f"{name}: expected a file, a folder or a bucket (s3://, gs://), got an address of {scheme[1]}; "
                "download it first"
            )
    if any(buckets.is_uri(name) for name in (*request.sources, request.out or "")):
        return buckets.transfer(request.sources, request.out, mark, request.overwrite)
    return Folders(request, mark)


def notes_of(place: Folders | Transfer) -> Iterator[Note]:
    """Note which files were left out of a place, once all its jobs have been found."""
    yield from (Note(line) for line in place.left_out.lines())
