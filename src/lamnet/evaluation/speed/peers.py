"""Others' networks for comparison, with random weights, through spandrel: the light sizes of their papers."""

from __future__ import annotations

from typing import Any

from torch import nn

from lamnet.base.errors import BadArgumentError
from lamnet.base.extras import require

_SWINIR_LIGHT: dict[str, Any] = {
    "embed_dim": 60,
    "depths": [6, 6, 6, 6],
    "num_heads": [6, 6, 6, 6],
    "window_size": 8,
    "mlp_ratio": 2,
    "upsampler": "pixelshuffledirect",
}
# spandrel's class, its name for the scale, and its other arguments
_PEERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "swinir-light": ("SwinIR", "upscale", _SWINIR_LIGHT),
    "span": ("SPAN", "upscale", {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 48}),
    "safmn": ("SAFMN", "upscaling_factor", {"dim": 36, "n_blocks": 8, "ffn_scale": 2.0}),
    "omni-sr": ("OmniSR", "up_scale", {"num_feat": 64, "res_num": 5, "block_num": 1, "window_size": 8}),
}
NAMES = tuple(_PEERS)


def build(name: str, scale: int) -> nn.Module:
    """Build a peer in eval mode: (B, 3, H, W) -> (B, 3, scale*H, scale*W).

    Raises:
        BadArgumentError: no peer of that name.
        MissingExtraError: spandrel, or what it needs, is not installed or does not import here.
    """
    if name not in _PEERS:
        raise BadArgumentError(f"peer: expected one of {', '.join(NAMES)}, got {name}")
    architecture, scale_name, arguments = _PEERS[name]
    module = require(f"spandrel.architectures.{architecture}", "peers", name)
    return getattr(module, architecture)(**{scale_name: scale}, **arguments).eval()
