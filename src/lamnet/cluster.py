"""Many machines: pictures spread over a Ray cluster, each actor with a network of its own."""

from __future__ import annotations

import logging
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from importlib import import_module
from itertools import islice
from typing import Any

import torch
from rich.progress import Progress

from lamnet.batch import Outcome, Upscalers, Work
from lamnet.errors import MissingExtraError
from lamnet.jobs import Job

ATTEMPTS = 3  # at one picture; one that takes three workers down is given up
AT_ONCE = 10_000  # pictures that Ray Data is given at a time: its planning of millions takes long and much memory


def run(
    jobs: Iterable[Job],
    one: Work,
    make: Callable[[], Upscalers],
    overwrite: bool,
    progress: Progress,
    total: int | None,
) -> Iterator[Outcome]:
    """As `batch.run`, on the cluster that RAY_ADDRESS names or on this machine, in the order in which results come.

    Files have the same paths on every machine. What a lost worker was at is done again elsewhere; a result
    appears whole or not at all, so one that exists is kept, also that of a picture listed by name. Workers compute with as
    many threads as this process (OMP_NUM_THREADS), or a GPU each where there are any: the same bits as `batch.run` gives.

    Args:
        make: readies the networks, once in every worker.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    try:
        ray: Any = import_module("ray")
        data: Any = import_module("ray.data")
    except ImportError as error:
        raise MissingExtraError(
            f'engine: ray needs Ray Data, which is not here ({error}); pip install "lamnet-sr[ray]"'
        ) from error
    ours = not ray.is_initialized()
    if ours:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        task = progress.add_task("all", total=total)
        jobs = iter(jobs)
        while some := list(islice(jobs, AT_ONCE)):
            for outcome in _some(ray, data, some, one, make, overwrite):
                progress.advance(task)
                yield outcome
    finally:
        if ours:
            ray.shutdown()


def _some(
    ray: Any, data: Any, jobs: Sequence[Job], one: Work, make: Callable[[], Upscalers], overwrite: bool
) -> Iterator[Outcome]:
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a block is a picture: it stays in `left`, the others go on
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    # Jobs are pickled, for Arrow's strings are UTF-8 and names of files need not be.
    left = {number: pickle.dumps(replace(job, found=True)) for number, job in enumerate(jobs)}
    for _ in range(ATTEMPTS):
        if left:
            pickled = [{"number": number, "job": job} for number, job in left.items()]
            outcomes = data.from_items(pickled, override_num_blocks=len(pickled)).map_batches(
                _Worker,
                fn_constructor_args=(one, make, overwrite, torch.get_num_threads()),
                batch_size=1,
                # Ray's own repetition has no end for a picture that kills its worker each time.
                ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": 0},
                **_resources(data, ray.cluster_resources(), len(pickled)),
            )
            rows = iter(outcomes.iter_rows())
            while (row := _next(rows)) is not None:
                if left.pop(row["number"], None) is not None:
                    yield pickle.loads(row["outcome"])
    for number in left:
        job = jobs[number]
        yield Outcome(job.source, job.target, f"{job.source}: its worker was lost {ATTEMPTS} times")


def _next(rows: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    with redirect_stdout(sys.stderr):  # Ray announces lost workers on stdout, where results belong
        return next(rows, None)


def _resources(data: Any, cluster: dict[str, float], jobs: int) -> dict[str, Any]:
    """One picture at a time in each worker, so that none is lost with another."""
    gpus, cpus, threads = int(cluster.get("GPU", 0)), int(cluster.get("CPU", 1)), torch.get_num_threads()
    most = min(jobs, gpus or max(1, cpus // threads))
    pool = data.ActorPoolStrategy(min_size=1, max_size=most, max_tasks_in_flight_per_actor=1)
    return {"compute": pool} | ({"num_gpus": 1} if gpus else {"num_cpus": min(threads, cpus)})


class _Worker:
    def __init__(self, one: Work, make: Callable[[], Upscalers], overwrite: bool, threads: int) -> None:
        torch.set_num_threads(threads)
        self.one = one
        self.upscalers = make()
        self.overwrite = overwrite

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        outcomes = [self.one(pickle.loads(job), self.upscalers, self.overwrite, lambda _: None) for job in rows["job"]]
        return {"number": rows["number"], "outcome": [pickle.dumps(outcome) for outcome in outcomes]}
