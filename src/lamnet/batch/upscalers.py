"""The networks of one call, made ready: a picture of each size gets the smallest that reaches the goal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from lamnet.base.errors import BadArgumentError
from lamnet.batch.request import Request
from lamnet.media import saving
from lamnet.network import catalogue
from lamnet.network.catalogue import Networks
from lamnet.upscale.goal import Goal
from lamnet.upscale.upscaler import Upscaler

if TYPE_CHECKING:
    from lamnet.media.video.clip import Fields


class Upscalers:
    """The Upscalers of a call: for a picture of any size the one with the smallest scale that reaches the goal.

    Args:
        upscalers: by scale, with this goal.
        max_pixels: of one file; more in its header is refused.
        suffix: of the results of pictures; None leaves it to each.
        quality: of results in formats that have one.
        damaged: whether what there is of damaged pictures is taken.
        fields: what becomes of interlaced video.
    """

    def __init__(
        self,
        upscalers: Sequence[Upscaler],
        goal: Goal,
        max_pixels: int,
        suffix: str | None = None,
        quality: int | None = None,
        damaged: bool = False,
        fields: Fields = "deinterlace",
    ) -> None:
        self.goal = goal
        self.max_pixels = max_pixels
        self.suffix = suffix
        self.quality = quality
        self.damaged = damaged
        self.fields: Fields = fields
        self._upscalers = upscalers

    @classmethod
    def of(cls, request: Request) -> Self:
        """Load the networks that a request needs and make them ready on its device.

        Raises as `load_networks` and Upscaler, and BadArgumentError for a format or quality that there is none of.
        """
        suffix = None if request.format is None else saving.suffix_of(request.format)
        if request.quality is not None and not 1 <= request.quality <= 100:
            raise BadArgumentError(f"quality: expected 1 to 100, got {request.quality}")
        networks, goal = load_networks(request)
        upscalers = [
            Upscaler(
                one.network,
                device=request.device,
                precision=request.precision,
                tile="auto" if request.tile is None else request.tile,
                memory=request.memory,
                exact=request.exact,
                ensemble=request.ensemble,
                goal=goal,
                max_pixels=request.max_pixels,
                photo=one.photo,
            )
            for one in networks
        ]
        return cls(upscalers, goal, request.max_pixels, suffix, request.quality, request.damaged, request.fields)

    def for_size(self, width: int, height: int) -> Upscaler:
        """Return the Upscaler for a picture of this size; the one of the largest scale where none reaches the goal."""
        factor = self.goal.factor_for(width, height)
        return next((one for one in self._upscalers if one.scale >= factor), self._upscalers[-1])


def load_networks(request: Request) -> tuple[Sequence[Networks], Goal]:
    """Load the networks that a request needs, by scale; return its goal too, the networks' own where it has none.

    Raises BadWeightsError where there are no such weights, BadArgumentError for a goal that no network reaches.
    """
    goal = request.goal
    factor, any_factor = (None, False) if goal is None else (goal.factor, goal.factor is None)
    found = catalogue.select(
        request.model, factor, any_factor=any_factor, variant=request.weights, strength=request.strength
    )
    return found.networks, goal or Goal(factor=found.factor)
