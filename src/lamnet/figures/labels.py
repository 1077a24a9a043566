"""Labels of models, runs and evaluations in figures, given as LABEL=NAME."""

from __future__ import annotations

from pathlib import Path


def split_label(argument: str) -> tuple[str, str]:
    """Split "LABEL=NAME" into the label, empty where there is none, and the name.

    An argument that is itself the name of a file or folder has no label.
    """
    label, equals, name = argument.partition("=")
    return ("", argument) if not equals or Path(argument).exists() else (label, name)
