"""The C library is built with the package; where it is not, its tests are skipped."""

from __future__ import annotations

import pytest

from lamnet.base.errors import BackendError
from lamnet.core.library import library


@pytest.fixture(scope="session")
def built() -> None:
    try:
        library()
    except BackendError as error:
        pytest.skip(str(error))
