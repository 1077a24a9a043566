"""`lamnet app`: what it prints, and what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason='needs uvicorn: pip install "lamnet-sr[app]"')
pytestmark = pytest.mark.thorough
WITHOUT = """
import sys
sys.modules["uvicorn"] = None
from lamnet.__main__ import main
main()
"""


def start(*arguments: str, code: str | None = None, **environment: str) -> subprocess.Popen[str]:
    program = ["-m", "lamnet"] if code is None else ["-c", code]
    heard = None if sys.platform == "win32" else lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        [sys.executable, *program, "app", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=heard,  # a shell's background ignores it
    )


def end(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_address_is_the_first_line(tmp_path: Path) -> None:
    process = start("--port", "0", TMPDIR=str(tmp_path))
    assert process.stdout
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    assert b"<h1>LAMNet</h1>" in urllib.request.urlopen(address).read()
    assert end(process, signal.SIGINT) == (130, "lamnet: interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_others_get_a_token(tmp_path: Path) -> None:
    process = start("--port", "0", "--host", "0.0.0.0", TMPDIR=str(tmp_path), LAMNET_TOKEN="x" * 20)
    assert process.stdout
    address = process.stdout.readline().strip()
    assert address.startswith(f"http://{socket.gethostname()}:")
    assert address.endswith(f"/#{'x' * 20}")
    _, err = end(process, signal.SIGTERM)
    assert "nothing on the way is encrypted" in err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--port", "70000"], "port: expected 0 to 65,535, got 70000"),
        (["--max-upload", "much"], "max-upload: expected a size such as 2GB or 800MB, got much"),
        (["--keep", "long"], "keep: expected a time such as 90s, 25m or 1h30m, got long"),
        (["--workers", "0"], "workers: expected at least 1, got 0"),
    ],
)
def test_refusals(arguments: list[str], error: str) -> None:
    process = start(*arguments)
    assert process.communicate(timeout=60) == ("", f"lamnet: {error}\n")
    assert process.returncode == 1


def test_the_extra_is_named() -> None:
    process = start(code=WITHOUT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("lamnet: app needs uvicorn")
    assert "lamnet-sr[app]" in err
