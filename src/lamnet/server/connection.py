"""A connection as uvicorn has it, that ends when nothing moves for long, leaves others their turn, and knows what has left."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

_IDLE = 20  # seconds for which a connection may ask nothing, and for what waits to be sent
_READ = 2**14  # bytes taken at once: in chunks of one byte each these keep all others waiting for long enough
_PAUSE = 0.01  # seconds between two looks at what has not left yet


class Connection(H11Protocol):
    """A connection, which requests have as `request.state.connection`.

    uvicorn ends idle connections only after a first request, none whose next request never gets whole, and none whose client
    asks without end and reads no answer.

    Attributes:
        received: bytes, of all requests.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)
        self.received = 0
        self._pauses = 0
        self._lost = False
        self._broken = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch it."""
        super().connection_made(transport)
        cast("Any", transport).max_size = _READ  # of asyncio's own for sockets
        self._watch(None)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and count them."""
        self.received += len(data)
        super().data_received(data)

    def pause_writing(self) -> None:
        """Wait until the client has taken most of what is to be sent, and count how often that was."""
        self._pauses += 1
        super().pause_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch it no longer."""
        self._lost, self._broken = True, exc is not None
        super().connection_lost(exc)

    async def delivered(self) -> bool:
        """Wait until all that was sent has left this process; False where the connection broke before."""
        while not self._lost and self.transport.get_write_buffer_size():
            await asyncio.sleep(_PAUSE)
        return not self._broken

    def _watch(self, before: tuple[RequestResponseCycle | None, bool, int] | None) -> None:
        """Look whether it stands where it stood: between two requests, about to be closed, or with more to send than is taken."""
        if self._lost:
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)
        idle, closing = cycle is None or cycle.response_complete, self.transport.is_closing()
        stands = idle or closing or self.flow.write_paused
        now = (cycle, closing, self._pauses)
        if now == before and stands:
            self.transport.abort()
            return
        self.loop.call_later(_IDLE, self._watch, now if stands else None)
