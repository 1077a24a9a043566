"""The quality and the speed of networks: protocol, benchmark folders, contenders, reports.

May touch `network`, `media` and below; never `upscale`.
"""

from typing import TYPE_CHECKING

from lamnet.base.lazy import on_first_use

if TYPE_CHECKING:
    from lamnet.evaluation.comparison import evaluate
    from lamnet.evaluation.metrics import psnr, ssim
    from lamnet.evaluation.protocol import Protocol
    from lamnet.evaluation.resize import imresize

__all__ = ["Protocol", "evaluate", "imresize", "psnr", "ssim"]

_HOMES = {
    "Protocol": "lamnet.evaluation.protocol",
    "evaluate": "lamnet.evaluation.comparison",
    "imresize": "lamnet.evaluation.resize",
    "psnr": "lamnet.evaluation.metrics",
    "ssim": "lamnet.evaluation.metrics",
}


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a type checker would take any name for one of these
    __getattr__ = on_first_use(__name__, _HOMES)
