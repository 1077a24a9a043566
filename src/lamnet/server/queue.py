"""The queue: jobs that wait, the one or few that are worked on, and those whose results wait for their client."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import signal
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lamnet.batch import names
from lamnet.server.process import DiedError, Worker
from lamnet.server.settings import Limits

State = Literal["waiting", "running", "done", "failed"]
_log = logging.getLogger(__name__)


class FullError(Exception):
    """The queue has as many jobs as it takes."""


class DiskFullError(Exception):
    """A result has come so far that the disk has no room for more."""


@dataclass(eq=False)
class Job:
    """One file of a client.

    Attributes:
        id: what a client names it by; nobody can guess it.
        name: the client's own for the file.
        options: the client's, checked.
        mark: what the result's name has after the file's, such as "_x4".
        folder: for its files, gone with it.
        source: the file.
        done: share of the work, 0 to 1.
        told: the largest share that was told.
        estimate: seconds for all of it; None where nothing was timed.
        started, seen: when the work began, and when its client last asked, in seconds of `time.monotonic`.
        outcome: as the worker said it, once the job has ended.
        ended: is set then.
        work: the task that follows the worker.
    """

    name: str
    options: Mapping[str, str]
    mark: str
    folder: Path
    source: Path
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "waiting"
    done: float = 0
    told: float = 0
    estimate: float | None = None
    started: float = 0
    seen: float = field(default_factory=time.monotonic)
    outcome: dict[str, Any] = field(default_factory=dict[str, Any])
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    work: asyncio.Task[None] | None = None

    @property
    def result(self) -> Path:
        """The file of the result."""
        return self.folder / str(self.outcome["file"])

    @property
    def result_name(self) -> str:
        """Name of the result: photo_x4.jpg of photo.jpg."""
        return names.marked(names.split(self.name)[0], self.mark) + self.result.suffix

    def end(self, state: Literal["done", "failed"], outcome: dict[str, Any]) -> None:
        """Note the end of the work."""
        self.state, self.outcome, self.seen = state, outcome, time.monotonic()
        self.ended.set()

    def fail(self, reason: str) -> None:
        """Note the end of work that gave no result, and why, without the file's name."""
        self.end("failed", {"error": reason})

    def progress(self) -> tuple[float, float | None]:
        """The share that is done, which never goes back, and the seconds that are left."""
        if self.state != "running":
            return (1.0 if self.state == "done" else 0.0), None
        share, left = self._reckoned(time.monotonic() - self.started)
        self.told = max(self.told, share)
        return self.told, left

    def _reckoned(self, elapsed: float) -> tuple[float, float | None]:
        """Share and seconds left after so many, by the estimate where the worker has said nothing yet."""
        if self.done > 0:
            return self.done, elapsed * (1 - self.done) / self.done
        if self.estimate is None:
            return 0.0, None
        return min(0.95, elapsed / self.estimate), max(0.0, self.estimate - elapsed)


class Queue:
    """Jobs in the order of their coming; what a client no longer asks after is forgotten."""

    def __init__(self, folder: Path, limits: Limits, workers: list[Worker]) -> None:
        self.folder = folder
        self._limits = limits
        self._workers = workers
        self._jobs: dict[str, Job] = {}
        self._waiting: list[Job] = []
        self._arriving = 0
        self._news = asyncio.Condition()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Work on jobs within; afterwards no process is left."""
        tasks = [asyncio.create_task(self._work_on_jobs(worker)) for worker in self._workers]
        tasks.append(asyncio.create_task(self._forget_abandoned()))
        try:
            yield
        finally:
            works = [job.work for job in self._jobs.values() if job.work is not None]
            for task in (*tasks, *works):
                task.cancel()
            for worker in self._workers:
                await worker.kill()
            await asyncio.gather(*tasks, *works, return_exceptions=True)

    @contextmanager
    def place(self) -> Generator[None]:
        """Hold a place for a job whose file is on its way. Raises FullError."""
        if self._arriving + len(self._waiting) >= self._limits.queue:
            raise FullError
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1

    async def add(self, job: Job) -> None:
        """Put a job at the end."""
        self._jobs[job.id] = job
        self._waiting.append(job)
        async with self._news:
            self._news.notify()
        ended = [one for one in self._jobs.values() if one.ended.is_set()]
        if len(ended) > self._limits.kept:
            await self.forget(min(ended, key=lambda one: one.seen))

    def get(self, id: str) -> Job | None:
        """Return the job of this name, whose client has asked after it; None where there is none (any more)."""
        if (job := self._jobs.get(id)) is not None:
            job.seen = time.monotonic()
        return job

    def position(self, job: Job) -> int:
        """Count the jobs that have their turn before this one's, and itself; 0 for one that does not wait."""
        return self._waiting.index(job) + 1 if job in self._waiting else 0

    async def forget(self, job: Job) -> None:
        """Cancel a job that is not done, and remove its files."""
        if self._jobs.pop(job.id, None) is None:
            return
        if job in self._waiting:
            self._waiting.remove(job)
        if job.work is not None and not job.work.done():
            job.work.cancel()
            await asyncio.wait([job.work])
        job.ended.set()
        await asyncio.to_thread(shutil.rmtree, job.folder, ignore_errors=True)

    async def _work_on_jobs(self, worker: Worker) -> None:
        while True:
            async with self._news:
                await self._news.wait_for(lambda: self._waiting)
                job = self._waiting.pop(0)
            job.state, job.started = "running", time.monotonic()
            job.work = asyncio.create_task(self._follow(job, worker))
            await asyncio.wait([job.work])

    async def _follow(self, job: Job, worker: Worker) -> None:
        """See a job through to its end: no error of its own, nor of its process, goes further."""
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._upscale(job, worker)
        except TimeoutError:
            await worker.kill()
            job.fail(f"expected to be done within {self._limits.seconds:,.0f} s, which are over")
        except asyncio.CancelledError:
            await worker.give_up()
            raise
        except DiskFullError:
            await worker.give_up()
            job.fail("expected room for the result on the server's disk, which is full")
        except DiedError as death:
            job.fail(f"the process that worked on it ended ({_in_words(death.args[0])})")
        except Exception as error:
            _log.exception("job %s", job.id)
            await worker.kill()
            job.fail(f"this is a bug in lamnet, please report it: {type(error).__name__}")
        finally:
            if job.state == "done":
                with suppress(OSError):
                    job.source.unlink()
            else:  # what there is of a result is of no use
                shutil.rmtree(job.folder, ignore_errors=True)

    async def _upscale(self, job: Job, worker: Worker) -> None:
        task = {"source": str(job.source), "target": str(job.folder / "result"), "options": dict(job.options)}
        async with aclosing(worker.events(task)) as events:
            async for event in events:
                if "outcome" in event:
                    outcome = event["outcome"]
                    job.end("failed" if outcome["error"] else "done", outcome)
                job.done = event.get("done", job.done)
                job.estimate = event.get("estimate", job.estimate)
                if job.state == "running" and shutil.disk_usage(self.folder).free < self._limits.free:
                    raise DiskFullError

    async def _forget_abandoned(self) -> None:
        pause = min(5.0, self._limits.keep / 4)
        while True:
            await asyncio.sleep(pause)
            latest = time.monotonic() - self._limits.keep
            for job in [job for job in self._jobs.values() if job.seen < latest]:
                await self.forget(job)


def _in_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name + (", often for want of memory" if -code == 9 else "")
    return f"signal {-code}"
