"""The configuration of a network: pure Python, no PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lamnet.base.errors import BadArgumentError
from lamnet.core.window import PAPER_WINDOW, Window

EDGE = 6  # LR pixels that repeat a picture's edge on each side, where the network would see black
RGB_MEAN = (0.4488, 0.4371, 0.4040)
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class LAMNetConfig:
    """The configuration of a network, in the paper's letters: `channels` C, `groups` G of `blocks` N, `heads` h.

    Args:
        scale: how many times as wide and high the output is, at least 1.
        channels: of the features, a multiple of 2*heads.
        groups, blocks, heads: at least 1.
        expansion: hidden channels of the feed-forward as a multiple of `channels`; the product is a whole number.
        window: the taps of the focal attention.

    Raises:
        BadArgumentError: a value outside these ranges.
    """

    scale: int
    channels: int = 64
    groups: int = 4
    blocks: int = 6
    heads: int = 4
    expansion: float = 1.0
    window: Window = PAPER_WINDOW

    def __post_init__(self) -> None:
        for name in ("scale", "channels", "groups", "blocks", "heads"):
            if type(getattr(self, name)) is not int:
                raise BadArgumentError(f"{name}: expected a whole number, got {getattr(self, name)!r}")
            if getattr(self, name) > _LARGEST:
                raise BadArgumentError(f"{name}: expected at most {_LARGEST}, got more")
        if self.scale < 1:
            raise BadArgumentError(f"scale: expected at least 1, got {self.scale}")
        if min(self.channels, self.groups, self.blocks, self.heads) < 1 or self.channels % (2 * self.heads):
            raise BadArgumentError(
                f"channels: expected a positive multiple of 2*heads = {2 * self.heads}, got {self.channels}"
            )
        if self.hidden < 1 or self.hidden != self.expansion * self.channels:
            raise BadArgumentError(
                f"expansion: expected expansion*{self.channels} to be a whole number, got {self.expansion}"
            )

    @property
    def hidden(self) -> int:
        """Hidden channels of the feed-forward."""
        return round(self.expansion * self.channels) if math.isfinite(self.expansion) else 0

    @classmethod
    def base(cls, scale: int) -> LAMNetConfig:
        """The paper's LAMNet."""
        return cls(scale)

    @classmethod
    def large(cls, scale: int) -> LAMNetConfig:
        """The paper's LAMNet-large."""
        return cls(scale, groups=5)

    @classmethod
    def tiny(cls, scale: int) -> LAMNetConfig:
        """A smaller network than the paper's, for CPUs and quick runs."""
        return cls(scale, channels=32, groups=3, blocks=4)


SIZES = {"tiny": LAMNetConfig.tiny, "base": LAMNetConfig.base, "large": LAMNetConfig.large}
