"""A picture file through an engine, page by page, into another file."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from lamnet.base.errors import BadImageError
from lamnet.media import convert, saving
from lamnet.media.canvas import canvas_for
from lamnet.media.picture import Picture
from lamnet.upscale.bands import bands
from lamnet.upscale.planner import Planner
from lamnet.upscale.raster import PageRaster


def steps(planner: Planner, picture: Picture, target: Path) -> Generator[float, None, tuple[str, ...]]:
    """Upscale a picture file, stopping after every part of the work to say how much of it is done, 0 to 1.

    Each page is planned once, when its turn comes. The target appears whole or not at all. Raises BadImageError when
    the source is damaged or the target cannot be written or hold it.

    Returns what the result does not carry over from its source, or what was asked for and not done, a line each.
    """
    engine = planner.engine
    sizes = [planner.result_size(page.width, page.height) for page in picture.pages]
    saving.check_target(picture, target, sizes[0])
    with canvas_for(target) as canvas:
        for number in range(len(picture.pages)):
            raster = PageRaster(picture, number)
            if raster.levels.no_data and sizes[number] != (raster.width * engine.scale, raster.height * engine.scale):
                raise BadImageError(
                    f"{picture.path}: expected a whole factor (--scale {engine.scale}) where some numbers stand for no data"
                )
            canvas.begin_page(raster.width * engine.scale, raster.bands, raster.dtype.name)
            for done, rows in bands(engine, planner.plan_for(raster), raster, target.parent):
                canvas.append(rows)
                yield (number + done) / len(picture.pages)
        results = [convert.resized(page, size) for page, size in zip(canvas.pages(), sizes, strict=True)]
        saving.save(picture, results, target)
    return picture.notes + saving.losses(picture, target)
