"""The gradient noise scale: the batch from which on a larger one brings little.

McCandlish et al. 2018, "An Empirical Model of Large-Batch Training" (arXiv:1812.06162), appendix A.1: from the squared norms of
the gradients of a small and of a large batch. Below it twice the batch saves nearly half of the steps; far above, none.
"""

from __future__ import annotations


class GradientNoise:
    """Squared norms of gradients, gathered over steps.

    Args:
        small, large: number of patches of a micro-batch and of a step, small < large.
    """

    def __init__(self, small: int, large: int) -> None:
        self._small, self._large = small, large
        self._sums, self._steps = [0.0, 0.0], 0

    def add(self, small: float, large: float) -> None:
        """Add the squared norms of a step's gradients: of the mean over one micro-batch, and of that over the step."""
        self._sums[0] += small
        self._sums[1] += large
        self._steps += 1

    def take(self) -> float | None:
        """Estimate the noise scale in patches from the steps since the last call; None where the gradient itself is lost in it."""
        if not self._steps:
            return None
        small, large = (total / self._steps for total in self._sums)
        self._sums, self._steps = [0.0, 0.0], 0
        squared_gradient = (self._large * large - self._small * small) / (self._large - self._small)
        variance = (small - large) / (1 / self._small - 1 / self._large)
        return variance / squared_gradient if squared_gradient > 0 else None
