"""LABEL=WHAT, as figures take models, runs and evaluations."""

from __future__ import annotations

from pathlib import Path


def parted(argument: str) -> tuple[str, str]:
    """Part "LABEL=WHAT" into its label and what it stands for; the label is empty where there is none.

    What exists as a file or folder has no label, whatever its name.
    """
    label, given, what = argument.partition("=")
    return ("", argument) if not given or Path(argument).exists() else (label, what)
