"""The modules of the page under Node, each held against what it is a second writing of."""

from __future__ import annotations

import base64
import io
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image
from skimage import data

from lamnet.core import parameters, weights
from lamnet.core.config import LAMNetConfig
from lamnet.core.network import Network
from lamnet.core.weights import WeightsFile
from lamnet.media import convert, opening
from lamnet.network import mixing
from lamnet.upscale import plan as plans
from lamnet.upscale.choice import decide, facts_of
from lamnet.upscale.plan import Footprint
from lamnet.upscale.raster import raster_of_array
from lamnet.upscale.upscaler import Upscaler

Node = Callable[..., Any]

pytestmark = pytest.mark.thorough
ROOT = Path(__file__).parents[2]

RUN = """
import { readFileSync } from "node:fs";
import { alone, NoMemory } from "PAGE/core.js";
const at = (name) => new URL(`PAGE/${name}`);
const networks = JSON.parse(readFileSync(at("networks.json")));
let tasks = 0;
const core = await alone(new WebAssembly.Module(readFileSync(at("core.wasm"))), () => tasks++);
const numbers = (entry) => new Float32Array(new Uint8Array(readFileSync(at(entry.file))).buffer);
const find = ([size, scale, variant]) => networks.find((n) => n.size === size && n.scale === scale && n.variant === variant);
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const text = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
"""


def packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def unpacked(text: str, shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


@pytest.mark.parametrize(
    ("size", "scale", "variant"),
    [("tiny", 2, "clean"), ("tiny", 2, "photo"), ("tiny", 4, "clean"), ("tiny", 4, "photo"), ("base", 2, "clean")],
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


def spoilt(kind: str) -> tuple[bytes, str]:
    """A file of a picture that has suffered, or not."""
    rng = np.random.default_rng(0)
    pixels = {"coffee": data.coffee, "chelsea": data.chelsea}.get(kind.split()[0], data.astronaut)()
    image = Image.fromarray(pixels)
    if "noise" in kind:
        image = Image.fromarray((pixels + rng.normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8))
    if "soft" in kind:
        image = image.resize((image.width // 3, image.height // 3)).resize(image.size, Image.Resampling.BICUBIC)
    if "grey" in kind:
        image = image.convert("L")
    if "decoded" in kind:
        image = Image.open(io.BytesIO(saved(image, "JPEG", quality=60)))
    if "jpeg" in kind:
        return saved(image, "JPEG", quality=int(kind.split()[-1])), ".jpg"
    if "webp" in kind:
        return saved(image, "WEBP", lossless="lossless" in kind), ".webp"
    return saved(image, "PNG"), ".png"


def saved(image: Image.Image, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


@pytest.mark.parametrize(
    "kind",
    [
        "clean", "coffee", "chelsea", "noise", "grey noise", "soft", "chelsea soft", "decoded", "coffee decoded", "grey",
        "jpeg 75", "jpeg 95", "coffee jpeg 98", "noise jpeg 95", "webp", "lossless webp",
    ],
)  # fmt: skip
def test_the_choice_is_the_commands(node: Node, tmp_path: Path, kind: str) -> None:
    contents, suffix = spoilt(kind)
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(contents)
    facts = facts_of(opening.open_picture(path))
    expected = decide(facts)
    rgba = np.asarray(Image.open(path).convert("RGBA"))
    script = """
    import { decide, isKnown } from "PAGE/choice.js";
    import { factsOf } from "PAGE/facts.js";
    import { measure } from "PAGE/quality.js";
    const facts = factsOf(bytes(given.file));
    const measured = isKnown(facts) ? null : measure({ data: bytes(given.pixels), width: given.width, height: given.height });
    console.log(JSON.stringify({ facts, measured, choice: decide(facts, measured) }));"""
    found = node(
        RUN + script,
        file=packed(np.frombuffer(contents, np.uint8)),
        pixels=packed(rgba),
        height=len(rgba),
        width=rgba.shape[1],
    )
    assert (found["facts"]["lossy"], found["facts"]["quality"]) == (facts.lossy, facts.quality)
    assert (found["choice"]["variant"], found["choice"]["reason"]) == (expected.variant, expected.reason)
    if facts.measured:
        for name, other in [
            ("blocks", "blocks"),
            ("one_grid", "oneGrid"),
            ("noise", "noise"),
            ("fineness", "fineness"),
            ("steepness", "steepness"),
        ]:
            assert found["measured"][other] == pytest.approx(getattr(facts.measured, name), rel=2e-3, abs=1e-3), name


@pytest.mark.parametrize("bands", [3, 4])
def test_a_smaller_picture_is_the_commands(node: Node, bands: int) -> None:
    pixels = np.dstack([data.astronaut()[:100, :140], np.tile(np.linspace(255, 60, 140, dtype=np.uint8), (100, 1))])[
        ..., :bands
    ]
    script = """
    import { Reducer } from "PAGE/reduce.js";
    const reducer = new Reducer(140, 100, given.bands, 105, 75), pixels = bytes(given.pixels), parts = [];
    const pitch = 140 * given.bands;
    for (let y = 0; y < 100; y += 30) parts.push(reducer.push(pixels.subarray(y * pitch, (y + 30) * pitch), y + 30 >= 100));
    console.log(JSON.stringify(Buffer.concat(parts).toString("base64")));"""
    found = unpacked(node(RUN + script, bands=bands, pixels=packed(pixels)), (75, 105, bands)).astype(int)
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation="srgb")
    assert np.abs(found - convert.resized(image, (105, 75)).numpy()).max() <= 1


@pytest.mark.parametrize("channels", [3, 4])
def test_a_png_holds_what_went_in(node: Node, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (37, 53, channels), np.uint8)
    script = """
    import { encode } from "PAGE/png.js";
    const pixels = bytes(given.pixels), pitch = 53 * given.channels;
    async function* parts() { for (const [a, b] of [[0, 20], [20, 37]]) yield pixels.slice(a * pitch, b * pitch); }
    const blob = await encode(53, 37, given.channels, parts());
    console.log(JSON.stringify(Buffer.from(await blob.arrayBuffer()).toString("base64")));"""
    file = base64.b64decode(node(RUN + script, pixels=packed(pixels), channels=channels))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(file))), pixels)


def transparent(kind: str) -> bytes:
    rgba = np.random.default_rng(0).integers(0, 256, (19, 23, 4), np.uint8)
    if kind == "palette":
        image = Image.fromarray(rgba[..., :3]).convert("P")
        return saved(image, "PNG", transparency=bytes(range(100, 200)))
    if kind == "one colour":
        return saved(Image.fromarray(rgba[..., :3] // 128 * 255), "PNG", transparency=(255, 0, 255))
    if kind == "grey":
        return saved(Image.fromarray(rgba[..., :2].copy(), "LA"), "PNG")
    if kind == "bits":
        return saved(Image.fromarray(rgba[..., 0] > 128), "PNG", transparency=0)
    image = pyvips.Image.new_from_array(rgba, interpretation="srgb")
    return image.write_to_buffer(".png", interlace=kind == "interlaced")


@pytest.mark.parametrize("kind", ["plain", "interlaced", "palette", "one colour", "grey", "bits"])
def test_a_transparent_png_is_read_exactly(node: Node, kind: str) -> None:
    file = transparent(kind)
    script = """
    import { decodeTransparent } from "PAGE/png.js";
    const { data } = await decodeTransparent(bytes(given.file));
    console.log(JSON.stringify(text(data)));"""
    expected = np.asarray(Image.open(io.BytesIO(file)).convert("RGBA"))
    assert np.array_equal(
        unpacked(node(RUN + script, file=packed(np.frombuffer(file, np.uint8))), expected.shape), expected
    )


def test_the_times_of_the_page_about_the_page(folder: Path, executable: str) -> None:
    [command] = re.findall(
        r"^make web && node web/(time.mjs) build/web (.*)$", (ROOT / "docs/web.md").read_text(), re.MULTILINE
    )
    size, scale, *_ = command[1].split()
    call = [executable, ROOT / "web" / command[0], folder, size, scale, "32", "18"]
    done = subprocess.run([str(word) for word in call], capture_output=True, text=True, check=True)
    assert re.match(r"ready after \d+ ms\n(tiny x2, 32x18: [\d.]+ s, by the clock [\d.]+ s\n){5}$", done.stdout)
