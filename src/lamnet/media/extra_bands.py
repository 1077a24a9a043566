"""Bands of a page that are neither colours nor its alpha, TIFF's "extra samples": taken apart at opening, put back at saving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyvips

UNSPECIFIED, ASSOCIATED, UNASSOCIATED = 0, 1, 2  # ExtraSamples of TIFF 6.0: no alpha, and two that are one
_ALPHAS = (ASSOCIATED, UNASSOCIATED)


@dataclass(frozen=True)
class ExtraBands:
    """The bands of a page that are neither colours nor its alpha.

    Attributes:
        image: of these bands alone, upright.
        kinds: of all bands beside the colours, in the order of the file, as in ExtraSamples.
    """

    image: pyvips.Image
    kinds: tuple[int, ...]

    @property
    def written_kinds(self) -> tuple[int, ...]:
        """The kinds in a result, whose colours are not multiplied by their alpha."""
        return tuple(UNASSOCIATED if at == _alpha_in(self.kinds) else kind for at, kind in enumerate(self.kinds))

    def put_back(self, page: Any, bands: pyvips.Image) -> pyvips.Image:
        """Return a page's result, colours and alpha, with the results of these bands between and behind them as they were."""
        alpha = _alpha_in(self.kinds)
        colours = page.bands - (alpha is not None)
        others = iter(_bands_of(bands))
        extra = [page[colours] if at == alpha else next(others) for at in range(len(self.kinds))]
        return page.extract_band(0, n=colours).bandjoin(extra).copy(interpretation=page.interpretation)


def split(image: Any, kinds: Sequence[int]) -> tuple[pyvips.Image, ExtraBands | None]:
    """Return colours and alpha of an image, and its other bands; None where it has none.

    Args:
        kinds: of the bands beside the colours, as in ExtraSamples. The first alpha among them is the page's.
    """
    alpha, colours = _alpha_in(kinds), image.bands - len(kinds)
    others = [image[colours + at] for at in range(len(kinds)) if at != alpha]
    if colours < 1 or not others:
        return image, None
    page = image.extract_band(0, n=colours)
    if alpha is not None:
        page = page.bandjoin(image[colours + alpha])
    first, *rest = others
    return page, ExtraBands(first.bandjoin(rest) if rest else first, tuple(kinds))


def _alpha_in(kinds: Sequence[int]) -> int | None:
    return next((at for at, kind in enumerate(kinds) if kind in _ALPHAS), None)


def _bands_of(image: Any) -> list[Any]:
    return [image[band] for band in range(image.bands)]
