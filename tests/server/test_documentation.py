"""docs/http.md: its client runs, and it names every option, field and status."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lamnet.batch import local
from lamnet.batch.request import Request
from lamnet.server import options
from lamnet.upscale.goal import Goal
from support.server import Running, picture

pytestmark = pytest.mark.thorough
TEXT = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")


def test_the_client_of_ten_lines(server: Running, tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 10
    picture(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    call = [sys.executable, "-c", code, f"http://127.0.0.1:{server.port}"]
    assert subprocess.run([*call, "photo.png"], cwd=tmp_path, check=False).returncode == 0
    found = (tmp_path / "photo_x2.png").read_bytes()
    request = Request((str(tmp_path / "photo.png"),), str(tmp_path / "own.png"), goal=Goal(2), device="cpu")
    assert list(local.run(request))
    assert found == (tmp_path / "own.png").read_bytes()
    failed = subprocess.run([*call, "text.png"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.startswith("text.png: expected a picture")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_way_with_curl(server: Running, tmp_path: Path) -> None:
    sent, result = re.findall(r"`(curl [^`]+)`", TEXT)
    waiting = re.findall(r"`/api/jobs/ID(\?wait=\d+)`", TEXT)[0]
    picture(tmp_path, name="photo.jpg")

    def run(command: str) -> bytes:
        here = command.replace("127.0.0.1:8765", f"127.0.0.1:{server.port}")
        return subprocess.run(["sh", "-c", here], cwd=tmp_path, check=True, capture_output=True).stdout

    id = json.loads(run(sent))["id"]
    assert server.ask("GET", f"/api/jobs/{id}{waiting}").json["state"] == "done"
    run(result.replace("ID", id))
    with Image.open(tmp_path / "photo_x2.jpg") as made:
        assert made.size == (40, 32)


def test_all_is_described(server: Running, tmp_path: Path) -> None:
    job = server.send(picture(tmp_path)).json
    assert [name for name in (*options.OPTIONS, *job) if f"`{name}`" not in TEXT] == []
    assert server.ask("DELETE", f"/api/jobs/{job['id']}").status == 204
    for status in (400, 401, 403, 404, 408, 409, 413, 421, 503, 507):
        assert re.search(rf"^\| (\d+, )?{status}[, ]", TEXT, re.MULTILINE), status
