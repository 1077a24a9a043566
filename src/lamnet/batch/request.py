"""The request of one call, in plain values: the command makes it, and workers on other machines get it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lamnet.media import opening
from lamnet.upscale.goal import Goal

if TYPE_CHECKING:
    from lamnet.core.shipped import Variant
    from lamnet.media.video.clip import Fields
    from lamnet.network.runtime import Precision


@dataclass(frozen=True)
class Request:
    """A call of `lamnet upscale`.

    Attributes:
        sources: files, folders, patterns, or the address of one bucket.
        out: the file, folder or bucket for the results; None puts each one next to its source.
        goal: the size of the results; None is the scale of a weights file, else 4.
        model: a size that ships, or a weights file; None is the best that ships.
        weights: for all pictures; None chooses between clean and photo weights by each picture.
        strength: for all pictures a mix of both, 0 clean to 1 photo.
        device, precision, memory, tile, exact, ensemble, max_pixels: as Upscaler takes them; without a `tile`, "auto".
        overwrite: replace results that exist.
        manifest: a file for what failed.
        name: of the results, without their suffix: "{stem}" stands for the source's, "{goal}" for x4 or a size.
        format: of the results of pictures, such as "jpg"; None keeps the source's where that can hold them.
        quality: of results in JPEG, WebP or AVIF, 1 to 100; None is lamnet's own, 95, and 90 for AVIF.
        damaged: take what there is of a JPEG or PNG that is not whole.
        fields: "deinterlace" makes interlaced video progressive, "keep" refuses it, "progressive" takes it as it is.
    """

    sources: tuple[str, ...]
    out: str | None = None
    goal: Goal | None = None
    model: str | None = None
    weights: Variant | None = None
    strength: float | None = None
    device: str | None = None
    precision: Precision = "auto"
    memory: int | None = None
    tile: int | None = None
    exact: bool = False
    ensemble: bool = False
    max_pixels: int = opening.MAX_PIXELS
    overwrite: bool = False
    manifest: Path | None = None
    name: str = "{stem}_{goal}"
    format: str | None = None
    quality: int | None = None
    damaged: bool = False
    fields: Fields = "deinterlace"
