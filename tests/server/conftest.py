"""Servers for tests: one that all share, and others on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason='needs uvicorn: pip install "lamnet-sr[app]"')
pytest.importorskip("starlette", reason='needs Starlette: pip install "lamnet-sr[app]"')

from lamnet.server.settings import Engine, Limits, Settings
from support import server as servers
from support.server import Running, Start


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = servers.start(tmp_path_factory.mktemp("server"), Settings(port=0), servers.FAULTY)
    yield running
    servers.stop(running)


@pytest.fixture
def server(shared: Running) -> Iterator[Running]:
    """The server that all share, without the jobs of the tests before."""
    yield shared
    shared.forget()


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Takes 1,000 pixels in 20,000 bytes, and waits for a second."""
    settings = Settings(port=0, engine=Engine(max_pixels=1000), limits=Limits(upload=20_000, silence=1))
    running = servers.start(tmp_path_factory.mktemp("strict"), settings)
    yield running
    servers.stop(running)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def started(settings: Settings, program: Sequence[str] | None = None, patch: str = "") -> Running:
            running = servers.start(tmp_path / "server", settings, program, patch)
            stack.callback(servers.stop, running)
            return running

        yield started
