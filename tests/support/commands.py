"""Types of the fixtures that call the command."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Done:
    """The printed lines of a call, and its exit code."""

    code: int
    out: list[str]
    err: list[str]


Command = Callable[..., Done]
Start = Callable[..., subprocess.Popen[str]]
