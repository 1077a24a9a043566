"""Fixtures for several test modules."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import hypothesis
import pytest

if importlib.util.find_spec("triton") and not importlib.import_module("torch").cuda.is_available():
    # Triton decides at its import whether its own library can be interpreted; test_triton.py needs that.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        import triton  # noqa: F401

hypothesis.settings.register_profile("busy", deadline=None)  # how long an example takes says nothing here
hypothesis.settings.load_profile("busy")

SHARED = Path(os.environ.get("LAMNET_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with reference values and benchmark pictures; they are no part of the repository."""
    if not (SHARED / "reference").is_dir():
        pytest.skip(f"{SHARED} is absent: set LAMNET_SHARED to the folder with reference/ and data/")
    return SHARED
