"""The HTTP interface: a file in, its progress, its result out. docs/http.md describes it."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from lamnet.base.errors import LamnetError
from lamnet.server import options
from lamnet.server.access import problem
from lamnet.server.queue import FullError, Job, Queue
from lamnet.server.settings import Limits, Settings
from lamnet.server.transfer import Download, RefusedError, Upload, check_room

_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
}
_LONGEST_WAIT = 60  # seconds


class Routes:
    """The answers to requests about jobs.

    Args:
        queue: of the jobs.
        settings: the server's.
    """

    def __init__(self, queue: Queue, settings: Settings) -> None:
        self._queue = queue
        self._settings = settings
        self._limits = settings.limits

    async def choices(self, request: Request) -> Response:
        """Say what can be chosen."""
        return JSONResponse(options.described(self._limits, self._settings.engine))

    async def create(self, request: Request) -> Response:
        """Take a file, the body, and options, the query."""
        upload = Upload(request, self._limits)
        try:
            with self._queue.place():
                job = await self._received(request, upload)
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody reads
        except (FullError, LamnetError, RefusedError, OSError) as error:
            await upload.drain()
            return _refusal(error, self._limits)
        return JSONResponse(self._described(job), 201, headers={"Location": f"/api/jobs/{job.id}"})

    async def state(self, request: Request) -> Response:
        """Say how a job is doing, as soon as it has ended, or after `wait` seconds."""
        job = self._asked(request)
        try:
            wait = min(_LONGEST_WAIT, self._limits.keep / 2, max(0.0, float(request.query_params.get("wait", "0"))))
        except ValueError:
            return problem(400, "wait: expected a number of seconds")
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await job.ended.wait()
        return JSONResponse(self._described(self._asked(request)))

    async def result(self, request: Request) -> Response:
        """Send a job's result, and forget the job when all of it is sent."""
        job = self._asked(request)
        if job.state != "done":
            return problem(409, job.outcome.get("error") or f"expected a job that is done, found it {job.state}")
        headers = {
            "Content-Length": str(job.result.stat().st_size),
            "Content-Type": _TYPES.get(job.result.suffix.lower(), "application/octet-stream"),
            "Content-Disposition": _attached(job.result_name),
        }
        if request.method == "HEAD":
            return Response(headers=headers)
        return Download(job.result, headers, self._limits.silence, BackgroundTask(self._queue.forget, job))

    async def forget(self, request: Request) -> Response:
        """Cancel a job, or forget its result."""
        await self._queue.forget(self._asked(request))
        return Response(status_code=204)

    async def _received(self, request: Request, upload: Upload) -> Job:
        query = dict(request.query_params)
        name = options.file_name(query.pop("name", ""))
        wanted = options.request_of(query, self._settings.engine)
        goal = await asyncio.to_thread(options.checked_goal, wanted)
        length = request.headers.get("content-length", "0")
        check_room(self._queue.folder, int(length), self._limits)
        folder = Path(tempfile.mkdtemp(dir=self._queue.folder))
        try:
            source = folder / f"source{options.suffix_of(name)}"
            await upload.into(source)
            job = Job(name, query, f"_{goal}", folder, source)
            await self._queue.add(job)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        return job

    def _asked(self, request: Request) -> Job:
        if (job := self._queue.get(request.path_params["id"])) is None:
            raise HTTPException(
                404, "expected a job of this server; results are kept until they are fetched, and not long"
            )
        return job

    def _described(self, job: Job) -> dict[str, Any]:
        done, left = job.progress()
        error = job.outcome.get("error")
        return {
            "id": job.id,
            "name": job.name,
            "state": job.state,
            "position": self._queue.position(job),
            "progress": round(done, 4),
            "seconds_left": None if left is None else round(left, 1),
            "error": f"{job.name}: {error}" if error else None,
            "result": job.result_name if job.state == "done" else None,
            "bytes": job.result.stat().st_size if job.state == "done" else None,
            "notes": job.outcome.get("notes", []),
            "weights": job.outcome.get("weights"),
        }


def _attached(name: str) -> str:
    """The header that names a file, for programs that know ASCII alone too, as curl is one."""
    plain = re.sub(r"[^\w. -]", "_", name, flags=re.ASCII)
    return f"attachment; filename=\"{plain}\"; filename*=utf-8''{quote(name, safe='')}"


def _refusal(error: Exception, limits: Limits) -> Response:
    if isinstance(error, FullError):
        return problem(
            503, f"expected at most {limits.queue:,} files that wait, and there are as many", {"Retry-After": "5"}
        )
    if isinstance(error, RefusedError):
        return problem(*error.args)
    if isinstance(error, OSError):
        return problem(507, f"the server's disk cannot be written: {error.strerror or 'error'}")
    return problem(400, options.for_clients(str(error)))
