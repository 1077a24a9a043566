"""LAMNet as an architecture of spandrel: its detection and its loading. Belongs in `spandrel/architectures/LAMNet/`."""

from __future__ import annotations

import math

from spandrel.util import KeyCondition, get_seq_len
from typing_extensions import override

from ...__helpers.model_descriptor import Architecture, ImageModelDescriptor, StateDict
from .__arch.lamnet import LENGTHS, LAMNet

_PROJECT = "groups.0.blocks.0.mixer.horizontal.project.weight"


class LAMNetArch(Architecture[LAMNet]):
    def __init__(self) -> None:
        super().__init__(
            id="LAMNet",
            detect=KeyCondition.has_all(
                "head.weight",
                _PROJECT,
                "groups.0.blocks.0.mixer.vertical.depthwise.weight",
                "groups.0.blocks.0.ffn.depthwise.weight",
                "groups.0.scale",
                "fuse_scale",
                "tail.weight",
            ),
        )

    @override
    def load(self, state_dict: StateDict) -> ImageModelDescriptor[LAMNet]:
        channels = state_dict["head.weight"].shape[0]
        groups = get_seq_len(state_dict, "groups")
        blocks = get_seq_len(state_dict, "groups.0.blocks")
        scale = math.isqrt(state_dict["tail.weight"].shape[0] // 3)
        model = LAMNet(
            scale=scale,
            channels=channels,
            groups=groups,
            blocks=blocks,
            heads=state_dict[_PROJECT].shape[0] // len(LENGTHS),  # of the paper's window
            hidden=state_dict["groups.0.blocks.0.ffn.depthwise.weight"].shape[0] // 2,
        )
        return ImageModelDescriptor(
            model,
            state_dict,
            architecture=self,
            purpose="SR" if scale > 1 else "Restoration",
            tags=[f"{channels}c", f"{groups}x{blocks}"],
            supports_half=True,
            supports_bfloat16=True,
            scale=scale,
            input_channels=3,
            output_channels=3,
        )


__all__ = ["LAMNet", "LAMNetArch"]
