"""The application: routes, the page's files, and one line of JSON for every error."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

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

_PAGE = {  # path -> file, type
    "/": ("index.html", "text/html"),
    "/app.js": ("app.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
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
        *(Route(path, _static(*file)) for path, file in _PAGE.items()),
    ]
    app = Starlette(routes=paths, lifespan=lifespan, exception_handlers={HTTPException: _refused, Exception: _failed})
    app.router.redirect_slashes = False
    return Guard(app, Access.at(settings.host, settings.names, settings.token))


def _static(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    content = (files("lamnet.server") / "page" / name).read_bytes()

    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return problem(500, f"this is a bug in lamnet, please report it: {type(error).__name__}")
