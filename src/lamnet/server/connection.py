"""A connection as uvicorn has it, that ends when it is idle for long, and knows whether what was sent has left."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

_IDLE = 20  # seconds for which a connection may ask nothing
_PAUSE = 0.01  # seconds between two looks at what has not left yet


class Connection(H11Protocol):
    """A connection, which requests have as `request.state.connection`.

    uvicorn ends idle connections only after a first request, and none whose next request never gets whole.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)
        self._lost = False
        self._broken = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch it."""
        super().connection_made(transport)
        self._watch(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch it no longer."""
        self._lost, self._broken = True, exc is not None
        super().connection_lost(exc)

    async def delivered(self) -> bool:
        """Wait until all that was sent has left this process; False where the connection broke before."""
        while not self._lost and self.transport.get_write_buffer_size():
            await asyncio.sleep(_PAUSE)
        return not self._broken

    def _watch(self, before: tuple[RequestResponseCycle | None, bool] | None) -> None:
        """Look whether it stands where it stood, between two requests or about to be closed."""
        if self._lost:
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)
        idle, closing = cycle is None or cycle.response_complete, self.transport.is_closing()
        now = (cycle, closing)
        if now == before and (idle or closing):
            self.transport.abort()
            return
        self.loop.call_later(_IDLE, self._watch, now if idle or closing else None)
