"""ARCHITECTURE.md names rooms and files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import lamnet

PACKAGE = Path(str(lamnet.__file__)).parent
PAGE = Path(__file__).parents[2] / "ARCHITECTURE.md"


def test_the_rooms_are_the_packages() -> None:
    rooms = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rooms) == sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def test_the_files_exist() -> None:
    names = re.findall(r"`([\w/]+\.(?:py|c|h))`", PAGE.read_text(encoding="utf-8"))
    assert len(names) > 40
    missing = [name for name in names if not any(PACKAGE.rglob(name)) and not (PAGE.parent / name).exists()]
    assert not missing
