"""How often a picture gets the weights that suit it better, of pictures degraded in many ways."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lamnet
from lamnet import LAMNet
from lamnet.core import shipped
from lamnet.evaluation import conditions, contenders, imresize
from lamnet.evaluation.conditions import Condition
from lamnet.evaluation.metrics import psnr, to_y
from lamnet.media import arrays, opening
from lamnet.upscale.choice import decide, facts_of
from lamnet.upscale.raster import raster_of_array

MIXED = 100
"""Pictures of each scale."""


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", ["tiny", "base"])
def test_right_on_95_of_100_mixed_pictures(shared: Path, size: str, scale: int, tmp_path: Path) -> None:
    if (size, scale, "photo") not in shipped.shipped():
        pytest.skip(f"no photo weights ship for {size} x{scale}")
    networks = {variant: lamnet.load(size, scale, variant) for variant in shipped.VARIANTS}
    assert right(networks, scale, shared, tmp_path) >= 95


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_grain_is_told_from_texture(shared: Path, scale: int) -> None:
    found = dict.fromkeys((0, 3, 4, 8), 0)
    generator = np.random.default_rng(0)
    pictures = _pictures(shared)
    for picture in pictures:
        hr = arrays.read_array(picture)
        hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
        lr = imresize(hr, 1 / scale) if scale > 1 else hr
        for deviation in found:
            noise = generator.normal(0, deviation, (*lr.shape[:2], 1))
            raster = raster_of_array((lr + noise).round().clip(0, 255).astype(np.uint8))
            found[deviation] += "grain" in decide(facts_of(raster)).reason
    print(f"grain found at 1/{scale} in {found} of {len(pictures)}")  # noqa: T201 (figures for docs/log)
    assert found[0] <= 0.06 * len(pictures)
    assert found[4] >= 0.75 * len(pictures)
    assert found[8] >= 0.95 * len(pictures)


@pytest.mark.thorough
@pytest.mark.parametrize("scale", [2, 4])
def test_a_soft_lens_is_told_from_smooth_things(shared: Path, scale: int) -> None:
    """A blur of half an LR pixel makes photographs soft, a bird before the sky or a baby's face is not."""
    found = {"clean": list[str](), "blur0.55": list[str]()}
    for picture in _pictures(shared)[:19]:
        hr = arrays.read_array(picture)
        hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
        for text, soft in found.items():
            lr = conditions.low_resolution(hr, scale, conditions.parse(text), picture.stem)
            if decide(facts_of(raster_of_array(lr))).reason == "soft":
                soft.append(picture.stem)
    assert not {"bird", "baby", "foreman"} & set(found["clean"])
    assert len(found["clean"]) <= 2
    assert len(found["blur0.55"]) >= 17


def _pictures(shared: Path) -> list[Path]:
    benchmarks = shared / "data" / "benchmarks"
    return [path for name in ("Set5", "Set14", "B100") for path in sorted((benchmarks / name / "HR").iterdir())]


def right(networks: dict[shipped.Variant, LAMNet], scale: int, shared: Path, folder: Path, seed: int = 21) -> int:
    """Count the mixed pictures that get the better network, or one within 0.1 dB of PSNR-Y of it."""
    upscalers = {variant: contenders.load(network, scale) for variant, network in networks.items()}
    pictures = _pictures(shared)
    drawn, count = random.Random(seed), 0
    for number in range(MIXED):
        picture = drawn.choice(pictures)
        hr, text = arrays.read_array(picture)[:480, :480], _condition(drawn)
        hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
        path = folder / f"{number}.png"
        lr = _written(hr, scale, text, path, in_its_format=drawn.random() < 0.5)
        chosen = decide(facts_of(opening.open_picture(lr)))
        pixels = arrays.read_array(lr)
        found = {name: _psnr(one.upscale(pixels), hr, scale) for name, one in upscalers.items()}
        is_right = found[chosen.variant] >= max(found.values()) - 0.1
        count += is_right
        if not is_right:
            print(f"x{scale} {picture.stem} {text or 'clean'}: {chosen}, {found}")  # noqa: T201 (what to look at)
    print(f"x{scale}: right on {count} of {MIXED}")  # noqa: T201 (a figure for docs/log)
    return count


def _condition(drawn: random.Random) -> str:
    """A quarter clean, the others by one to three things of any strength."""
    if drawn.random() < 0.25:
        return ""
    parts: list[str] = []
    while not parts:
        if drawn.random() < 0.3:
            parts.append(f"blur{drawn.uniform(0.2, 0.8):.2f}")
        if drawn.random() < 0.3:
            parts.append(f"noise{drawn.uniform(0.5, 10):.1f}")
        if drawn.random() < 0.5:
            parts.append(f"jpeg{drawn.randint(35, 98)}")
        elif drawn.random() < 0.15:
            parts.append(f"webp{drawn.randint(40, 85)}")
    return "+".join(parts)


def _written(hr: np.ndarray, scale: int, text: str, path: Path, in_its_format: bool) -> Path:
    """Write LR as a PNG, or where its last step is a compression as the file of that."""
    condition = conditions.parse(text or "clean")
    steps = condition.steps
    last = steps[-1] if in_its_format and steps and steps[-1].kind in ("jpeg", "webp") else None
    pixels = conditions.low_resolution(hr, scale, Condition(text, steps[:-1]) if last else condition, path.stem)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if last:
        path = path.with_suffix(f".{last.kind}")
        image.save(path, quality=int(last.strength))
    else:
        image.save(path)
    return path


def _psnr(out: np.ndarray, hr: np.ndarray, scale: int) -> float:
    rgb = np.broadcast_to(hr, out.shape)
    y, truth = (to_y(one, "float")[scale:-scale, scale:-scale] for one in (out, rgb))
    return psnr(y, truth)
