"""State dicts as training programs wrap them: the tensors are found under known keys, and prefixes are removed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from lamnet.base.errors import BadWeightsError
from lamnet.base.lines import one_line
from lamnet.core.weights import check_printable

# Keys under which programs put weights, averaged ones first: BasicSR, Lightning, timm, our own trainings.
_KEYS = (
    *("params_ema", "params", "average", "ema", "ema_state_dict", "model_ema", "state_dict_ema", "state_dict"),
    *(
        "model_state_dict",
        "model_state",
        "model",
        "network",
        "net",
        "net_g_ema",
        "net_g",
        "netG",
        "generator",
        "weights",
    ),
)
_DEEPEST = 8
OURS, PUBLISHED = "head.weight", "shallow_feature_extraction.weight"  # the first tensor by our and by published names


def unwrap(path: Path, content: object) -> dict[str, Tensor]:
    """Find the tensors of one network, by name, in the content of a file as torch.load or safetensors returns it.

    Raises BadWeightsError when there is no network, or several of which none is preferred.
    """
    found = content
    for _ in range(_DEEPEST):
        if not isinstance(found, dict):
            break
        entries = cast("dict[object, Any]", found)
        tensors = {name: one for name, one in entries.items() if isinstance(name, str) and isinstance(one, Tensor)}
        if tensors and (len(tensors) == len(entries) or _prefixes(tensors)):
            check_printable(path, tensors)
            return _without_prefix(path, tensors)
        key = next((key for key in _KEYS if isinstance(entries.get(key), dict)), None)
        if key is None:
            keys = ", ".join(sorted(one_line(f"{key!s:.30}") for key in entries)[:5]) or "nothing"
            raise BadWeightsError(
                f"{path}: expected a LAMNet's tensors, bare or under {', '.join(_KEYS[:2])}, state_dict or model; found {keys}; "
                "torch.save(that_part, ...) makes a file of the part that holds them"
            )
        found = entries[key]
    raise BadWeightsError(f"{path}: expected a state dict of tensors, found {type(found).__name__}")


def _prefixes(tensors: Mapping[str, Tensor]) -> list[str]:
    ends = {name.removesuffix(first) for name in tensors for first in (OURS, PUBLISHED) if name.endswith(first)}
    return sorted(prefix for prefix in ends if not prefix or prefix.endswith("."))


def _without_prefix(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the tensors with the prefix of a known first tensor, without it; all of them where there is no prefix."""
    prefixes = _prefixes(tensors)
    if len(prefixes) > 1:
        prefixes = [one for one in prefixes if "ema" in one] or prefixes
    if len(prefixes) > 1:
        raise BadWeightsError(
            f"{path}: expected one network, found {', '.join(prefixes)}; save one of them with lamnet.save"
        )
    prefix = prefixes[0] if prefixes else ""
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
