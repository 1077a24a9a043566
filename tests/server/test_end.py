"""The end of a server, by any signal: no file and no process is left."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from lamnet.base.errors import BadArgumentError
from lamnet.server.listening import Server
from lamnet.server.settings import Settings
from support import server as servers
from support.server import ENDLESS, FAULTY, HANG, picture

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs the processes of /proc"),
]


def workers_of(folder: Path) -> list[Path]:
    """The processes that have a folder's name among their arguments."""
    found: list[Path] = []
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder).encode() in arguments.read_bytes():
                found.append(arguments)
    return found


@pytest.mark.parametrize(
    ("name", "width"), [("SIGINT", ENDLESS), ("SIGTERM", HANG), ("SIGHUP", HANG), ("SIGKILL", HANG)]
)
def test_nothing_is_left(tmp_path: Path, name: str, width: int) -> None:
    server = servers.start(tmp_path / "temp", Settings(port=0), FAULTY)
    id = server.send(picture(tmp_path, width)).json["id"]
    server.send(picture(tmp_path))
    server.until(lambda: server.state(id)["state"] == "running")
    [folder] = server.temp.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    server.until(lambda: workers_of(folder))  # it says "running" before the worker is there
    connection = server.connect()  # an upload on its way
    connection.sendall(b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\nbeginning")
    os.kill(server.process.pid, signal.Signals[name])
    server.process.wait(20)
    server.until(lambda: not list(server.temp.iterdir()))
    server.until(lambda: not workers_of(folder))
    servers.stop(server)
    connection.close()


def test_an_address_that_is_taken_is_said() -> None:
    first = Server(Settings(port=0))
    with pytest.raises(
        BadArgumentError, match=rf"port: expected an address that is free, got 127.0.0.1:{first.port}: "
    ):
        Server(Settings(port=first.port))
    with pytest.raises(BadArgumentError, match="port: expected an address that is free"):
        Server(Settings(host="no such host", port=0))
    with pytest.raises(BadArgumentError, match="port: expected 0 to 65,535, got 99999"):
        Server(Settings(port=99999))


def test_others_than_this_machine_want_a_token() -> None:
    server = Server(Settings(host="0.0.0.0", port=0))
    assert server.settings.token is not None
    assert len(server.settings.token) >= 32
    assert server.address.endswith(f":{server.port}/#{server.settings.token}")
    assert Server(Settings(host="0.0.0.0", port=0)).settings.token != server.settings.token
    assert Server(Settings(port=0)).settings.token is None
    with pytest.raises(BadArgumentError, match="token: expected at least 16"):
        Server(Settings(port=0, token="short"))
