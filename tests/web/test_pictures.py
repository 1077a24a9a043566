"""What the page's modules make of pictures under Node: the choice of weights, a smaller one, PNG both ways."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image
from skimage import data

from lamnet.media import convert, opening
from lamnet.upscale.choice import decide, facts_of
from support.node import RUN, Node, packed, unpacked

pytestmark = pytest.mark.thorough


def spoilt(kind: str) -> tuple[bytes, str]:
    """A file of a picture that has suffered, or not."""
    rng = np.random.default_rng(0)
    pixels = {"coffee": data.coffee, "chelsea": data.chelsea}.get(kind.split()[0], data.astronaut)()
    image = Image.fromarray(pixels)
    if "grain" in kind:
        image = Image.fromarray((pixels + rng.normal(0, 8, (*pixels.shape[:2], 1))).clip(0, 255).astype(np.uint8))
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
    if "lossless webp" in kind:
        return saved(image, "WEBP", lossless=True), ".webp"
    if "webp" in kind or "avif" in kind:
        name, quality = kind.split()
        return saved(image, name.upper(), quality=int(quality)), f".{name}"
    return saved(image, "PNG"), ".png"


def saved(image: Image.Image, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


@pytest.mark.parametrize(
    "kind",
    [
        "clean", "coffee", "chelsea", "noise", "grey noise", "soft", "chelsea soft", "decoded", "coffee decoded", "grey",
        "jpeg 75", "jpeg 95", "coffee jpeg 98", "noise jpeg 95", "webp 75", "webp 98", "lossless webp", "avif 50", "avif 95", "grain", "decoded jpeg 96",
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
    const picture = { data: bytes(given.pixels), width: given.width, height: given.height };
    const measured = isKnown(facts) ? null : measure(picture, facts.lossy);
    console.log(JSON.stringify({ facts, measured, choice: decide(facts, measured) }));"""
    found = node(
        RUN + script,
        file=packed(np.frombuffer(contents, np.uint8)),
        pixels=packed(rgba),
        height=len(rgba),
        width=rgba.shape[1],
    )
    assert (found["facts"]["lossy"], found["facts"]["quality"]) == (facts.lossy, facts.quality)
    assert found["facts"]["bits"] == pytest.approx(facts.bits)
    assert (found["choice"]["variant"], found["choice"]["reason"]) == (expected.variant, expected.reason)
    if facts.measured:
        near = 1e-2 if "avif" in kind else 1e-3  # Pillow and libvips do not decode AVIF to the same bits
        for name, other in [
            ("blocks", "blocks"),
            ("one_grid", "oneGrid"),
            ("noise", "noise"),
            ("grain", "grain"),
            ("fineness", "fineness"),
            ("steepness", "steepness"),
        ]:
            assert found["measured"][other] == pytest.approx(getattr(facts.measured, name), rel=2e-3, abs=near), name


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WebP", "AVIF"])
@pytest.mark.parametrize("animated", [True, False])
def test_animations_are_known(node: Node, kind: str, animated: bool) -> None:
    frames = [Image.fromarray(np.roll(data.astronaut()[:64, :64], 5 * number, 1)) for number in range(3)]
    more = {"save_all": True, "append_images": frames[1:], "duration": 100, "loop": 0} if animated else {}
    file = saved(frames[0], kind, **more)
    script = """
    import { factsOf } from "PAGE/facts.js";
    console.log(JSON.stringify(factsOf(bytes(given.file))));"""
    facts = node(RUN + script, file=packed(np.frombuffer(file, np.uint8)))
    assert (facts["kind"], facts["animated"]) == (kind, animated)


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
