"""JPEG XL that is broken; the rest is in test_formats.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamnet.base.errors import BadImageError
from lamnet.media import opening


def test_broken_jpeg_xl_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bytes(20))
    with pytest.raises(BadImageError, match=r"a\.jxl: expected a"):
        opening.load(tmp_path / "a.jxl")
