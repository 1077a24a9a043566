"""The quality and the speed of networks: protocol, benchmark folders, contenders, reports.

May touch `network`, `media` and below; never `upscale`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lamnet.evaluation.comparison import evaluate
    from lamnet.evaluation.metrics import psnr, ssim
    from lamnet.evaluation.protocol import Protocol
    from lamnet.evaluation.resize import imresize

__all__ = ["Protocol", "evaluate", "imresize", "psnr", "ssim"]

_HOME = {
    "Protocol": "lamnet.evaluation.protocol",
    "evaluate": "lamnet.evaluation.comparison",
    "imresize": "lamnet.evaluation.resize",
    "psnr": "lamnet.evaluation.metrics",
    "ssim": "lamnet.evaluation.metrics",
}


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # where a name that is not above is a mistake

    def __getattr__(name: str) -> Any:
        """Import on first use, so that a module of this room does not wait for the others."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOME[name]), name)
