"""The application: routes, the page's files, and one line of JSON for every error."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path, PurePosixPath

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lamnet.server.access import Access, Guard, problem
from lamnet.server.process import PROGRAM, Worker
from lamnet.server.queue import Queue
from lamnet.server.routes import Routes
from lamnet.server.settings import Settings
from lamnet.server.terms import terms

_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}  # of the page's files
_log = logging.getLogger(__name__)


def application(settings: Settings, folder: Path, program: Sequence[str] = PROGRAM) -> Guard:
    """Make the application, as ASGI has it.

    Args:
        folder: an empty one for the jobs' files; whoever made it removes it.
        program: what a worker runs.
    """
    workers = [Worker(folder, settings.engine, program) for _ in range(settings.workers)]
    queue = Queue(folder, settings.limits, workers)
    routes = Routes(queue, settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with queue.running():
            yield

    paths = [
        Route("/api/options", routes.choices),
        Route("/api/jobs", routes.create, methods=["POST"]),
        Route("/api/jobs/{id}", routes.state, methods=["GET"]),
        Route("/api/jobs/{id}", routes.forget, methods=["DELETE"]),
        Route("/api/jobs/{id}/result", routes.result, methods=["GET"]),
        *_page(),
    ]
    app = Starlette(routes=paths, lifespan=lifespan, exception_handlers={HTTPException: _refused, Exception: _failed})
    app.router.redirect_slashes = False
    return Guard(app, Access.at(settings.host, settings.names, settings.token))


def _page() -> Iterator[Route]:
    """The page's files, "/" for index.html, and the terms of the weights."""
    for file in sorted((files("lamnet.server") / "page").iterdir(), key=lambda one: one.name):
        path = "/" if file.name == "index.html" else f"/{file.name}"
        yield Route(path, _static(file.read_bytes(), _TYPES[PurePosixPath(file.name).suffix]))
    yield Route("/WEIGHTS.txt", _static(terms().encode(), "text/plain"))


def _static(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return problem(500, f"this is a bug in lamnet, please report it: {type(error).__name__}")
