"""Optional packages, imported where they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lamnet.base.errors import MissingExtraError


def require(module: str, extra: str, purpose: str) -> Any:
    """Import an optional module, such as "av" or "ray.data".

    Args:
        extra: the extra of lamnet that brings it.
        purpose: the beginning of the message, which names a file or option and what needs the module: "clip.mp4: video".

    Raises MissingExtraError, with the module, the reason and the extra in its one line.
    """
    try:
        return import_module(module)
    except Exception as error:  # a package of another build may raise anything while it is imported
        raise MissingExtraError(
            f"{purpose} needs {module}, which does not import here ({' '.join(str(error).split())}); "
            f'pip install "lamnet-sr[{extra}]", or ".[{extra}]" in a clone'
        ) from error
