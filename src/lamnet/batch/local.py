"""A request on this machine: one picture or video after another."""

from __future__ import annotations

from collections.abc import Generator

from lamnet.base.progress import Progress
from lamnet.batch.jobs import in_chunks
from lamnet.batch.manifest import recorded
from lamnet.batch.outcome import Event
from lamnet.batch.places import notes_of, place_of
from lamnet.batch.request import Request
from lamnet.batch.upscalers import Upscalers


def run(request: Request) -> Generator[Event]:
    """Carry a request out; a problem with one picture is its Outcome and does not touch the others.

    Raises, at the first event, as Upscaler does and for names that cannot be used: BadArgumentError, BadWeightsError,
    BackendError, MissingExtraError, and BadImageError for buckets that cannot be listed.
    """
    return recorded(_events(request), request.manifest)


def _events(request: Request) -> Generator[Event]:
    upscalers = Upscalers.of(request)
    place = place_of(request, upscalers.goal)
    for label, chunk in in_chunks(place.jobs()):
        for number, job in enumerate(chunk):
            if len(chunk) > 1:
                yield Progress(label, number / len(chunk))
            yield Progress(job.source.name, 0.0)
            outcome = yield from place.upscale(job, upscalers)
            yield Progress(job.source.name, 1.0)
            yield outcome
        yield Progress(label, 1.0)
    yield from notes_of(place)
