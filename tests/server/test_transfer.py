"""Files on their way: too large, too slow, cut off, on a full disk."""

from __future__ import annotations

import http.client
import json
import select
import socket
import struct
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from lamnet.server.settings import Limits, Settings
from support.server import ENDLESS, FAULTS, FAULTY, Running, Start, picture

pytestmark = pytest.mark.thorough
HEAD = "POST /api/jobs?name=a.png&model=tiny&scale=2 HTTP/1.1\r\nHost: localhost\r\n"
NO_ROOM = """
import errno
from pathlib import Path
real = Path.open
class Full:
    def __init__(self, file): self.file = file
    def __enter__(self): return self
    def __exit__(self, *error): self.file.close()
    def write(self, data): raise OSError(errno.ENOSPC, "No space left on device")
Path.open = lambda self, mode="r", *more, **named: (Full if mode == "xb" else lambda file: file)(real(self, mode, *more, **named))
"""
LITTLE_ROOM = """
from types import SimpleNamespace
from lamnet.server import transfer
room = lambda folder: 10**9 + 600_000 - sum(path.stat().st_size for path in folder.rglob("*"))
transfer.shutil = SimpleNamespace(disk_usage=lambda folder: SimpleNamespace(free=room(folder)))
"""
FILLING = """
import itertools, shutil
from types import SimpleNamespace
calls = itertools.count()
shutil.disk_usage = lambda folder: SimpleNamespace(free=10**12 if next(calls) < 5 else 0)
"""
SMALL_FILES = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
"""


def said(server: Running, sent: bytes) -> bytes:
    """All that the server says to some bytes."""
    with server.connect() as connection:
        connection.sendall(sent)
        found = b""
        while part := connection.recv(65536):
            found += part
            if b'"}' in found:
                break
        return found


def reset(connection: socket.socket) -> None:
    """Close a connection without a farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def flood(connection: socket.socket, sent: bytes) -> None:
    """Send the same bytes again and again, until the connection takes no more."""
    for _ in range(1000):
        connection.sendall(sent)


def test_large_files_are_refused(strict: Running, tmp_path: Path) -> None:
    server = strict
    declared = server.send(bytes(20_001))
    assert declared.status == 413
    assert declared.json["error"] == "expected a file of at most 20,000 bytes, got 20,001"
    chunked = said(
        server, HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + b"8000\r\n" + bytes(0x8000) + b"\r\n0\r\n\r\n"
    )
    assert b" 413 " in chunked
    asked_before = said(server, HEAD.encode() + b"Content-Length: 999999999999\r\nExpect: 100-continue\r\n\r\n")
    assert asked_before.startswith(b"HTTP/1.1 413 ")
    assert not server.files()
    assert server.upscaled(picture(tmp_path))[1]


def test_many_pixels_in_few_bytes_are_refused(strict: Running, tmp_path: Path) -> None:
    sent = strict.send(picture(tmp_path, 40, 26)).json
    assert "expected at most 1,000 pixels" in strict.state(sent["id"], 60)["error"]
    assert strict.ask("DELETE", f"/api/jobs/{sent['id']}").status == 204


@pytest.mark.parametrize("body", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_what_is_no_picture_is_refused(server: Running, body: bytes) -> None:
    sent = server.send(body)
    if not body:
        assert (sent.status, sent.json["error"]) == (400, "expected a file, got nothing")
        return
    state = server.state(sent.json["id"], 60)
    assert state["error"].startswith("photo.png: ")
    assert "source" not in state["error"]
    assert server.ask("DELETE", f"/api/jobs/{state['id']}").status == 204


def test_half_a_picture_is_refused_as_by_the_command(server: Running, tmp_path: Path) -> None:
    whole = picture(tmp_path, 200, 200, "a.jpg").read_bytes()
    state = server.state(server.send(whole[: len(whole) // 2], "a.jpg").json["id"], 60)
    assert state["error"].startswith("a.jpg: expected a whole picture")
    assert "found its data broken off" in state["error"]
    assert server.ask("DELETE", f"/api/jobs/{state['id']}").status == 204


@pytest.mark.parametrize("how", ["close", "reset"])
def test_an_upload_that_breaks_off_leaves_nothing(server: Running, how: str) -> None:
    for _ in range(5):
        connection = server.connect()
        connection.sendall(HEAD.encode() + b"Content-Length: 3000000\r\n\r\n" + bytes(1_500_000))
        server.until(server.files)
        reset(connection) if how == "reset" else connection.close()
        server.until(lambda: not server.files())


def test_an_upload_that_stands_still_is_given_up(strict: Running) -> None:
    with strict.connect() as connection:
        connection.sendall(HEAD.encode() + b"Content-Length: 20000\r\n\r\nbeginning")
        assert b" 408 " in connection.recv(65536)
    strict.until(lambda: not strict.files())


def test_an_upload_that_trickles_is_given_up(strict: Running) -> None:
    with strict.connect() as connection:
        connection.sendall(HEAD.encode() + b"Content-Length: 20000\r\n\r\n")
        connection.settimeout(0.2)
        found, end = b"", time.monotonic() + 20
        while not found and time.monotonic() < end:
            connection.sendall(b"x")
            try:
                found = connection.recv(65536)
            except TimeoutError:
                continue
    assert b" 408 " in found


def done(server: Running, folder: Path) -> tuple[bytes, int]:
    """A request for a result of more bytes than fit into the buffers of a connection that nobody reads, and how many."""
    noise = np.random.default_rng(0).random((260, 260, 3), np.float32)
    tifffile.imwrite(folder / "floats.tif", noise, photometric="rgb")
    state = server.send(folder / "floats.tif", "a.tif", scale="4").json
    while state["state"] != "done":
        state = server.state(state["id"], 60)
    assert state["bytes"] > 9_000_000
    return f"GET /api/jobs/{state['id']}/result HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), state["bytes"]


def test_a_download_that_breaks_off_can_be_had_again(server: Running, tmp_path: Path) -> None:
    request, size = done(server, tmp_path)
    for end in (reset, socket.socket.close) * 2:
        connection = server.connect()
        connection.sendall(request)
        connection.recv(1000)
        end(connection)
    assert len(server.ask("GET", request.split()[1].decode()).body) == size
    server.until(lambda: not server.files())


def test_a_client_that_does_not_read_is_given_up(start: Start, tmp_path: Path) -> None:
    server = start(Settings(port=0, limits=Limits(silence=1, keep=4)))
    request, size = done(server, tmp_path)
    with server.connect() as connection:
        connection.sendall(request)
        server.until(lambda: not server.files())
        server.until(lambda: size > len(b"".join(iter(lambda: connection.recv(65536), b""))))


def test_a_full_disk_is_said(start: Start, tmp_path: Path) -> None:
    server = start(Settings(port=0, limits=Limits(free=10**18)))
    answer = server.send(picture(tmp_path))
    assert (answer.status, answer.json["error"]) == (507, "expected room on the server's disk, which is full")


def test_a_disk_that_gets_full_meanwhile_is_said(start: Start, tmp_path: Path) -> None:
    server = start(Settings(port=0), patch=NO_ROOM)
    answer = server.send(picture(tmp_path))
    assert (answer.status, answer.json["error"]) == (
        507,
        "the server's disk cannot be written: No space left on device",
    )
    assert not server.files()


def test_an_upload_of_unknown_size_leaves_the_disk_its_room(start: Start) -> None:
    server = start(Settings(port=0, limits=Limits(free=10**9)), patch=LITTLE_ROOM)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/api/jobs?name=a.png", (bytes(100_000) for _ in range(20)), encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]) == (
        507,
        "expected room on the server's disk, which is full",
    )
    connection.close()
    assert not server.files()


def test_a_result_leaves_the_disk_its_room(start: Start, tmp_path: Path) -> None:
    server = start(Settings(port=0), FAULTY, FILLING)
    id = server.send(picture(tmp_path, ENDLESS)).json["id"]
    assert (
        server.state(id, 60)["error"] == "photo.png: expected room for the result on the server's disk, which is full"
    )
    server.until(lambda: not server.files())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_a_result_without_room_harms_no_other(start: Start, tmp_path: Path) -> None:
    server = start(Settings(port=0), (sys.executable, "-c", SMALL_FILES + FAULTS))
    large = server.send(picture(tmp_path, 200, 200)).json["id"]
    small = server.send(picture(tmp_path, 20, 20)).json["id"]
    assert "cannot be written" in server.state(large, 60)["error"]
    assert str(server.temp) not in server.state(large)["error"]
    assert server.state(small, 60)["state"] == "done"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"\x00" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000,
        HEAD.encode() + b"Content-Length: -1\r\n\r\n",
        HEAD.encode() + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HEAD.encode() + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_refused(server: Running, sent: bytes) -> None:
    with server.connect() as connection:
        try:
            connection.sendall(sent)
            found = connection.recv(65536)
        except ConnectionError:
            found = b""
    assert found == b"" or found.startswith(b"HTTP/1.1 4")
    assert server.ask("GET", "/api/options").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /api/options HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n",
        "DELETE /api/jobs/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_no_request_hides_in_another(server: Running, sent: str) -> None:
    with server.connect() as connection:
        connection.sendall(sent.encode() + b"GET /api/options HTTP/1.1\r\nHost: localhost\r\n\r\n")
        found = b"".join(iter(lambda: connection.recv(65536), b""))
    assert found.startswith(b"HTTP/1.1 400 ")
    assert found.count(b"HTTP/1.1 ") == 1


def test_chunks_of_one_byte_are_refused(server: Running) -> None:
    """Each costs as much as one of 64 kB."""
    with server.connect() as connection:
        connection.sendall(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            flood(connection, b"1\r\nx\r\n" * 10_000)
    server.until(lambda: not server.files())


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="this system does not say that a connection was ended")
def test_a_client_that_asks_and_reads_nothing_is_given_up(start: Start) -> None:
    server = start(Settings(port=0), FAULTY, "import lamnet.server.connection as c; c._IDLE = 0.5")
    with server.connect() as connection:
        connection.settimeout(1)
        with pytest.raises((TimeoutError, ConnectionError)):
            flood(connection, b"GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
        ended = select.poll()
        ended.register(connection, select.POLLRDHUP)
        server.until(lambda: ended.poll(0))


def test_a_connection_that_asks_nothing_is_closed(start: Start) -> None:
    server = start(Settings(port=0), FAULTY, "import lamnet.server.connection as c; c._IDLE = 0.5")
    with server.connect() as silent, server.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        for connection in (silent, slow):
            with pytest.raises((ConnectionError, AssertionError)):
                assert connection.recv(10)
