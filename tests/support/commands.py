"""Types of the fixtures that call the command."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Done:
    """What a call printed, line by line, and its exit code."""

    code: int
    out: list[str]
    err: list[str]


Command = Callable[..., Done]
Start = Callable[..., subprocess.Popen[str]]
