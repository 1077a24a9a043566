"""The node that does what "Upscale Image (using Model)" cannot: the whole picture at once, the weights that ship.

The stock node cuts pictures into tiles of 512 pixels, and LAMNet's blocks then see the means of a tile instead of the
picture's. Here lamnet decides: the whole picture where memory allows, else parts that share the picture's means where
that can be seen.
"""

from __future__ import annotations

from functools import lru_cache

import comfy.model_management
import comfy.utils
import folder_paths
import numpy as np
import torch
from comfy_api.latest import ComfyExtension, io

import lamnet
from lamnet.core.shipped import shipped

EXACT, AUTO = "exact", "auto"


def choices() -> dict[str, tuple[str, int | None]]:
    """List the models that the node offers, by the name shown: weights that ship, and our files among upscale models."""
    ours = {f"{one.model} x{one.scale}": (one.model, one.scale) for one in reversed(shipped())}
    files = [
        name for name in folder_paths.get_filename_list("upscale_models") if name.endswith((".safetensors", ".pth"))
    ]
    return {**ours, **{name: (name, None) for name in files}}


@lru_cache(maxsize=1)
def upscaler(weights: str, parts: str, device: str) -> lamnet.Upscaler:
    model, scale = choices()[weights]
    path = model if scale else folder_paths.get_full_path_or_raise("upscale_models", model)
    return lamnet.Upscaler(lamnet.load(path, scale), device=device, exact=parts == EXACT)


class LAMNetUpscale(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LAMNetUpscale",
            display_name="Upscale Image (LAMNet)",
            category="image/upscaling",
            description="Lightweight super-resolution that sees the whole picture, not only a tile of it.",
            inputs=[
                io.Image.Input("image"),
                io.Combo.Input(
                    "weights",
                    options=list(choices()),
                    tooltip="base is better, tiny is faster; or a LAMNet file in models/upscale_models.",
                ),
                io.Combo.Input(
                    "parts",
                    options=[AUTO, EXACT],
                    default=AUTO,
                    tooltip="Of pictures that do not fit into memory: exact gives what the whole picture would give, slower.",
                ),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image: torch.Tensor, weights: str, parts: str) -> io.NodeOutput:
        """image (B, H, W, 3 or 4) in [0, 1] -> (B, scale*H, scale*W, 3 or 4), clamped."""
        up = upscaler(weights, parts, str(comfy.model_management.get_torch_device()))
        progress = comfy.utils.ProgressBar(len(image))
        results: list[torch.Tensor] = []
        for picture in image:
            array = np.ascontiguousarray(picture.clamp(0, 1).float().cpu().numpy())
            results.append(torch.from_numpy(up(array, white=1.0)).clamp_(0, 1))
            progress.update(1)
        return io.NodeOutput(torch.stack(results).to(image.dtype))


class LAMNetExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [LAMNetUpscale]


async def comfy_entrypoint() -> LAMNetExtension:
    return LAMNetExtension()
