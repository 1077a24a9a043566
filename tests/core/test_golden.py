"""Golden cases, which `tools/check_wheels.py` runs on every processor and system too."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

import golden
from frozen.held import REWRITE
from lamnet.core.network import Network
from lamnet.ops.backend import use_backend
from support.random_networks import difference, in_pytorch, run_in_pytorch


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """LAMNET_FREEZE=1 makes what the definition gives the data."""
    if not REWRITE:
        return
    found = {}
    with use_backend("reference"):
        for case, (config, _) in golden.CASES.items():
            network = in_pytorch(config, golden.state(config)).double()
            found[case] = run_in_pytorch(network, golden.picture(case))[0].astype(np.float32)
    np.savez_compressed(golden.RESULTS, allow_pickle=False, **found)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", golden.CASES)
def test_golden(case: str, precision: Literal["float32", "bfloat16"]) -> None:
    config, (height, width) = golden.CASES[case]
    found = Network(config, golden.state(config), precision)(golden.picture(case))
    expected = golden.results()[case]
    assert expected.shape == (height * config.scale, width * config.scale, 3)
    assert 0.5 < np.abs(expected).max() < 50
    assert difference(found, expected) < golden.MOST_OFF[precision]


def test_the_cases_are_those_of_the_file() -> None:
    assert set(golden.results()) == set(golden.CASES)
    assert [round(2**23 * number) for number in golden.numbers(3, 5)] == [5092596, -7404829, 1744899]
