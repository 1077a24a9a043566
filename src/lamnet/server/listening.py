"""A server from its start to its end: the socket, the folder for files, and what a signal does."""

from __future__ import annotations

import secrets
import socket
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn

from lamnet.base import interrupts
from lamnet.base.errors import BadArgumentError
from lamnet.server.access import is_local
from lamnet.server.application import application
from lamnet.server.connection import Connection
from lamnet.server.process import PROGRAM
from lamnet.server.settings import Settings

_GRACE = 2  # seconds for answers under way when the server ends
_TOKEN = 16  # letters that a token has at least


class Server:
    """A server that has its address already, so that it can be told to people; `run` answers.

    Raises:
        BadArgumentError: the address cannot be listened on, or the token is short.
    """

    def __init__(self, settings: Settings, program: Sequence[str] = PROGRAM) -> None:
        if settings.token is None and not is_local(settings.host):
            settings = replace(settings, token=secrets.token_urlsafe(32))
        if settings.token is not None and (len(settings.token) < _TOKEN or not settings.token.isascii()):
            raise BadArgumentError(
                f"token: expected at least {_TOKEN} ASCII letters, got {len(settings.token)} letters"
            )
        if settings.workers < 1:
            raise BadArgumentError(f"workers: expected at least 1, got {settings.workers}")
        self.settings = settings
        self._program = program
        self._socket = _listening(settings.host, settings.port)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._socket.getsockname()[1]

    @property
    def address(self) -> str:
        """The address for a browser, with the token where one is wanted, behind a # that no request carries on."""
        host = self.settings.host
        host = socket.gethostname() if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/{f'#{self.settings.token}' if self.settings.token else ''}"

    def run(self) -> None:
        """Answer until a signal comes, and leave no file. Raises Stopped then, in the main thread."""
        with (
            interrupts.noted() as asked,
            tempfile.TemporaryDirectory(prefix="lamnet-app-", ignore_cleanup_errors=True) as folder,
        ):
            running = Uvicorn(self._config(Path(folder)), asked)
            running.run(sockets=[self._socket])
        if asked.number:
            raise interrupts.Stopped(asked.number)

    def _config(self, folder: Path) -> uvicorn.Config:
        return uvicorn.Config(
            application(self.settings, folder, self._program),
            loop="asyncio",
            http=Connection,
            ws="none",
            interface="asgi3",
            lifespan="on",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=self.settings.limits.connections,
            timeout_graceful_shutdown=_GRACE,
        )


class Uvicorn(uvicorn.Server):
    """uvicorn, which leaves signals to `interrupts`."""

    def __init__(self, config: uvicorn.Config, asked: interrupts.Request) -> None:
        super().__init__(config)
        self._asked = asked

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Look after signals, ten times a second."""
        return bool(self._asked.number) or await super().on_tick(counter)


def _listening(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise BadArgumentError(f"port: expected 0 to 65,535, got {port}")
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()  # who asks before `run` waits
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise BadArgumentError(
            f"port: expected an address that is free, got {host}:{port}: {error.strerror or error}"
        ) from error
    return listener
