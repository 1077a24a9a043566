"""Files of a Linux system in a folder, such as what proc and sys say of a container."""

from __future__ import annotations

from pathlib import Path


def write(root: Path, **texts: str) -> None:
    """Write texts to files, whose names have "__" for a slash and "_DOT_" for a full stop."""
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
