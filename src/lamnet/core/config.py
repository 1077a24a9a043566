"""The configuration of a network: pure Python, no PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lamnet.base import records
from lamnet.base.errors import BadArgumentError
from lamnet.core.window import PAPER_WINDOW, Window

EDGE = 6  # LR pixels by which a picture is continued on each side, where the network would see black
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
            value = getattr(self, name)
            if type(value) is not int:
                raise BadArgumentError(f"{name}: expected a whole number, got {value!r}")
            if not 1 <= value <= _LARGEST:
                bound = "at least 1" if value < 1 else f"at most {_LARGEST}"
                raise BadArgumentError(f"{name}: expected {bound}, got {records.short(value)}")
        if self.channels % (2 * self.heads):
            raise BadArgumentError(
                f"channels: expected a positive multiple of 2*heads = {2 * self.heads}, got {self.channels}"
            )
        if type(self.expansion) not in (int, float) or not abs(self.expansion) <= _LARGEST:
            raise BadArgumentError(
                f"expansion: expected a number up to {_LARGEST}, got {records.short(self.expansion)}"
            )
        if self.hidden < 1 or self.hidden != self.expansion * self.channels:
            raise BadArgumentError(
                f"expansion: expected a multiple of 1/{self.channels} (channels) above 0, got {self.expansion}"
            )
        if type(self.window) is not Window:
            raise BadArgumentError(f"window: expected a Window, got {records.short(self.window)}")

    @property
    def hidden(self) -> int:
        """Hidden channels of the feed-forward."""
        return round(self.expansion * self.channels)

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


def differences(here: LAMNetConfig, there: LAMNetConfig) -> list[str]:
    """List the fields in which two configurations differ, as "name here, there"."""
    one, other = asdict(here), asdict(there)
    return [f"{name} {one[name]}, {other[name]}" for name in one if one[name] != other[name]]
