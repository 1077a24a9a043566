"""Linux' control groups, by which containers limit a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process' cgroups and of those around them; in a container the outermost alone exists.

    Args:
        root: holds proc and sys.
        controller: of version 1, such as "memory"; version 2 has one folder for all.
    """
    places = {"": "sys/fs/cgroup", controller: f"sys/fs/cgroup/{controller}"}
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for name in {"", controller} & set(controllers.split(",")):
                top = root / places[name]
                inner = top / path.lstrip("/")
                yield from (inner, *(one for one in inner.parents if one == top or top in one.parents))
    yield from (root / place for place in places.values())
