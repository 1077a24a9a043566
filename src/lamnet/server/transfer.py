"""Files on their way in and out, within limits of size, time and disk."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from lamnet.server.connection import Connection
from lamnet.server.settings import Limits

_BLOCK = 2**18  # bytes written and read at a time
_WASTE = 2**17  # bytes by which what has come may be more than twice the file: its chunks' sizes, and what waits here


class RefusedError(Exception):
    """Refusal of what a client asks; the arguments are those of `problem`: the status, the reason in one line, perhaps headers."""


def check_room(folder: Path, size: int, limits: Limits) -> None:
    """Raise RefusedError for a file that is too large, or for which the disk has no room."""
    if size > limits.upload:
        raise RefusedError(413, f"expected a file of at most {limits.upload:,} bytes, got {size:,}")
    if shutil.disk_usage(folder).free < size + limits.free:
        raise RefusedError(507, "expected room on the server's disk, which is full")


class Upload:
    """A request's body on its way, of which all has to be taken before a client reads an answer."""

    def __init__(self, request: Request, limits: Limits) -> None:
        self._request = request
        self._limits = limits
        self._ended = False
        self._connection: Connection = request.state.connection
        self._received = self._connection.received

    async def into(self, path: Path) -> None:
        """Write it into a new file.

        Raises RefusedError where it is empty, too large or too slow or the disk has no room any more, OSError where the disk is full, and ClientDisconnect.
        """
        size, start = 0, time.monotonic()
        pending = bytearray()
        with path.open("xb") as file:
            async for chunk in self._chunks():
                size += len(chunk)
                self._check(size, time.monotonic() - start)
                pending += chunk
                if len(pending) >= _BLOCK:
                    check_room(path.parent, len(pending), self._limits)  # which others take too, meanwhile
                    await asyncio.to_thread(file.write, bytes(pending))
                    pending.clear()
            await asyncio.to_thread(file.write, bytes(pending))
        if size == 0:
            raise RefusedError(400, "expected a file, got nothing")

    async def drain(self) -> None:
        """Take the rest of what is refused, so that the client gets to read why; not all of what is endless."""
        if self._ended or "expect" in self._request.headers:  # then it has not begun to send
            return
        with suppress(ClientDisconnect, RefusedError, TimeoutError):
            async with asyncio.timeout(self._limits.silence):
                size = 0
                async for chunk in self._chunks():
                    size += len(chunk)
                    if size > self._limits.upload:
                        return

    def _check(self, size: int, seconds: float) -> None:
        if size > self._limits.upload:
            raise RefusedError(413, f"expected a file of at most {self._limits.upload:,} bytes, got more")
        if seconds > self._limits.silence + size / self._limits.rate:
            raise RefusedError(408, f"expected at least {self._limits.rate:,} bytes a second")
        if self._connection.received - self._received > _WASTE + 2 * size:
            self._ended = True  # the rest would cost as much
            raise RefusedError(400, "expected chunks of more than a few bytes", {"Connection": "close"})

    async def _chunks(self) -> AsyncGenerator[bytes]:
        while not self._ended:
            try:
                async with asyncio.timeout(self._limits.silence):
                    message = await self._request.receive()
            except TimeoutError:
                self._ended = True
                raise RefusedError(408, f"expected the file, got nothing for {self._limits.silence:g} s") from None
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._ended = not message.get("more_body", False)
            yield message.get("body", b"")


class Download(StreamingResponse):
    """A file as an answer, which is given up where the client takes nothing for a while.

    Args:
        path: of the file.
        headers: with its Content-Length and Content-Type.
        silence: for how many seconds the client may take nothing.
        delivered: what to do when all of it has left this process.
    """

    def __init__(self, path: Path, headers: Mapping[str, str], silence: float, delivered: BackgroundTask) -> None:
        super().__init__(_blocks_of(path), headers=headers)
        self._left = int(headers["Content-Length"])
        self._silence = silence
        self._delivered = delivered

    async def stream_response(self, send: Send) -> None:
        """Send it, as StreamingResponse does."""

        async def patiently(message: Message) -> None:
            async with asyncio.timeout(self._silence):
                await send(message)
            self._left -= len(message.get("body", b""))

        await super().stream_response(patiently)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as ASGI has it; an answer that is given up ends the connection."""
        with suppress(TimeoutError):
            await super().__call__(scope, receive, send)
            async with asyncio.timeout(self._silence):
                whole = await scope["state"]["connection"].delivered()
            if whole and self._left == 0:
                await self._delivered()


async def _blocks_of(path: Path) -> AsyncGenerator[bytes]:
    with path.open("rb") as file:
        while block := await asyncio.to_thread(file.read, _BLOCK):
            yield block
