"""Kernels that multiply pairs of bfloat16, on any processor: by what csrc/processor.h says in C that the instructions do."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import check_wheels

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src/lamnet/ops/csrc"
GRADIENTS = """
import ctypes, sys, torch
sys.path.insert(0, sys.argv[1])
from lamnet.ops.native import library
from support.kernels import CHAIN, WINDOWS, against_reference, function_of, random_block
count = library().lamnet_multiply_adds
count.argtypes, count.restype = [ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p], ctypes.c_int64
out = (ctypes.c_float * 16)()
assert count(3, 1, out) == 2 * count(3, 0, out), "no pairs"
for channels, heads, expansion, window, size in [(32, 4, 1, 0, (2, 7, 5)), (96, 3, 1.25, 1, (1, 5, 14)), (64, 4, 1, 2, (1, 3, 40))]:
    block = random_block(channels, heads, expansion, WINDOWS[window])
    function = function_of(block)
    inputs = [torch.randn(*size, channels), torch.randn(size[0], 2, channels // 2)]
    weights = [parameter.detach() for parameter in block.parameters()]
    against_reference(lambda x, m, *w: function(x, m, *w)[0], inputs + weights, torch.bfloat16, CHAIN[torch.bfloat16])
"""


@pytest.mark.thorough
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64") or find_spec("ziglang") is None or not SOURCES.exists(),
    reason="needs Linux on x86-64, ziglang and the library's sources",
)
def test_pairs_on_any_processor(tmp_path: Path) -> None:
    words = ["-O1", "-fPIC", "-shared", "-DPAIRS_IN_C", *sorted(SOURCES.glob("*.c")), "-lm"]
    made = check_wheels.compiled(tmp_path / "pairs.so", "manylinux_x86_64", *words)
    command = [sys.executable, "-c", GRADIENTS, ROOT / "tests"]
    environment = {**os.environ, "LAMNET_KERNELS": str(made)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
