"""The library for AMX. A processor that has none, but AVX-512 with bfloat16, emulates its instructions one by one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import check_wheels
import golden
from lamnet.base.errors import BackendError
from lamnet.core import library
from lamnet.core.builds import LEVELS

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src/lamnet/ops/csrc"
BEST = list(LEVELS["x86_64"])[-1]
HOST = "manylinux_x86_64"

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(find_spec("ziglang") is None, reason="without ziglang, which compiles what runs here"),
    pytest.mark.skipif(
        not (sys.platform == "linux" and SOURCES.exists()), reason="not on Linux, or without the sources"
    ),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a process needs to run AMX: nothing, or the emulator."""
    try:
        levels = library.levels()
    except BackendError as error:
        pytest.skip(str(error))
    if "x86_64_v4_bf16" not in levels:
        pytest.skip(f"the processor has no AVX-512 with bfloat16, only {levels[0]}")
    if BEST in levels:
        return {**os.environ}
    return {**os.environ, "LD_PRELOAD": str(check_wheels.emulator(tmp_path_factory.mktemp("amx") / "emulate.so", HOST))}


def check_report(report: str) -> None:
    """Tiles multiplied, and were released, as the emulator says where there is need of it."""
    if BEST not in library.levels():
        found = re.fullmatch(r"emulate_amx: \d+ shapes, (\d+) products, 0 threads hold tiles\n", report)
        assert found, report
        assert int(found[1]) > 1000


def test_golden_cases(environment: dict[str, str], tmp_path: Path) -> None:
    if not (built := library.built(BEST)):
        pytest.skip(f"this installation was built without {BEST}")
    program = check_wheels.compiled(tmp_path / "check", HOST, "-O1", ROOT / "tools/check_library.c")
    for case, expected in golden.results().items():
        (tmp_path / case).write_bytes(golden.packed(case, expected))
    command = [program, built, *(tmp_path / case for case in golden.CASES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    check_report(done.stderr)


def test_the_rate_counts_all_products(environment: dict[str, str]) -> None:
    if not (built := library.built(BEST)):
        pytest.skip(f"this installation was built without {BEST}")
    code = f"""
import ctypes
count = ctypes.CDLL({str(built)!r}).lamnet_multiply_adds
count.argtypes, count.restype = [ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p], ctypes.c_int64
print(count(300, 1, None))
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == 1200 * 16 * 16 * 32
    check_report(done.stderr)


def test_products_of_any_shape(environment: dict[str, str], tmp_path: Path) -> None:
    words = ["-mcpu=x86_64_v4+avx512bf16+amx_tile+amx_bf16", "-O1", "-fPIC", "-shared"]
    made = check_wheels.compiled(tmp_path / "gemm.so", HOST, *words, SOURCES / "gemm.c", SOURCES / "level.c")
    command = [sys.executable, ROOT / "tests/support/tile_products.py", made]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    check_report(done.stderr)
