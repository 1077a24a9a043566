"""The page's network under Node, its parts and its times, each held against what it is a second writing of."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

from lamnet.core import parameters, weights
from lamnet.core.config import LAMNetConfig
from lamnet.core.network import Network
from lamnet.core.weights import WeightsFile
from lamnet.network import mixing
from lamnet.upscale import plan as plans
from lamnet.upscale.plan import Footprint
from lamnet.upscale.raster import raster_of_array
from lamnet.upscale.upscaler import Upscaler
from support.node import RUN, Node, packed, unpacked

pytestmark = pytest.mark.thorough
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("size", "scale", "variant"),
    [
        ("tiny", 1, "photo"),
        ("tiny", 2, "clean"),
        ("tiny", 2, "photo"),
        ("tiny", 4, "clean"),
        ("tiny", 4, "photo"),
        ("base", 2, "clean"),
    ],
)
def test_the_module_gives_what_the_core_gives(node: Node, size: str, scale: int, variant: Any) -> None:
    pixels = data.astronaut()[:35, :67].astype(np.float32) / 255
    script = """
    const entry = find(given.name), network = core.network(entry, numbers(entry));
    const out = network.run(new Float32Array(bytes(given.pixels).buffer), 35, 67);
    console.log(JSON.stringify({ out: text(out), tasks: [tasks, network.tasks] }));"""
    found = node(RUN + script, name=[size, scale, variant], pixels=packed(pixels))
    contents = weights.load(size, scale, variant)
    expected = Network(contents.config, contents.state)(pixels)
    assert np.abs(unpacked(found["out"], expected.shape, "<f4") - expected).max() < 5e-6
    assert found["tasks"][0] == found["tasks"][1]  # what progress counts


def test_a_mix_is_the_commands(node: Node) -> None:
    script = """
    import { mixed } from "PAGE/networks.js";
    const [a, b] = ["clean", "photo"].map((variant) => numbers(find(["tiny", 2, variant])));
    console.log(JSON.stringify(text(mixed(a, b, 0.3))));"""
    clean, photo = (weights.load("tiny", 2, variant) for variant in ("clean", "photo"))
    mixed: WeightsFile = mixing.mixed(clean, photo, 0.3)
    expected = parameters.flattened(mixed.config, mixed.state)
    assert np.array_equal(unpacked(node(RUN + script), expected.shape, "<f4"), expected)


def test_no_memory_and_other_weights_are_told(node: Node) -> None:
    script = """
    const entry = find(["tiny", 2, "clean"]), said = [];
    try { core.network(entry, new Float32Array(7)); } catch (error) { said.push(error.message); }
    const network = core.network(entry, numbers(entry));
    try { network.reserve(1e8, 1, 0); } catch (error) { said.push(error instanceof NoMemory); }
    console.log(JSON.stringify(said));"""
    assert node(RUN + script) == ["weights: expected those of the network, found others", True]


def test_layer_by_layer_is_the_commands(node: Node) -> None:
    rng = np.random.default_rng(0)
    pixels = np.tile(data.astronaut()[:75, :101], (2, 2, 1))
    pixels[:75, :101] = rng.integers(0, 256, (75, 101, 1))
    script = """
    import { Exact } from "PAGE/exact.js";
    import { rowsOf } from "PAGE/plan.js";
    import { colours, floats } from "PAGE/raster.js";
    class File {
        all = new Float32Array(1 << 21);
        read(values, { at }) { values.set(this.all.subarray(at / 4, at / 4 + values.length)); }
        write(values, { at }) { this.all.set(values, at / 4); }
    }
    const entry = find(["tiny", 2, "photo"]), network = core.network(entry, numbers(entry));
    const picture = { data: bytes(given.pixels), width: 202, height: 150 };
    const parts = rowsOf({ height: 150, width: 202, tile: 64 }, network.reach + 1).flat();
    const exact = new Exact(network, (box) => floats(colours(picture, box)), 150, 202, parts, [new File(), new File(), new File()]);
    let steps = 0;
    for (const _ of exact.prepare()) steps++;
    const box = { top: 20, left: 31, height: 101, width: 150 };
    console.log(JSON.stringify({ out: text(exact.run(box)), steps: [steps, exact.steps] }));"""
    rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    found = node(RUN + script, pixels=packed(rgba))
    upscaler = Upscaler(weights.load("tiny", 2, "photo"), tile=64, exact=True)
    expected = upscaler(pixels.astype(np.float32) / 255)[40:242, 62:362]
    assert np.abs(unpacked(found["out"], expected.shape, "<f4").clip(0, 1) - expected).max() < 1e-5
    assert found["steps"][0] == found["steps"][1]


@pytest.mark.parametrize("uneven", [True, False])
def test_means_matter_where_they_do_to_the_command(node: Node, uneven: bool) -> None:
    pixels = np.tile(data.astronaut()[100:125, 100:125], (8, 12, 1))  # parts have the same means
    if uneven:
        pixels[:, :150] = np.random.default_rng(0).integers(0, 256, (200, 150, 1))
    script = """
    import { meansMatter } from "PAGE/exact.js";
    import { colours, floats } from "PAGE/raster.js";
    const entry = find(["tiny", 2, "photo"]), network = core.network(entry, numbers(entry));
    const picture = { data: bytes(given.pixels), width: 300, height: 200 };
    console.log(JSON.stringify(meansMatter(network, (box) => floats(colours(picture, box)), 200, 300)));"""
    rgba = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    planner = Upscaler(weights.load("tiny", 2, "photo"), tile=64).planner
    assert node(RUN + script, pixels=packed(rgba)) == planner.plan_for(raster_of_array(pixels)).exact == uneven


@pytest.mark.parametrize(
    ("height", "width", "scale", "memory"),
    [(103, 151, 2, 2.5e9), (3000, 4000, 4, 2.5e9), (3000, 4000, 2, 2.5e9), (1201, 777, 2, 6e8), (65, 5001, 3, 3.2e8)],
)
def test_the_plan_is_the_commands(node: Node, height: int, width: int, scale: int, memory: float) -> None:
    config = LAMNetConfig.tiny(scale)
    expected = plans.choose(config, height, width, int(memory), Footprint(150_000_000, 6))
    script = """
    import { plan, rowsOf } from "PAGE/plan.js";
    const made = plan({ scale: given.scale, channels: 32 }, given.height, given.width, given.memory);
    const corners = ({ top, left, height, width }) => [top, left, height, width];
    const rows = rowsOf(made).map((row) => row.map((part) => [corners(part), corners(part.sees)]));
    console.log(JSON.stringify({ tile: made.tile, rows }));"""
    found = node(script, height=height, width=width, scale=scale, memory=memory)

    def corners(box: plans.Box) -> list[int]:
        return [box.top, box.left, box.height, box.width]

    assert found["tile"] == expected.tile
    assert found["rows"] == [[[corners(b), corners(expected.seen(b))] for b in row] for row in expected.rows()]


def test_the_times_of_the_page_about_the_page(folder: Path, executable: str) -> None:
    [command] = re.findall(
        r"^make web && node web/(time.mjs) build/web (.*)$", (ROOT / "docs/web.md").read_text(), re.MULTILINE
    )
    size, scale, *_ = command[1].split()
    call = [executable, ROOT / "web" / command[0], folder, size, scale, "32", "18"]
    done = subprocess.run([str(word) for word in call], capture_output=True, text=True, check=True)
    assert re.match(r"ready after \d+ ms\n(tiny x2, 32x18: [\d.]+ s, by the clock [\d.]+ s\n){5}$", done.stdout)
