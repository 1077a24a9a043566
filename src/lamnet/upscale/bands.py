"""The bands of a result: a raster goes through an engine by its plan, one row of parts after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.base.errors import BadImageError
from lamnet.base.heap import trim
from lamnet.media import convert, vips
from lamnet.upscale.plan import Box, Plan
from lamnet.upscale.raster import Raster, beyond_at, has_alpha, join, planes_at, planes_of, put_back
from lamnet.upscale.transparency import within_neighbours

if TYPE_CHECKING:  # an engine of another kind would not need PyTorch
    from lamnet.upscale.engines import AnyEngine
    from lamnet.upscale.exact import Exact

_BEYOND_SENSE = 1000.0  # black is 0 and white 1 for a network: what leaves them so far behind is no picture
_SHARE_OF_LAYERS = 0.9  # of the work, where it is done layer by layer before the first band


def bands(engine: AnyEngine, plan: Plan, raster: Raster, scratch: Path) -> Iterator[tuple[float, NDArray[Any]]]:
    """Yield the result from top to bottom: the share of the work that is done, 0 to 1, and the next rows, maybe none.

    `scratch` is a folder for features that do not fit into memory. Raises BackendError where memory or that folder is too
    small, BadImageError where a result is not finite.
    """
    width, before = raster.width * engine.scale, _SHARE_OF_LAYERS if plan.exact else 0.0
    with ExitStack() as stack:
        layers: list[Exact] = []
        if plan.exact:
            layers = [stack.enter_context(engine.exact(plan, plane, scratch)) for plane in planes_of(raster)]
            for done in _prepared(layers):
                yield before * done, np.empty((0, width, raster.bands), raster.dtype)
        for boxes in plan.rows():
            rows = np.empty((boxes[0].height * engine.scale, width, raster.bands), raster.dtype)
            for box in boxes:
                columns = slice(box.left * engine.scale, (box.left + box.width) * engine.scale)
                rows[:, columns] = _part(engine, plan, raster, box, layers)
            if plan.tile is not None:
                trim()
            yield before + (1 - before) * (boxes[0].top + boxes[0].height) / raster.height, rows


def in_memory(engine: AnyEngine, plan: Plan, raster: Raster, size: tuple[int, int], scratch: Path) -> NDArray[Any]:
    """Make the whole result as one array (H, W, bands), reduced to `size`, a (width, height)."""
    out = np.empty((raster.height * engine.scale, raster.width * engine.scale, raster.bands), raster.dtype)
    filled = 0
    for _, rows in bands(engine, plan, raster, scratch):
        out[filled : filled + len(rows)] = rows
        filled += len(rows)
    if size == (out.shape[1], out.shape[0]):
        return out
    return vips.pixels_of(convert.resized(pyvips.Image.new_from_array(out), size))


def _prepared(layers: Sequence[Exact]) -> Iterator[float]:
    for number, one in enumerate(layers):
        for done in one.prepare():
            yield (number + done) / len(layers)


def _part(engine: AnyEngine, plan: Plan, raster: Raster, box: Box, layers: Sequence[Exact]) -> NDArray[Any]:
    """Make the result of a box, (scale*height, scale*width, bands), from the pixels that the plan lets it see."""
    seen = plan.seen(box)
    planes = planes_at(raster, seen)
    outputs = [one.run(seen) for one in layers] if layers else [engine.run(plane) for plane in planes]
    for output in outputs:
        if not (np.abs(output) <= _BEYOND_SENSE).all():  # false for NaN
            found = f"numbers beyond {_BEYOND_SENSE:g}" if np.isfinite(output).all() else "NaN or infinity"
            raise BadImageError(
                f"expected a finite result near 0 to 1, found {found}: "
                "the weights or the precision do not suit this picture"
            )
    if has_alpha(raster):
        outputs[1] = within_neighbours(outputs[1], planes[1], engine.scale)
    rows, columns = box.within(seen, engine.scale)
    beyond = beyond_at(raster, seen)
    if beyond is not None:  # the network works between black and white alone
        beyond = engine.interpolate(beyond)[:, rows, columns]
    joined = join([output[:, rows, columns] for output in outputs], beyond, raster)
    return put_back(joined, raster, box, engine.scale)
