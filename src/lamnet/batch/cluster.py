"""A request on many machines: pictures are spread over a Ray cluster; each worker has its own networks."""

from __future__ import annotations

import os
import pickle
from collections.abc import Generator, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamnet.base import extras, progress
from lamnet.base.errors import BadArgumentError, LamnetError
from lamnet.base.progress import Progress
from lamnet.batch import ray_quirks, streams
from lamnet.batch.jobs import Job, in_chunks
from lamnet.batch.manifest import recorded
from lamnet.batch.outcome import Event, Outcome
from lamnet.batch.places import notes_of, place_of
from lamnet.batch.request import Request
from lamnet.batch.upscalers import Upscalers, load_networks
from lamnet.core.library import wanted_threads

ATTEMPTS = 3  # at one picture; it is given up after it has taken three workers down


def run(request: Request) -> Generator[Event]:
    """Carry a request out on the cluster that RAY_ADDRESS names, or on a cluster of this machine.

    Outcomes come in the order in which results are finished.

    Files, weights among them, have the same paths on every machine. The picture of a lost worker is done again elsewhere;
    a result appears whole or not at all, so one that exists is kept, also that of a picture listed by name. Workers
    compute with as many threads as this process (OMP_NUM_THREADS), or a GPU each where there are any: the results have
    the same bits as those of `local.run`.

    Raises, at the first event, as `local.run`; MissingExtraError without Ray, BackendError without a cluster.
    """
    return recorded(_events(request), request.manifest)


def _events(request: Request) -> Generator[Event]:
    for name in (*request.sources, request.out or ""):
        if streams.is_stream(name):
            raise BadArgumentError(f"engine: expected local for the stream {name}, got ray")
    ray_quirks.set_environment()
    ray = extras.require("ray", "ray", "engine: ray")
    data = extras.require("ray.data", "ray", "engine: ray")
    # On this machine, errors of a worker are found before there is one.
    goal = Upscalers.of(request).goal if ray_quirks.is_here(ray) else load_networks(request)[1]
    request = replace(request, goal=goal)
    place = place_of(request, goal)
    with nullcontext() if ray.is_initialized() else ray_quirks.started(ray):
        ray_quirks.set_up(data)
        for label, chunk in in_chunks(place.jobs()):
            yield Progress(label, 0.0)
            with closing(_outcomes(ray, data, chunk, request)) as outcomes:
                for number, outcome in enumerate(outcomes, 1):
                    yield outcome
                    yield Progress(label, number / len(chunk))
    yield from notes_of(place)


def _outcomes(ray: Any, data: Any, jobs: Sequence[Job], request: Request) -> Generator[Outcome]:
    """Yield the outcomes of some jobs as they come; a job whose worker is lost is tried again with all that are left."""
    left = dict(enumerate(jobs))
    for _ in range(ATTEMPTS):
        if left:
            with closing(_attempt(ray, data, left, request)) as outcomes:
                for number, outcome in outcomes:
                    if left.pop(number, None) is not None:
                        yield outcome
    for job in left.values():
        yield Outcome(job.source, job.target, f"its worker was lost {ATTEMPTS} times")


def _attempt(ray: Any, data: Any, jobs: dict[int, Job], request: Request) -> Generator[tuple[int, Outcome]]:
    """Yield the number and outcome of each job whose worker survives."""
    # Pickled, for Arrow's strings are UTF-8 and names of files need not be.
    rows = [{"number": number, "job": pickle.dumps(replace(job, found=True))} for number, job in jobs.items()]
    with ray_quirks.without_warnings():
        results = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Worker,
            fn_constructor_args=(request, wanted_threads(), Path.cwd()),
            batch_size=1,
            max_task_retries=0,  # Ray's own repetition has no end for a picture that kills its worker each time
            **_resources(data, ray.cluster_resources(), len(rows)),
        )
    with closing(ray_quirks.rows_of(ray, results)) as found:
        for row in found:
            outcome = pickle.loads(row["outcome"])
            if isinstance(outcome, LamnetError):
                raise outcome
            yield row["number"], outcome


def _resources(data: Any, cluster: dict[str, float], jobs: int) -> dict[str, Any]:
    """Choose workers that do one picture at a time, so that none is lost with another."""
    gpus, cpus, threads = int(cluster.get("GPU", 0)), int(cluster.get("CPU", 1)), wanted_threads()
    most = min(jobs, gpus or max(1, cpus // threads))
    pool = data.ActorPoolStrategy(min_size=1, max_size=most, max_tasks_in_flight_per_actor=1)
    return {"compute": pool} | ({"num_gpus": 1} if gpus else {"num_cpus": min(threads, cpus)})


class _Worker:
    """Networks in a process of the cluster, and the pictures that go through them."""

    def __init__(self, request: Request, threads: int, folder: Path) -> None:
        with suppress(OSError):  # where it exists, paths relative to it are the same
            os.chdir(folder)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # the core and PyTorch read it when they start
        try:
            self.upscalers = Upscalers.of(request)
            self.place = place_of(request, self.upscalers.goal)
        except LamnetError as error:  # raised here, it would come out as Ray's
            self.upscalers = error

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Replace the pickled jobs in the rows of a batch by pickled outcomes."""
        return {"number": rows["number"], "outcome": [pickle.dumps(self._outcome(job)) for job in rows["job"]]}

    def _outcome(self, job: bytes) -> Outcome | LamnetError:
        if isinstance(self.upscalers, LamnetError):
            return self.upscalers
        return progress.finish(self.place.upscale(pickle.loads(job), self.upscalers))
