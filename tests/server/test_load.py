"""50 clients at once, among others that misbehave: `make load` prints the figures of docs/http.md."""

from __future__ import annotations

import random
import re
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from lamnet.server.settings import Settings
from support.server import BUG, CRASH, FAULTY, Running, Start, picture

pytestmark = pytest.mark.slow
CLIENTS, PICTURES, VANDALS = 50, 3, 12
HEAD = b"POST /api/jobs?name=a.png HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n"


def client(server: Running, file: Path) -> list[tuple[float, bytes]]:
    """Send a picture, wait for its result and fetch it, as often as each client does; the seconds and the result of each."""
    found: list[tuple[float, bytes]] = []
    for _ in range(PICTURES):
        start = time.perf_counter()
        while (sent := server.send(file)).status == 503:
            time.sleep(float(sent.headers["retry-after"]))
        state = sent.json
        while state["state"] in ("waiting", "running"):
            state = server.state(state["id"], 30)
        assert state["state"] == "done", state
        found.append((time.perf_counter() - start, server.ask("GET", f"/api/jobs/{state['id']}/result").body))
    return found


def vandal(server: Running, folder: Path, number: int, enough: threading.Event) -> int:
    """Misbehave until it is enough: broken uploads, silent connections, crashes, lost downloads; returns how often."""
    chance, count = random.Random(number), 0
    bad = picture(folder, chance.choice([CRASH, BUG]), 9, f"{number}.png")
    good = picture(folder, 30, 20, f"{number}-good.png")
    while not enough.wait(chance.random() * 8):
        count += 1
        what = chance.randrange(5)
        if what == 0:
            server.send(bad)
        elif what == 1:
            server.ask("DELETE", f"/api/jobs/{server.send(good).json.get('id')}")
        elif what == 2:
            id = server.send(good).json.get("id")  # none of a full queue
            with server.connect() as connection:
                connection.sendall(f"GET /api/jobs/{id}/result HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        else:
            with server.connect() as connection:
                connection.sendall(HEAD + bytes(400_000) if what == 3 else b"\x00\xff" * 100)
    return count


def answers(server: Running, futures: list[Future[list[tuple[float, bytes]]]]) -> Iterator[float]:
    """Seconds of a small answer, asked for again and again until the clients are done."""
    while not all(future.done() for future in futures):
        start = time.perf_counter()
        assert server.ask("GET", "/api/options").status == 200
        yield time.perf_counter() - start
        time.sleep(0.05)


def test_fifty_clients_among_vandals(start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = start(Settings(port=0), FAULTY)
    file = picture(tmp_path, 120, 90)
    _, expected = server.upscaled(file)
    enough, begun = threading.Event(), time.perf_counter()
    with ThreadPoolExecutor(CLIENTS + VANDALS) as pool:
        vandals = [pool.submit(vandal, server, tmp_path, number, enough) for number in range(VANDALS)]
        clients = [pool.submit(client, server, file) for _ in range(CLIENTS)]
        waits = list(answers(server, clients))
        seconds = time.perf_counter() - begun
        enough.set()
        done = [one for future in clients for one in future.result()]
        misdeeds = sum(future.result() for future in vandals)
    assert [result == expected for _, result in done] == [True] * (CLIENTS * PICTURES)
    taken = sorted(taken for taken, _ in done)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{CLIENTS} clients, {len(done)} pictures of 120x90 in {seconds:.0f} s ({len(done) / seconds:.1f} a second), "
            f"each {statistics.median(taken):.1f} s, at most {taken[-1]:.1f} s; {misdeeds} misdeeds of {VANDALS} vandals; "
            f"a small answer {statistics.median(waits) * 1e3:.0f} ms, at most {max(waits) * 1e3:.0f} ms; "
            f"the server's memory {memory(server):.0f} MB\n"
        )


def memory(server: Running) -> float:
    """The most that the server itself held, in MB, where the system says so."""
    status = Path(f"/proc/{server.process.pid}/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) / 1e3 if found else float("nan")
