"""Networks of any shape with weights of any size, as arrays."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from lamnet import LAMNet, LAMNetConfig, Window
from lamnet.core import parameters

State = dict[str, NDArray[np.float32]]


def random_config(rng: np.random.Generator) -> LAMNetConfig:
    """Another number of channels, heads, groups, blocks, scale, and another window each time."""
    heads = int(rng.integers(1, 6))
    taps = int(rng.integers(1, 10))
    starts, lengths = rng.integers(-9, 8, taps), rng.integers(1, 6, taps)
    channels = 2 * heads * int(rng.integers(1, 8))
    return LAMNetConfig(
        scale=int(rng.integers(1, 5)),
        channels=channels,
        groups=int(rng.integers(1, 3)),
        blocks=int(rng.integers(1, 3)),
        heads=heads,
        expansion=int(rng.integers(1, 5)) / 2,
        window=Window(tuple(map(int, starts)), tuple(map(int, lengths))),
    )


def random_state(config: LAMNetConfig, rng: np.random.Generator) -> State:
    """Weights that keep the numbers near one, gains and factors around one."""
    state: State = {}
    for name, shape in parameters.shapes(config).items():
        numbers = rng.standard_normal(shape)
        if len(shape) > 1:
            numbers /= max(1.0, float(np.prod(shape[1:]))) ** 0.5
        elif name.endswith(("scale", "norm.weight")):
            numbers = 1 + 0.3 * numbers
        else:
            numbers *= 0.1
        state[name] = numbers.astype(np.float32)
    return state


def in_pytorch(config: LAMNetConfig, state: State) -> LAMNet:
    """The same network in PyTorch, in eval mode."""
    network = LAMNet(config)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    return network.eval()


@torch.inference_mode()
def run_in_pytorch(network: LAMNet, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The result (scale*H, scale*W, 3) of pixels (H, W, 3), and the exchange means."""
    x = torch.from_numpy(pixels).to(network.mean.dtype).permute(2, 0, 1)[None]
    out, means = network.forward_with_means(x)
    return out[0].permute(1, 2, 0).double().numpy(), means[0].float().numpy()


def difference(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """The largest difference as a part of the largest number."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())
