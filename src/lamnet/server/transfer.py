"""Files on their way in and out, within limits of size, time and disk."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import IO

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from lamnet.server.settings import Limits

_BLOCK = 2**20  # bytes written and read at a time


class RefusedError(Exception):
    """What a client asks is refused; the arguments are the status and the reason in one line."""


def check_room(folder: Path, size: int, limits: Limits) -> None:
    """Raise RefusedError for a file that is too large, or for which the disk has no room."""
    if size > limits.upload:
        raise RefusedError(413, f"expected a file of at most {limits.upload:,} bytes, got {size:,}")
    if shutil.disk_usage(folder).free < size + limits.free:
        raise RefusedError(507, "expected room on the server's disk, which is full")


async def receive(request: Request, path: Path, limits: Limits) -> None:
    """Write a request's body into a file.

    Raises RefusedError where it is empty, too large or too slow, or the disk is full, and ClientDisconnect.
    """
    size, start = 0, time.monotonic()
    pending = bytearray()
    try:
        with path.open("xb") as file:
            async with aclosing(_in_time(request, limits.silence)) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limits.upload:
                        raise RefusedError(413, f"expected a file of at most {limits.upload:,} bytes, got more")
                    if time.monotonic() - start > limits.silence + size / limits.rate:
                        raise RefusedError(408, f"expected at least {limits.rate:,} bytes a second")
                    pending += chunk
                    if len(pending) >= _BLOCK:
                        await asyncio.to_thread(file.write, bytes(pending))
                        pending.clear()
            await asyncio.to_thread(file.write, bytes(pending))
    except OSError as error:
        raise RefusedError(507, f"the server's disk cannot be written: {error.strerror or 'error'}") from error
    if size == 0:
        raise RefusedError(400, "expected a file, got nothing")


async def drain(request: Request, limits: Limits) -> None:
    """Take the rest of a body that is refused, so that the client gets to read why; not all of one that is endless."""
    if "expect" in request.headers:  # it has not begun to send
        return
    with suppress(ClientDisconnect, RefusedError, TimeoutError):
        async with asyncio.timeout(limits.silence), aclosing(_in_time(request, limits.silence)) as chunks:
            size = 0
            async for chunk in chunks:
                size += len(chunk)
                if size > limits.upload:
                    return


async def _in_time(request: Request, silence: float) -> AsyncGenerator[bytes]:
    async with aclosing(request.stream()) as stream:
        while True:
            try:
                async with asyncio.timeout(silence):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise RefusedError(408, f"expected the file, got nothing for {silence:g} s") from None
            yield chunk


async def blocks_of(file: IO[bytes]) -> AsyncIterator[bytes]:
    """Yield what is in a file, read off the event loop."""
    while block := await asyncio.to_thread(file.read, _BLOCK):
        yield block


class Download(StreamingResponse):
    """An answer that is given up where the client takes nothing for a while.

    Args:
        silence: for how many seconds.
    """

    def __init__(self, content: AsyncIterator[bytes], headers: Mapping[str, str], media_type: str, silence: float):
        super().__init__(content, headers=headers, media_type=media_type)
        self._silence = silence

    async def stream_response(self, send: Send) -> None:
        """Send it, as StreamingResponse does."""

        async def patiently(message: Message) -> None:
            async with asyncio.timeout(self._silence):
                await send(message)

        await super().stream_response(patiently)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as ASGI has it; an answer that is given up is left unfinished, and the connection ends."""
        with suppress(TimeoutError):
            await super().__call__(scope, receive, send)
