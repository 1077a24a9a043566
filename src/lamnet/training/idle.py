"""Fields of a degradation that change nothing beside the others: a recipe with them would not do what it says."""

from __future__ import annotations

from dataclasses import replace

from lamnet.training.degradation import Degradation

_SHARES = ("clean", "drawn", "drawn_clean")
_OF_DRAWINGS = "drawn_quality"  # alone
_OF_BOTH = ("other_filters", "in_parts", "compression", "webp", "full_chroma", "twice")
_TAKE = {
    "drawn": ("drawn_clean", "drawn_quality"),
    "blur": ("blur_deviation", "anisotropic"),
    "noise": ("noise_deviation", "grey", "poisson"),
    "compression": ("quality", "drawn_quality", "webp", "full_chroma", "twice"),
}


def lacking(how: Degradation, name: str) -> tuple[str, str] | None:
    """Return the share that a field takes to change anything, and its bound, such as ("clean", "below 1"); None where it does."""
    photographs, drawings = how.drawn < 1 and how.clean < 1, how.drawn > 0 and how.drawn_clean < 1
    if name == _OF_DRAWINGS and how.drawn and not drawings:
        return "drawn_clean", "below 1"
    if name not in (*_SHARES, _OF_DRAWINGS) and not photographs and not (drawings and name in _OF_BOTH):
        return "drawn" if how.drawn == 1 else "clean", "below 1"
    if name == "together" and how.alone == 1:
        return "alone", "below 1"
    if name != _OF_DRAWINGS and photographs and how.together and how.alone < 1:
        how = replace(how, blur=1.0, noise=1.0, compression=1.0)
    share = next((share for share, names in _TAKE.items() if name in names and not getattr(how, share)), None)
    return None if share is None else (share, "above 0")
