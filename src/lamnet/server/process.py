"""A process that works, as the server sees it: started when it is needed, and again when it has died."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lamnet.server.settings import Engine

PROGRAM = (sys.executable, "-P", "-m", "lamnet.server.worker")  # -P: no module of the current folder's
_PATIENCE = 2  # seconds for a process to give up a task before it is killed


class DiedError(Exception):
    """The process ended in the middle of a task; the argument is its exit code, a signal's number if negative."""


class Worker:
    """A process that does one task after another.

    Args:
        folder: the server's, which the process removes should the server be killed.
        program: what to run before these arguments.
    """

    def __init__(self, folder: Path, engine: Engine, program: Sequence[str] = PROGRAM) -> None:
        self._command = (*program, str(folder), json.dumps(asdict(engine)))
        self._process: Process | None = None

    async def events(self, task: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Do a task; the last event has its outcome. Raises DiedError, OSError where no process can be started."""
        process = await self._running()
        assert process.stdin
        assert process.stdout
        with suppress(ConnectionError):  # it has died, as reading will show
            process.stdin.write(json.dumps(task).encode() + b"\n")
            await process.stdin.drain()
        while line := await process.stdout.readline():
            event = json.loads(line)
            yield event
            if "outcome" in event:
                return
        raise DiedError(await process.wait())

    async def give_up(self) -> None:
        """End the task under way: by asking at first, so that what is loaded stays."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin
        assert process.stdout
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                process.stdin.write(b'{"cancel": true}\n')
                while line := await process.stdout.readline():
                    if "outcome" in json.loads(line):
                        return
        await self.kill()

    async def kill(self) -> None:
        """End the process, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, start_new_session=True
            )
        return self._process
