"""What several test modules need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("LAMNET_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with reference values and benchmark pictures; they are no part of the repository."""
    if not (SHARED / "reference").is_dir():
        pytest.skip(f"{SHARED} is absent: set LAMNET_SHARED to the folder with reference/ and data/")
    return SHARED
