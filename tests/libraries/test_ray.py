"""What Ray 2.40 to 2.63 still do, so that batch/ray_quirks.py goes round it: a test that fails here names code to delete."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lamnet.batch import ray_quirks


def test_the_quirks_are_those_of_the_versions_that_the_extra_takes() -> None:
    """Ray 2.64 has another option for `max_task_retries`. batch/ray_quirks.py: `without_warnings`."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [extra] = project["optional-dependencies"]["ray"]
    first, end = re.findall(r"2\.(\d+)", extra)
    assert f"Ray 2.{first} to 2.{int(end) - 1}" in (ray_quirks.__doc__ or "")


@pytest.mark.slow
def test_ray_still_takes_sigterm_for_itself() -> None:
    """None known. batch/ray_quirks.py: `interrupts.renew` in `started`."""
    pytest.importorskip("ray", reason='needs Ray: pip install "lamnet-sr[ray]"')
    code = """
import os, signal, sys, ray
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
ray.init(include_dashboard=False, log_to_driver=False, num_cpus=1, object_store_memory=100_000_000)
print("up", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout == "up\n"
    assert done.returncode != 7
