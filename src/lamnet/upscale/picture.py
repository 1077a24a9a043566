"""A picture file through an engine, page by page, into another file."""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice
from pathlib import Path
from typing import Any

import pyvips

from lamnet.base.errors import BadImageError
from lamnet.media import convert, saving
from lamnet.media.canvas import Canvas, canvas_for
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
    rasters = [_rasters_of(picture, number) for number in range(len(picture.pages))]
    sizes = [planner.result_size(one.width, one.height) for one, *_ in rasters]
    saving.check_target(picture, target, sizes[0])
    with canvas_for(target) as canvas:
        ways = [(raster, size) for of_page, size in zip(rasters, sizes, strict=True) for raster in of_page]
        for number, (raster, size) in enumerate(ways):
            if raster.levels.no_data and size != (raster.width * engine.scale, raster.height * engine.scale):
                raise BadImageError(
                    f"{picture.path}: expected a whole factor (--scale {engine.scale}) where some numbers stand for no data"
                )
            canvas.begin_page(raster.width * engine.scale, raster.bands, raster.dtype.name)
            for done, rows in bands(engine, planner.plan_for(raster), raster, target.parent):
                canvas.append(rows)
                yield (number + done) / len(ways)
        results, extra_bands = _gathered(canvas, rasters, sizes)
        saving.save(picture, results, target, extra_bands)
    return picture.notes + saving.losses(picture, target)


def _rasters_of(picture: Picture, page: int) -> list[PageRaster]:
    """Return what a page goes through an engine as: colours and alpha, and each of its extra bands by itself."""
    others = picture.in_grey(page)
    return [PageRaster(picture, page), *(PageRaster(others, band) for band in range(len(others.pages)))]


def _gathered(
    canvas: Canvas, rasters: list[list[PageRaster]], sizes: list[tuple[int, int]]
) -> tuple[list[pyvips.Image], list[pyvips.Image | None]]:
    """Return the results of the pages, in these (width, height), and those of their extra bands."""
    made, pages, extra_bands = iter(canvas.pages()), list[pyvips.Image](), list[pyvips.Image | None]()
    for of_page, size in zip(rasters, sizes, strict=True):
        page, *others = [convert.resized(one, size) for one in islice(made, len(of_page))]
        first: Any = others[0] if others else None
        pages.append(page)
        extra_bands.append(first.bandjoin(others[1:]) if others[1:] else first)
    return pages, extra_bands
