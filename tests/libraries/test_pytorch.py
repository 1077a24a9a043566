"""What PyTorch 2.13 still does, so that we go round it: a test that fails here names code to delete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.thorough  # each in a process of its own


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys, torch\n{code}"], capture_output=True, text=True, check=False
    )


def test_a_custom_operator_still_imports_the_compiler_when_it_is_called() -> None:
    """None known. ops/operator.py: `operator`."""
    code = """
one = torch.library.custom_op("example::one", lambda x: x.clone(), mutates_args=(), schema="(Tensor x) -> Tensor")
one(torch.ones(1))
print("torch._dynamo" in sys.modules)
"""
    assert run(code).stdout == "True\n"


def test_what_is_constant_to_the_compiler_still_imports_it() -> None:
    """None known. `_dynamo_marked_constant` in ops/backend.py, flops.py, operator.py, network/layers.py, model.py."""
    code = "torch.compiler.assume_constant_result(lambda: 1); print('torch._dynamo' in sys.modules)"
    assert run(code).stdout == "True\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' disk that is always full")
def test_the_writer_of_a_program_still_ends_the_process_on_a_full_disk() -> None:
    """None known. network/program.py: `write`."""
    code = """
from torch._C import PyTorchFileWriter
try:
    writer = PyTorchFileWriter("/dev/full")
    writer.write_record("a", bytes(10**6), 10**6)
except RuntimeError:
    pass
"""
    assert run(code).returncode < 0


def test_memory_is_still_aligned_so_that_glibc_cannot_use_it_again() -> None:
    """None known. ops/memory.py: `reusable_like`."""
    assert all(torch.empty(size).data_ptr() % 64 == 0 for size in (1_000, 100_003, 10_000_019))
