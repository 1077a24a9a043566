"""Many machines: pictures spread over a Ray cluster, each actor with a network of its own."""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from lamnet.base import interrupts
from lamnet.base.errors import BackendError, LamnetError, MissingExtraError
from lamnet.batch.jobs import Job
from lamnet.batch.one import Outcome, Upscalers, Work

ATTEMPTS = 3  # at one picture; one that takes three workers down is given up
WAIT_S = 60  # for a cluster; Ray itself waits for minutes
AT_ONCE = 10_000  # pictures that Ray Data is given at a time: its planning of millions takes long and much memory


def run(
    jobs: Iterable[Job],
    one: Work,
    make: Callable[[], Upscalers],
    overwrite: bool,
    progress: Progress,
    total: int | None,
) -> Generator[Outcome]:
    """As `batch.run`, on the cluster that RAY_ADDRESS names or on this machine, in the order in which results come.

    Files have the same paths on every machine. What a lost worker was at is done again elsewhere; a result
    appears whole or not at all, so one that exists is kept, also that of a picture listed by name. Workers compute with as
    many threads as this process (OMP_NUM_THREADS), or a GPU each where there are any: the same bits as `batch.run` gives.

    Args:
        make: readies the networks, once in every worker.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # else what is freed late starts a second cluster
    try:
        ray: Any = import_module("ray")
        data: Any = import_module("ray.data")
    except ImportError as error:
        raise MissingExtraError(
            f'engine: ray needs Ray Data, which is not here ({error}); pip install "lamnet-sr[ray]"'
        ) from error
    if _is_here(ray):
        make()  # what a worker would refuse is known before there is one
    with nullcontext() if ray.is_initialized() else _started(ray):
        task = progress.add_task("all", total=total)
        jobs = iter(jobs)
        while some := list(islice(jobs, AT_ONCE)):
            with closing(_some(ray, data, some, one, make, overwrite)) as outcomes:
                for outcome in outcomes:
                    progress.advance(task)
                    yield outcome


def _is_here(ray: Any) -> bool:
    """Whether the workers will be on this machine alone."""
    return not ray.is_initialized() and os.environ.get("RAY_ADDRESS", "local") == "local"


@contextmanager
def _started(ray: Any) -> Generator[None]:
    """A cluster within, started and ended by a thread: Ray answers no signal meanwhile, and takes SIGTERM for itself.

    The thread lives as long, for with the one that started them Ray's processes end.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it warns on stderr of what it does for us
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters is raised as well
    problems: list[Exception] = []
    started, over = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
        except Exception as error:  # Ray raises just that
            problems.append(error)
        started.set()
        over.wait()
        ray.shutdown()

    thread = threading.Thread(target=hold, daemon=True)
    try:
        with _silent_stderr():  # where it would say that the variable is set
            thread.start()
            if not started.wait(WAIT_S):
                problems.append(TimeoutError(f"none answered in {WAIT_S} s"))
        if problems:
            raise BackendError(f"engine: expected a Ray cluster, {str(problems[0]).splitlines()[0]}") from problems[0]
        interrupts.renew()
        yield
    finally:
        over.set()
        thread.join(WAIT_S if started.is_set() else 0)


def _some(
    ray: Any, data: Any, jobs: Sequence[Job], one: Work, make: Callable[[], Upscalers], overwrite: bool
) -> Generator[Outcome]:
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a block is a picture: it stays in `left`, the others go on
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    # Jobs are pickled, for Arrow's strings are UTF-8 and names of files need not be.
    left = {number: pickle.dumps(replace(job, found=True)) for number, job in enumerate(jobs)}
    for _ in range(ATTEMPTS):
        if left:
            pickled = [{"number": number, "job": job} for number, job in left.items()]
            with warnings.catch_warnings(action="ignore"):  # Ray 2.64 wants another way to say max_task_retries
                outcomes = data.from_items(pickled, override_num_blocks=len(pickled)).map_batches(
                    _Worker,
                    fn_constructor_args=(one, make, overwrite, torch.get_num_threads(), Path.cwd()),
                    batch_size=1,
                    # Ray's own repetition has no end for a picture that kills its worker each time.
                    max_task_retries=0,
                    **_resources(data, ray.cluster_resources(), len(pickled)),
                )
            # Rows left open start a cluster anew when Python frees them after the end of this one.
            with closing(iter(outcomes.iter_rows())) as rows:
                while (row := _next(ray, rows)) is not None:
                    outcome = pickle.loads(row["outcome"])
                    if isinstance(outcome, LamnetError):
                        raise outcome
                    if left.pop(row["number"], None) is not None:
                        yield outcome
    for number in left:
        job = jobs[number]
        yield Outcome(job.source, job.target, f"{job.source}: its worker was lost {ATTEMPTS} times")


def _next(ray: Any, rows: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    try:
        with redirect_stdout(sys.stderr):  # Ray announces lost workers on stdout, where results belong
            return next(rows, None)
    except ray.exceptions.RayError as error:
        raise BackendError(f"engine: expected a Ray cluster at work, {str(error).splitlines()[0]}") from error


@contextmanager
def _silent_stderr() -> Generator[None]:
    """What native code writes to stderr is lost; exceptions are not."""
    before, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nothing)


def _resources(data: Any, cluster: dict[str, float], jobs: int) -> dict[str, Any]:
    """One picture at a time in each worker, so that none is lost with another."""
    gpus, cpus, threads = int(cluster.get("GPU", 0)), int(cluster.get("CPU", 1)), torch.get_num_threads()
    most = min(jobs, gpus or max(1, cpus // threads))
    pool = data.ActorPoolStrategy(min_size=1, max_size=most, max_tasks_in_flight_per_actor=1)
    return {"compute": pool} | ({"num_gpus": 1} if gpus else {"num_cpus": min(threads, cpus)})


class _Worker:
    def __init__(self, one: Work, make: Callable[[], Upscalers], overwrite: bool, threads: int, place: Path) -> None:
        with suppress(OSError):  # where it exists, paths relative to it are the same
            os.chdir(place)
        torch.set_num_threads(threads)
        self.one = one
        self.overwrite = overwrite
        try:
            self.upscalers = make()
        except LamnetError as error:  # raised here, it would come out as Ray's
            self.upscalers = error

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        return {"number": rows["number"], "outcome": [pickle.dumps(self._outcome(job)) for job in rows["job"]]}

    def _outcome(self, job: bytes) -> Outcome | LamnetError:
        if isinstance(self.upscalers, LamnetError):
            return self.upscalers
        return self.one(pickle.loads(job), self.upscalers, self.overwrite, lambda _: None)
