"""JPEG XL, which pyvips-binary does not read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamnet.base.errors import BadImageError
from lamnet.media import opening


def test_jpeg_xl_is_read_or_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bytes(20))
    with pytest.raises(BadImageError, match=r"JPEG XL|expected a picture"):
        opening.load(tmp_path / "a.jxl")
