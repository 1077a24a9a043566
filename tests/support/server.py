"""A server of `lamnet app` in a process of its own, and requests to it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from PIL import Image

from lamnet.server.settings import Settings

_CODE = """
import signal
from lamnet.server.listening import Server
from lamnet.server.settings import Engine, Limits, Settings
{patch}
server = Server({settings!r}{program})
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
print(server.port, flush=True)
try:
    server.run()
except KeyboardInterrupt:
    pass
"""
# A worker in which the width of a picture chooses a fault.
FAULTS = """
import os, signal, time
from lamnet.base.progress import Progress
from lamnet.batch import one
from lamnet.server import worker

real = one.write

def write(opened, task):
    width = opened.shown_size[0]
    if width == 11:
        os.kill(os.getpid(), signal.SIGSEGV)
    if width == 12:
        raise RuntimeError(f"{opened.target} and /etc/secret/key.pem")
    if width == 13:
        time.sleep(1000)
    while width == 14:
        yield Progress(task, 0.25)
        time.sleep(0.01)
    return (yield from real(opened, task))

one.write = write
worker.main()
"""
FAULTY = (sys.executable, "-c", FAULTS)
CRASH, BUG, HANG, ENDLESS = 11, 12, 13, 14
TINY = {"model": "tiny", "scale": "2"}


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Running:
    """A server that runs, the folder in which it makes its own, and the jobs that were sent to it."""

    process: subprocess.Popen[str]
    port: int
    temp: Path
    headers: dict[str, str] = field(default_factory=dict[str, str])
    jobs: list[str] = field(default_factory=list[str])

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Ask once; in names of headers _ stands for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            got = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()
        if (method, got.status) == ("POST", 201):
            self.jobs.append(got.json["id"])
        return got

    def forget(self) -> None:
        """Cancel and forget all jobs, so that those of a test that failed do not stand in the way of the next."""
        while self.jobs:
            self.ask("DELETE", f"/api/jobs/{self.jobs.pop()}")

    def send(self, content: bytes | Path, name: str = "photo.png", **options: str) -> Answer:
        body = content.read_bytes() if isinstance(content, Path) else content
        return self.ask("POST", f"/api/jobs?{urlencode({'name': name, **TINY, **options})}", body)

    def state(self, id: str, wait: float = 0) -> Any:
        return self.ask("GET", f"/api/jobs/{id}?wait={wait}").json

    def upscaled(self, content: bytes | Path, name: str = "photo.png", **options: str) -> tuple[Any, bytes]:
        """The last state of a job, and its result."""
        sent = self.send(content, name, **options)
        assert sent.status == 201, sent.json
        state = sent.json
        while state["state"] in ("waiting", "running"):
            state = self.state(state["id"], 60)
        assert state["state"] == "done", state
        return state, self.ask("GET", f"/api/jobs/{state['id']}/result").body

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def files(self) -> list[Path]:
        """All that the server has on disk; a folder may go while it is read."""
        return [Path(folder, name) for folder, _, names in os.walk(self.temp) for name in names]

    def until(self, true: Callable[[], Any]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + 30
        while not true():
            assert time.monotonic() < end, self.files()
            time.sleep(0.02)


Start = Callable[..., Running]


def start(temp: Path, settings: Settings, program: Sequence[str] | None = None, patch: str = "") -> Running:
    """Start a server on any free port. `patch` is code that runs before it."""
    temp.mkdir(exist_ok=True)
    given = "" if program is None else f", {tuple(program)!r}"
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE.format(patch=patch, settings=settings, program=given)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temp), "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout
    return Running(process, int(process.stdout.readline()), temp)


def stop(server: Running) -> None:
    server.process.terminate()
    server.process.wait(20)
    assert server.process.stdout
    server.process.stdout.close()


def picture(folder: Path, width: int = 20, height: int = 16, name: str = "photo.png") -> Path:
    path = folder / name
    Image.linear_gradient("L").convert("RGB").resize((width, height)).save(path)
    return path
