"""The network on the C library, held against PyTorch: with its operators, in float64, and the plain formulas."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lamnet import LAMNetConfig, Window
from lamnet.base.errors import BackendError, BadArgumentError, BadWeightsError
from lamnet.core import parameters, weights
from lamnet.core.library import NetworkRun
from lamnet.core.network import Network
from lamnet.ops import native
from lamnet.ops.backend import use_backend
from support.networks import published
from support.oracle import Published
from support.random_networks import difference, in_pytorch, random_config, random_state, run_in_pytorch

pytestmark = pytest.mark.usefixtures("built")

SMALL = LAMNetConfig(2, channels=12, groups=2, blocks=2, heads=3, window=Window((-3, -1, 0, 1), (2, 1, 1, 3)))


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def small(seed: int = 0, **more: object) -> Network:
    return Network(SMALL, random_state(SMALL, np.random.default_rng(seed)), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "scale"), [("tiny", 2), ("tiny", 3), ("tiny", 4), ("base", 2), ("base", 3), ("base", 4)]
)
def test_weights_that_ship_give_what_the_operators_give(size: str, scale: int) -> None:
    contents = weights.load(size, scale)
    pixels = noise(35, 67)
    out, means = Network(contents.config, contents.state).with_means(pixels)
    backend = "native" if native.why_not() is None else "reference"
    with use_backend(backend):
        expected, expected_means = run_in_pytorch(in_pytorch(contents.config, contents.state), pixels)
    # The 3x3 convolutions add up in another order; else the kernels are the same.
    assert np.square(out - expected).mean() ** 0.5 < 1e-6
    assert difference(out, expected) < (2e-6 if backend == "native" else 4e-6)
    assert difference(means, expected_means) < 1e-6


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(12))
def test_any_configuration_gives_what_pytorch_gives_in_float64(seed: int) -> None:
    check_against_float64(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 2100))
def test_two_thousand_configurations(seed: int) -> None:
    check_against_float64(seed)


def check_against_float64(seed: int) -> None:
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    state = random_state(config, rng)
    height, width = (int(size) for size in rng.integers(1, 71, 2))
    pixels = rng.random((height, width, 3), np.float32)
    network = Network(config, state, threads=int(rng.integers(1, 4)))
    out, means = network.with_means(pixels)
    with use_backend("reference"):
        expected, _ = run_in_pytorch(in_pytorch(config, state).double(), pixels)
        single, _ = run_in_pytorch(in_pytorch(config, state), pixels)
    # A norm over two or three channels magnifies what float32 rounds; it does so in PyTorch as well.
    times = 8 if config.channels > 3 else 16
    assert difference(out, expected) < 1e-5 + times * difference(single, expected), (config, height, width)
    assert np.array_equal(network(pixels, means), out)
    rounded = network(pixels, dtype="uint8")
    assert np.array_equal(rounded, np.floor(out.clip(0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8))
    half = Network(config, state, "bfloat16", threads=2)(pixels)
    assert np.isfinite(half).all()
    if config.channels >= 16:
        assert np.square(half - expected).mean() < np.square(expected).mean() * 0.02


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (6, 1), (5, 9)])
def test_the_formulas_written_out(height: int, width: int) -> None:
    state = random_state(SMALL, np.random.default_rng(1))
    pixels = noise(height, width)
    network = in_pytorch(SMALL, state)
    # The oracle knows taps by their nearest pixel, as published checkpoints do; these windows have such.
    oracle = Published({name: tensor.numpy() for name, tensor in published(network, SMALL.window).items()})
    expected = oracle.network(pixels.transpose(2, 0, 1).astype(np.float64), SMALL.groups, SMALL.blocks, SMALL.scale)
    assert difference(Network(SMALL, state)(pixels), expected.transpose(1, 2, 0)) < 1e-5


@pytest.mark.thorough
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [(1, 1), (33, 65), (70, 130), (2000, 3)])
def test_threads_change_no_bit(precision: str, size: tuple[int, int]) -> None:
    one, *others = (small(threads=threads, precision=precision) for threads in (1, 2, 3, 7, 10))
    pixels = noise(*size)
    expected = one.with_means(pixels)
    for other in (one, *others):
        for found, given in zip(other.with_means(pixels), expected, strict=True):
            assert np.array_equal(found, given)


def test_a_small_picture_gets_fewer_threads_unless_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def run(**arguments: int) -> NetworkRun:
        asked.append(arguments["threads"])
        return NetworkRun(**arguments)

    monkeypatch.setattr("lamnet.core.network.default_threads", lambda: 8)
    monkeypatch.setattr("lamnet.core.network.NetworkRun", run)
    config = LAMNetConfig.tiny(2)
    state = random_state(config, np.random.default_rng(0))
    results = [Network(config, state, threads=threads)(noise(40, 48)) for threads in (None, 8)]
    assert asked == [2, 8]
    assert np.array_equal(*results)


def test_a_tile_replays_the_means_of_the_whole_picture() -> None:
    network = small()
    pixels = noise(64, 70)
    whole, means = network.with_means(pixels)
    reach = 2 + SMALL.groups * SMALL.blocks * (SMALL.window.reach + 1) + 1
    tile = network(pixels[: 20 + reach, 10 - 10 : 40 + reach], means)
    assert difference(tile[:40, 20:80], whole[:40, 20:80]) < 1e-6
    own = network(pixels[: 20 + reach, : 40 + reach])
    assert difference(own[:40, 20:80], whole[:40, 20:80]) > 1e-4


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_layer_by_layer_is_the_whole(precision: str) -> None:
    network = small(precision=precision)
    pixels = noise(21, 34)
    whole, means = network.with_means(pixels)
    shallow = deep = network.shallow(pixels)
    everything = slice(None), slice(None)
    for group in range(SMALL.groups):
        y = deep
        for number in range(group * SMALL.blocks, (group + 1) * SMALL.blocks):
            assert np.array_equal(network.block_means(number, y, everything), means[number])
            y = network.block(number, y, means[number])
        deep = network.end_group(group, deep, y)
    assert np.array_equal(network.reconstruct(shallow, deep), whole)
    assert np.array_equal(network.reconstruct(shallow, deep, "uint8"), network(pixels, dtype="uint8"))


def test_means_of_a_part_are_those_of_its_inner_pixels() -> None:
    network, reach = small(), SMALL.window.reach
    x = network.shallow(noise(40, 50))
    parts = [(slice(0, 25), slice(0, 50)), (slice(25, 40), slice(0, 30)), (slice(25, 40), slice(30, 50))]
    total = np.zeros((2, SMALL.channels // 2))
    for rows, columns in parts:
        top, left = max(0, rows.start - reach), max(0, columns.start - reach)
        outer = x[top : rows.stop + reach, left : columns.stop + reach]
        inner = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        total += network.block_means(0, outer, inner) * (rows.stop - rows.start) * (columns.stop - columns.start)
    assert difference(total / (40 * 50), network.block_means(0, x, (slice(None), slice(None)))) < 1e-6


def test_uint8_is_a_255th() -> None:
    pixels = (noise(9, 14) * 255).astype(np.uint8)
    network = small()
    assert np.array_equal(network(pixels, dtype="float32"), network(pixels.astype(np.float32) / np.float32(255)))
    assert network(pixels).dtype == np.uint8
    assert np.array_equal(network(pixels[:, ::-1]), network(np.ascontiguousarray(pixels[:, ::-1])))


@pytest.mark.thorough
def test_networks_run_at_once() -> None:
    networks = [small(seed, threads=threads) for seed in range(2) for threads in (1, 2)]
    pictures = [noise(40, 60, seed) for seed in range(4)]
    jobs = [(network, picture) for network in networks for picture in pictures] * 3
    expected = {(id(n), id(p)): n(p) for n, p in jobs[: len(networks) * len(pictures)]}
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda job: job[0](job[1]), jobs))
    for (network, picture), out in zip(jobs, found, strict=True):
        assert np.array_equal(out, expected[id(network), id(picture)])


def test_what_does_not_fit_is_refused() -> None:
    state = random_state(SMALL, np.random.default_rng(0))
    network = Network(SMALL, state)
    with pytest.raises(BadWeightsError, match=r"weights: expected .* without fuse\.bias"):
        Network(SMALL, {name: array for name, array in state.items() if name != "fuse.bias"})
    with pytest.raises(BadWeightsError, match=r"head\.weight of shape"):
        Network(replace(SMALL, channels=18), state)
    with pytest.raises(BadArgumentError, match="precision: expected one of float32, bfloat16, got 'float16'"):
        small(precision="float16")
    for threads in (0, 1025):
        with pytest.raises(BadArgumentError, match=f"threads: expected 1 to 1024, got {threads}"):
            small(threads=threads)
    with pytest.raises(
        BadArgumentError, match=r"pixels: expected \(H, W, 3\) float32 or uint8, got \(4, 4, 4\) float64"
    ):
        network(np.zeros((4, 4, 4)))
    with pytest.raises(BadArgumentError, match="pixels"):
        network(np.zeros((0, 4, 3), np.float32))
    with pytest.raises(BadArgumentError, match=r"means: expected \(4, 2, 6\) float32, got \(3, 2, 6\) float32"):
        network(noise(4, 4), np.zeros((3, 2, 6), np.float32))
    features = network.shallow(noise(4, 4))
    for number in (4, -1, 2**64):
        with pytest.raises(BadArgumentError, match=f"number: expected 0 to 3, got {number}"):
            network.block(number, features, np.zeros((2, 6), np.float32))
    with pytest.raises(BadArgumentError, match="number: expected 0 to 1, got 2"):
        network.end_group(2, features, features)
    with pytest.raises(BadArgumentError, match="inner: expected slices without a step"):
        network.block_means(0, features, (slice(0, 4, 2), slice(0, 4)))
    with pytest.raises(BadArgumentError, match="dtype: expected float32 or uint8, got 'float64'"):
        network.reconstruct(features, features, "float64")  # type: ignore[arg-type]
    with pytest.raises(BadArgumentError, match="block_means on 4 x 4: a size"):
        network.block_means(0, features, (slice(3, 3), slice(0, 4)))


@pytest.mark.parametrize(
    ("pixels", "found"),
    [
        ([[[0.0, 0.0, 0.0]]], "got list"),
        (None, "got NoneType"),
        (np.ma.masked_array(noise(4, 4), noise(4, 4) > 0.5), "got MaskedArray"),
        (noise(4, 4).astype(">f4"), r"got \(4, 4, 3\) >f4"),
    ],
)
def test_pixels_that_are_no_array_of_this_machine_are_refused(pixels: object, found: str) -> None:
    with pytest.raises(BadArgumentError, match=rf"pixels: expected \(H, W, 3\) float32 or uint8, {found}"):
        small()(pixels)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1j, "1", True])
def test_weights_are_finite_real_numbers(value: object) -> None:
    state = random_state(SMALL, np.random.default_rng(0))
    with pytest.raises(BadWeightsError, match=r"weights: expected finite floating-point numbers in fuse\.bias"):
        Network(SMALL, {**state, "fuse.bias": np.full(SMALL.channels, value)})


def test_a_copy_and_a_pickled_network_give_the_same() -> None:
    network, pixels = small(precision="bfloat16", threads=1), noise(9, 7)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert (other.config, other.precision, other.threads) == (SMALL, "bfloat16", 1)
        assert np.array_equal(other(pixels), network(pixels))


def test_a_network_is_left_alone_when_the_process_ends() -> None:
    """A daemon thread may still run it then."""
    program = """if True:
        from lamnet.core import library, weights
        from lamnet.core.network import Network
        library.library().lamnet_network_destroy = lambda handle: print("destroyed", flush=True)
        contents = weights.load("tiny", 2)
        Network(contents.config, contents.state)
        print("kept", flush=True)
        kept = Network(contents.config, contents.state)
    """
    ended = subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split(), ended.stderr) == (0, ["destroyed", "kept"], "")


def test_a_size_beyond_memory_is_one_line() -> None:
    huge = np.broadcast_to(np.float32(0), (1 << 22, 1 << 22, 3))
    with pytest.raises((BackendError, MemoryError)):
        small()(huge)


def test_a_window_beyond_the_library_is_refused() -> None:
    far = replace(SMALL, window=Window((5000,), (1,)), channels=6)
    state = {name: np.zeros(shape, np.float32) for name, shape in parameters.shapes(far).items()}
    with pytest.raises(BadArgumentError, match="network: the configuration is out of range"):
        Network(far, state)


@pytest.mark.thorough
def test_pytorch_and_the_core_share_a_process() -> None:
    network, other = small(threads=2), in_pytorch(SMALL, random_state(SMALL, np.random.default_rng(0)))
    pixels = noise(20, 30)
    expected = network(pixels)
    run_in_pytorch(other, pixels)
    assert torch.get_num_threads() >= 1
    assert np.array_equal(network(pixels), expected)
