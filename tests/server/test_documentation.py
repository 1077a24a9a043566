"""docs/http.md: its client runs, and it names every option, field and status."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_all_is_described(server: Running, tmp_path: Path) -> None:
    job = server.send(picture(tmp_path)).json
    assert [name for name in (*options.OPTIONS, *job) if f"`{name}`" not in TEXT] == []
    assert server.ask("DELETE", f"/api/jobs/{job['id']}").status == 204
    for status in (400, 401, 403, 404, 408, 409, 413, 421, 503, 507):
        assert re.search(rf"^\| (\d+, )?{status}[, ]", TEXT, re.MULTILINE), status
