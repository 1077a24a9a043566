"""The planner: the plans of pictures, and the sizes of their results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lamnet.base.errors import BadArgumentError
from lamnet.core.config import EDGE
from lamnet.upscale.goal import Goal
from lamnet.upscale.plan import Box, Footprint, Plan, choose, fixed
from lamnet.upscale.raster import Raster, planes_at

if TYPE_CHECKING:  # an engine of another kind would not need PyTorch
    from lamnet.upscale.engines import AnyEngine

_PROBE = 128  # pixels a side of the pieces that show whether the exchange means matter


@dataclass(frozen=True)
class Planner:
    """An engine and the options of a call; they are those of `Upscaler`, which checks them."""

    engine: AnyEngine
    tile: int | Literal["auto"] | None = "auto"
    memory: int | None = None
    exact: bool = False
    goal: Goal | None = None

    def result_size(self, width: int, height: int) -> tuple[int, int]:
        """Compute the (width, height) of the result of a picture of this size.

        Raises BadArgumentError when that is more than the network's scale gives.
        """
        size = self.goal.size(width, height) if self.goal else (width * self.engine.scale, height * self.engine.scale)
        self.check_within(size, width, height)
        return size

    def check_within(self, size: tuple[int, int], width: int, height: int) -> None:
        """Check that the network's scale reaches a result of this size for a (width, height). Raises BadArgumentError."""
        scale = self.engine.scale
        if size[0] > width * scale or size[1] > height * scale:
            raise BadArgumentError(
                f"size: expected at most {scale} times {width} x {height} with this network, got {size[0]} x {size[1]}"
            )

    def plan(self, height: int, width: int, held: int = 0) -> Plan:
        """Plan a picture of this size for the memory that is free now, of which `held` bytes are kept for other things.

        Raises BadArgumentError when memory is too little.
        """
        if self.tile != "auto":
            return fixed(self.engine.config, height, width, self.tile, self._footprint(held), self.exact)
        memory = self.engine.free_memory() if self.memory is None else self.memory
        try:
            return choose(self.engine.config, height, width, memory, self._footprint(held), self.exact)
        except BadArgumentError as error:
            if self.memory is not None:
                raise
            raise BadArgumentError(f"{error}, from half of what is free; --memory allows more") from error

    def plan_for(self, raster: Raster, held: int = 0) -> Plan:
        """Plan a raster as `plan` does, but layer by layer where its tiles by themselves would visibly differ."""
        plan = self.plan(raster.height, raster.width, held)
        if plan.tile is None or plan.exact or self.engine.ensemble or not self._means_matter(raster):
            return plan
        return fixed(self.engine.config, raster.height, raster.width, plan.tile, self._footprint(held), exact=True)

    def identity(self) -> dict[str, str | int | bool | None]:
        """Return all that a result depends on, besides the picture, its plan, its size and the versions of programs."""
        own = {"tile": self.tile, "memory": self.memory, "exact": self.exact, "edge": EDGE}
        return {**self.engine.identity(), **own}

    def _footprint(self, held: int) -> Footprint:
        return replace(self.engine.footprint(), held=held)

    def _means_matter(self, raster: Raster) -> bool:
        """Ask the engine about five pieces: near the corners and in the middle."""
        height, width = min(_PROBE, raster.height), min(_PROBE, raster.width)
        places = [(y, x) for y in (0.1, 0.9) for x in (0.1, 0.9)] + [(0.5, 0.5)]
        boxes = [
            Box(int((raster.height - height) * y), int((raster.width - width) * x), height, width) for y, x in places
        ]
        return self.engine.means_matter([planes_at(raster, box)[0] for box in boxes])
