"""Settings of a server: where it listens, who may ask, what it runs on, and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lamnet.network.runtime import Precision


@dataclass(frozen=True)
class Engine:
    """Options that every picture's request has in common.

    Attributes:
        device, precision, memory, max_pixels: as Upscaler takes them.
    """

    device: str | None = None
    precision: Precision = "auto"
    memory: int | None = None
    max_pixels: int = 100_000_000


@dataclass(frozen=True)
class Limits:
    """Bounds of what a server takes, and of how long it waits.

    Attributes:
        upload: bytes of one file.
        queue: jobs that wait, with those whose file is on its way.
        seconds: for the work on one file.
        keep: seconds for which a job that nobody asks after is kept.
        kept: jobs that have ended; beyond them the one that was not asked after for longest goes.
        free: bytes of the disk that are left alone.
        silence: seconds without a byte of a file that is sent either way.
        rate: bytes a second that an upload has at least, after as many seconds as `silence`.
        connections: at once.
    """

    upload: int = 500_000_000
    queue: int = 100
    seconds: float = 3600
    keep: float = 600
    kept: int = 1000
    free: int = 200_000_000
    silence: float = 30
    rate: int = 10_000
    connections: int = 400


@dataclass(frozen=True)
class Settings:
    """All that a server is told.

    Attributes:
        host: the address to listen on; all but this machine's own want a token.
        port: 0 takes any that is free.
        names: of this machine, which browsers may use besides those that it knows itself.
        token: what clients have to show; None makes one where it is wanted.
        workers: files that are worked on at once.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    names: tuple[str, ...] = ()
    token: str | None = None
    workers: int = 1
    engine: Engine = field(default_factory=Engine)
    limits: Limits = field(default_factory=Limits)
