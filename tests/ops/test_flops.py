"""The counts of PyTorch's own counter for a network, on the kernels and without them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import lamnet
from lamnet.core.config import LAMNetConfig
from lamnet.core.window import PAPER_WINDOW
from lamnet.network.complexity import complexity
from lamnet.network.model import LAMNet
from lamnet.ops.backend import use_backend, why_not
from lamnet.ops.block import fused_block

NO_NATIVE = why_not("native", "cpu", torch.float32)
needs_native = pytest.mark.skipif(NO_NATIVE is not None, reason=f"native: {NO_NATIVE}")
SMALL = LAMNetConfig(2, channels=32, groups=1, blocks=2, heads=2)


@pytest.mark.thorough
def test_base_counts_as_its_complexity_says_in_both_conventions() -> None:
    network = LAMNet(LAMNetConfig.base(4)).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.rand(1, 3, 45, 80))
    multiply_adds = complexity(network, 4, (180, 320)).multiply_adds
    assert counter.get_total_flops() == 2 * multiply_adds
    assert round(counter.get_total_flops() / 1e9, 1) == 6.1  # a multiply-add is two operations
    assert round(multiply_adds / 1e9, 1) == 3.1


@needs_native
def test_a_block_on_the_kernels_costs_what_its_parts_do() -> None:
    block = LAMNet(SMALL).groups[0].blocks[0]  # type: ignore[union-attr]
    x = torch.rand(2, 5, 7, 32, requires_grad=True)
    with FlopCounterMode(display=False) as plain, use_backend("reference"):
        block(x, None)
    with FlopCounterMode(display=False) as forward:
        out, _ = fused_block(x, block.weights(), block.window)
    with FlopCounterMode(display=False) as backward:
        out.sum().backward()
    assert forward.get_total_flops() == plain.get_total_flops() > 0
    assert backward.get_total_flops() == 2 * forward.get_total_flops()


def test_a_backward_of_the_operator_costs_twice_its_forward() -> None:
    value, weight = torch.rand(1, 4, 5, 6, requires_grad=True), torch.rand(1, 26, 5, 6)
    with FlopCounterMode(display=False) as forward:
        out = lamnet.fsa(value, weight, PAPER_WINDOW, -1)
    with FlopCounterMode(display=False) as backward:
        out.sum().backward()
    assert forward.get_total_flops() == 2 * 4 * 5 * 6 * (13 + 3)
    assert backward.get_total_flops() == 2 * forward.get_total_flops()


@pytest.mark.thorough
def test_the_operator_alone_is_counted_in_a_process_that_has_no_network() -> None:
    program = """
import torch, lamnet
from torch.utils.flop_counter import FlopCounterMode
from lamnet.core.window import PAPER_WINDOW
with FlopCounterMode(display=False) as counter:
    lamnet.fsa(torch.rand(1, 4, 5, 6), torch.rand(1, 26, 5, 6), PAPER_WINDOW, -1)
assert counter.get_total_flops() == 2 * 4 * 5 * 6 * (13 + 3)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.thorough
def test_a_counter_that_is_imported_late_counts_right() -> None:
    program = """
import sys, torch
from lamnet import LAMNet, LAMNetConfig
network, x = LAMNet(LAMNetConfig(2, 32, 1, 1)).eval(), torch.rand(1, 3, 4, 4)
with torch.no_grad():
    network(x)
    assert "torch.utils.flop_counter" not in sys.modules
    from torch.utils.flop_counter import FlopCounterMode
    totals = []
    for _ in range(2):
        with FlopCounterMode(display=False) as counter:
            network(x)
        totals.append(counter.get_total_flops())
from lamnet.network.complexity import complexity
assert totals == 2 * [2 * complexity(network, 2, (8, 8)).multiply_adds], totals
"""
    subprocess.run([sys.executable, "-c", program], check=True)
