"""The engine: a network on a device, in a precision, one plane at a time.

Planes go in and come out as NumPy arrays. Apart from `layers.py`, which belongs to it, no other module of `upscale` uses
PyTorch; `core_engine.py` has the same public names without it.
"""

from __future__ import annotations

import hashlib
from copy import deepcopy
from pathlib import Path
from uuid import uuid4

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lamnet.base.errors import BackendError
from lamnet.network import devices
from lamnet.network.checks import unwrapped, what_changed
from lamnet.network.ensemble import self_ensemble
from lamnet.network.model import LAMNet
from lamnet.network.runtime import Precision
from lamnet.ops.backend import backend_for
from lamnet.ops.block_weights import LANES
from lamnet.upscale.exact import Exact, differ_visibly
from lamnet.upscale.layers import TorchLayers
from lamnet.upscale.memory import free_on_processor
from lamnet.upscale.plan import TILES, Box, Footprint, Plan, fixed
from lamnet.upscale.raster import Plane

_BASE = 500_000_000  # bytes of a process before its first picture: mostly PyTorch
_ON_KERNELS, _IN_PYTORCH = 6, 36  # images of C channels that a network holds at once


class Engine:
    """A network ready to run.

    Args:
        model: the network, which is copied.
        device: "cpu", "cuda", "cuda:1", "mps"; None takes the best there is.
        precision: of the network's arithmetic; "auto" is float32.
        ensemble: return the mean over eight flips and rotations, for eight times the time.

    Raises:
        BackendError: the device cannot be used here.
        BadWeightsError: the network has no numbers, being on the meta device.
    """

    def __init__(
        self,
        model: LAMNet,
        device: str | torch.device | None = None,
        precision: Precision = "auto",
        ensemble: bool = False,
    ) -> None:
        self.device = devices.pick(device)
        self.dtype: torch.dtype = torch.float32 if precision == "auto" else getattr(torch, precision)
        model = unwrapped("model", model)
        self.network = deepcopy(model).to(self.device, self.dtype).eval()
        self.config = model.config
        self.scale = model.config.scale
        self.ensemble = ensemble

    @torch.inference_mode()
    def run(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        """Upscale a plane, (1 or 3, H, W) in [0, 1] -> (3, scale*H, scale*W), not clamped; grey counts as RGB.

        Where it does not fit into a GPU's memory, its quarters are upscaled in turn. Raises BackendError where there is no
        memory.
        """
        return self._run(_as_rgb(plane))[0].numpy()

    def exact(self, plan: Plan, plane: Plane, scratch: Path) -> Exact:
        """Make a plane ready to run layer by layer, with files in the folder `scratch`.

        Raises BackendError where the disk has no space for them, or the network has changed parts, which would not be run.
        """
        if changed := what_changed(self.network):
            raise BackendError(
                f"exact: expected a LAMNet as its configuration makes it, found {changed}; tile=None keeps pictures whole"
            )
        return Exact(TorchLayers(self.network), plan, plane, scratch)

    @torch.inference_mode()
    def means_matter(self, pieces: list[NDArray[np.float32]]) -> bool:
        """Tell whether pieces of a plane (1 or 3, H, W) come out visibly different with each other's exchange means."""
        on_device = [_as_rgb(piece).to(self.device, self.dtype) for piece in pieces]
        own = [self.network.forward_with_means(piece) for piece in on_device]
        common = torch.stack([means for _, means in own]).mean(0)
        others = [self.network.forward_with_means(piece, common)[0] for piece in on_device]
        return differ_visibly(
            [out.float().cpu().numpy() for out, _ in own], [out.float().cpu().numpy() for out in others]
        )

    def interpolate(self, plane: NDArray[np.float32]) -> NDArray[np.float32]:
        """Upscale (C, H, W) of any numbers bilinearly.

        It is here and not in `raster.py`, because no NumPy expression rounds sums of products as PyTorch does.
        """
        return F.interpolate(torch.from_numpy(plane)[None], scale_factor=self.scale, mode="bilinear")[0].numpy()

    def footprint(self) -> Footprint:
        """Return the memory of this process besides that of a plan's parts."""
        native = backend_for(self.device.type, self.dtype) == "native" and self.config.channels % (2 * LANES) == 0
        return Footprint(_BASE, _ON_KERNELS if native else _IN_PYTORCH)

    def free_memory(self) -> int:
        """Return the bytes that the process may use by default: its own and half of what is free, on a CPU at most 2.5 GB."""
        if self.device.type == "cuda":
            return torch.cuda.mem_get_info(self.device)[0] // 2 + _BASE
        return free_on_processor(_BASE)

    def identity(self) -> dict[str, str | bool]:
        """Return all that a plane's result depends on, besides its pixels, its parts and the versions of programs."""
        changed = what_changed(self.network)
        return {
            **({"changed": f"{changed}, {uuid4()}"} if changed else {}),  # by what it computes, which no digest tells
            "network": hashlib.sha256(safetensors.torch.save(self.network.state_dict())).hexdigest(),
            "device": self.device.type,
            "precision": str(self.dtype),
            "ensemble": self.ensemble,
        }

    def _run(self, plane: Tensor) -> Tensor:
        """Run (1, 3, H, W) as `run` does."""
        try:
            x = plane.to(self.device, self.dtype)
            out = self_ensemble(self.network, x) if self.ensemble else self.network(x)
            return out.float().cpu()
        except torch.OutOfMemoryError as error:
            if max(plane.shape[2:]) <= TILES[-1]:
                raise BackendError(f"{self.device}: expected memory for {tuple(plane.shape[2:])} pixels") from error
        except (MemoryError, RuntimeError) as error:
            if not devices.is_out_of_memory(error):
                raise
            raise BackendError(
                f"memory: expected enough for {plane.shape[3]} x {plane.shape[2]} pixels at once, found less free; "
                "a smaller --memory makes smaller parts"
            ) from error
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return self._quarters(plane)

    def _quarters(self, plane: Tensor) -> Tensor:
        height, width = plane.shape[2:]
        whole, tile = Box(0, 0, height, width), -(-max(height, width) // 2)
        plan = fixed(self.config, height, width, tile, self.footprint())
        out = torch.empty(1, 3, height * self.scale, width * self.scale)
        for box in plan.boxes():
            outer = box.grown(min(plan.overlap, tile // 4), height, width)
            part = self._run(plane[:, :, *outer.within(whole)])
            out[:, :, *box.within(whole, self.scale)] = part[:, :, *box.within(outer, self.scale)]
        return out


def _as_rgb(plane: NDArray[np.float32]) -> Tensor:
    """Take a plane (1 or 3, H, W) as the image (1, 3, H, W) of the network."""
    return torch.from_numpy(plane)[None].expand(-1, 3, -1, -1)
