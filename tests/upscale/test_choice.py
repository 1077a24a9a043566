"""The choice of weights for a picture: the rule, and the facts from files and pixels."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw, ImageFont

import lamnet
from lamnet import BadArgumentError, BadWeightsError, LAMNet, LAMNetConfig, Upscaler
from lamnet.evaluation import conditions
from lamnet.media import arrays, opening
from lamnet.media.quality import Measured
from lamnet.upscale import choice
from lamnet.upscale.choice import Facts, decide, facts_of
from lamnet.upscale.raster import raster_of_array

SHARP = 0.8  # fineness
JPEG = Measured(blocks=0.7, one_grid=0.3, noise=0.3, fineness=SHARP)
CASES = [
    (Facts("JPEG", 78), "photo", "JPEG quality 78"),
    (Facts("JPEG", 91), "photo", "JPEG quality 91"),
    (Facts("JPEG", 92, measured=Measured(fineness=SHARP)), "clean", "JPEG quality 92"),
    (Facts("JPEG", 98), "clean", "JPEG quality 98"),
    (Facts("JPEG", 98, measured=JPEG), "photo", "JPEG quality 98, blocks of JPEG"),
    (Facts("JPEG", 96, measured=Measured(0.42, 0.07, fineness=SHARP)), "photo", "JPEG quality 96, blocks of JPEG"),
    (Facts("JPEG", 92, measured=Measured(0.25, 0.03, fineness=SHARP)), "clean", "JPEG quality 92"),
    (
        Facts("JPEG", 95, measured=Measured(noise=6.2, fineness=SHARP)),
        "photo",
        "JPEG quality 95, noise of about 6 of 255",
    ),
    (Facts("JPEG"), "photo", "JPEG"),
    (Facts("lossy WebP"), "photo", "lossy WebP"),
    (Facts("lossy WebP", bits=1.34), "photo", "lossy WebP of 1.3 bits a pixel"),
    (Facts("lossy AVIF", bits=5.0, measured=Measured(0.2, 0.0)), "clean", "lossy AVIF of 5.0 bits a pixel"),
    (
        Facts("lossy WebP", bits=5.0, measured=Measured(grain=6.0)),
        "photo",
        "lossy WebP of 5.0 bits a pixel, grain of about 6 of 255",
    ),
    (Facts("lossy AVIF"), "photo", "lossy AVIF"),
    (Facts("video"), "photo", "video"),
    (Facts(lossless_video=True), "clean", "lossless video"),
    (Facts(), "clean", "too small to tell"),
    (Facts(measured=Measured(fineness=SHARP)), "clean", "no trace of compression, noise or blur"),
    (Facts(measured=Measured()), "clean", "no trace of compression, noise or blur"),
    (Facts(measured=JPEG), "photo", "blocks of JPEG"),
    (Facts(measured=Measured(0.3, 0.2, fineness=SHARP)), "clean", "no trace of compression, noise or blur"),
    (Facts(measured=Measured(0.2, 0.0, fineness=SHARP)), "photo", "traces of lossy compression"),
    (Facts(measured=Measured(noise=1.5, fineness=SHARP)), "clean", "no trace of compression, noise or blur"),
    (Facts(measured=Measured(noise=4.8, fineness=SHARP)), "photo", "noise of about 5 of 255"),
    (Facts(measured=Measured(grain=3.1, fineness=SHARP)), "clean", "no trace of compression, noise or blur"),
    (Facts(measured=Measured(grain=4.0, fineness=SHARP)), "photo", "grain of about 4 of 255"),
    (Facts(measured=Measured(fineness=0.45)), "photo", "soft"),
    (Facts(measured=Measured(fineness=0.45, equal=0.35)), "clean", "no trace of compression, noise or blur"),
    (Facts(measured=Measured(few_levels=True)), "photo", "graphics of few colours"),
    (Facts(measured=Measured(steepness=0.65, equal=0.5)), "photo", "graphics"),
    (Facts(measured=Measured(steepness=0.75, equal=0.15)), "photo", "graphics"),
    (Facts("JPEG", 95, measured=Measured(steepness=0.75, equal=0.15)), "photo", "JPEG quality 95, graphics"),
    (Facts(measured=Measured(steepness=0.55, equal=0.6)), "clean", "no trace of compression, noise or blur"),
    (Facts(measured=Measured(steepness=0.8, equal=0.05)), "clean", "no trace of compression, noise or blur"),
    (Facts(measured=Measured(fineness=0.45, steepness=0.9)), "clean", "no trace of compression, noise or blur"),
]


@pytest.mark.parametrize(("facts", "variant", "reason"), CASES)
def test_the_rule(facts: Facts, variant: str, reason: str) -> None:
    assert (decide(facts).variant, decide(facts).reason) == (variant, reason)
    assert str(decide(facts)) == f"{variant} weights: {reason}"


def _scene(size: tuple[int, int] = (96, 128), noise: float = 1.0) -> np.ndarray:
    """Sharp shapes of many colours over a slope, with the little noise of a photograph; without it they are graphics."""
    generator = np.random.default_rng(3)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    pixels = np.stack([rows + 40, columns + 30, 150 - rows // 2], -1)
    for _ in range(60):
        y, x, r = (int(generator.integers(n)) for n in (*size, 12))
        pixels[(rows - y) ** 2 + (columns - x) ** 2 < (r + 3) ** 2] = generator.integers(20, 236, 3)
    return (pixels + generator.normal(0, noise, pixels.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [1, 11, 30, 60, 75, 85, 91, 92, 95, 100])
def test_the_quality_of_a_jpeg(quality: int, tmp_path: Path) -> None:
    for mode in ("RGB", "L"):
        Image.fromarray(_scene()).convert(mode).save(tmp_path / "a.jpg", quality=quality)
        facts = facts_of(opening.open_picture(tmp_path / "a.jpg"))
        assert facts.lossy == "JPEG"
        assert facts.quality == quality
        assert (facts.measured is None) == (facts.quality < choice.GOOD_JPEG)


@pytest.mark.parametrize(
    ("name", "options", "lossy"),
    [
        ("a.webp", {"quality": 10}, "lossy WebP"),
        ("a.webp", {"lossless": True}, None),
        ("a.avif", {"quality": 40}, "lossy AVIF"),
        ("a.png", {}, None),
        ("a.tif", {}, None),
        ("a.bmp", {}, None),
    ],
)
def test_what_other_files_say(name: str, options: dict, lossy: str | None, tmp_path: Path) -> None:
    Image.fromarray(_scene()).save(tmp_path / name, **options)
    facts = facts_of(opening.open_picture(tmp_path / name))
    assert (facts.lossy, facts.quality, facts.measured is None) == (lossy, None, lossy is not None)
    assert (facts.bits is None) == (lossy is None)


@pytest.mark.parametrize(("name", "quality"), [("a.webp", 99), ("a.avif", 97)])
def test_bits_of_a_nearly_lossless_file(name: str, quality: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 2, (96, 128, 3))
    Image.fromarray((_scene() + noise).clip(0, 255).astype(np.uint8)).save(tmp_path / name, quality=quality)
    facts = facts_of(opening.open_picture(tmp_path / name))
    whole = 8 * (tmp_path / name).stat().st_size / (96 * 128)
    assert facts.bits is not None
    assert 0.8 * whole < facts.bits <= whole
    assert (facts.poor, facts.measured is None) == (False, False)


def _seen(pixels: np.ndarray) -> str:
    return decide(facts_of(raster_of_array(pixels))).reason


def test_what_pixels_show() -> None:
    scene = _scene()
    buffer = io.BytesIO()
    Image.fromarray(scene).save(buffer, "JPEG", quality=60)
    noise = np.random.default_rng(0).normal(0, 8, scene.shape)
    assert _seen(scene) == "no trace of compression, noise or blur"
    assert _seen(np.asarray(Image.open(buffer))) == "blocks of JPEG"
    assert _seen(np.asarray(Image.open(buffer))[3:, 5:]) == "blocks of JPEG"  # its grid need not begin in the corner
    assert _seen((scene + noise).clip(0, 255).astype(np.uint8)).startswith("noise of about")
    assert _seen(((scene + noise).clip(0, 255) * 257).astype(np.uint16)).startswith("noise of about")
    grey = scene + noise[..., :1]
    for pixels in (grey, grey[..., :1]):
        assert _seen(pixels.clip(0, 255).astype(np.uint8)) in ("grain of about 8 of 255", "grain of about 7 of 255")
    assert _seen(scene[:31]) == "too small to tell"
    assert _seen(conditions.gaussian_blur(scene, 1.2)) == "soft"


def test_a_jpeg_cropped_and_saved_again_is_known_by_its_first_blocks(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 4, (160, 200, 3))
    Image.fromarray((_scene((160, 200)) + noise).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=50)
    Image.open(buffer).crop((3, 5, 200, 160)).save(tmp_path / "again.jpg", quality=96)
    reason = decide(facts_of(opening.open_picture(tmp_path / "again.jpg"))).reason
    assert reason == "JPEG quality 96, blocks of JPEG"


def test_flat_and_small_pictures_are_clean() -> None:
    slope = np.broadcast_to(np.arange(128, dtype=np.uint8)[:, None], (128, 128)).copy()
    for pixels in (np.full((64, 64, 3), 200, np.uint8), np.zeros((5, 3, 4), np.uint8), slope[..., None]):
        assert decide(facts_of(raster_of_array(pixels))).variant == "clean"


def test_drawn_pictures_get_the_weights_that_have_seen_some() -> None:
    squares = np.random.default_rng(0).integers(0, 2, (30, 40, 3), np.uint8) * np.uint8(180) + np.uint8(30)
    few = [squares.repeat(side, 0).repeat(side, 1) for side in (3, 4, 5, 8)]
    few += [np.asarray(Image.fromarray(_scene()).quantize(16).convert("RGB"))]
    few += [np.asarray(Image.fromarray(_scene()).convert("1").convert("L"))[..., None]]
    generator = np.random.default_rng(0)
    tiles, places = generator.integers(0, 16, (6, 8, 8)), generator.integers(0, 6, (20, 30))
    game = generator.integers(0, 256, (16, 3), np.uint8)[tiles[places].transpose(0, 2, 1, 3).reshape(160, 240)]
    few += [game, np.roll(game, (3, 5), (0, 1)), game[..., :1]]
    assert {_seen(pixels) for pixels in few} == {"graphics of few colours"}
    text = Image.new("RGB", (200, 120), "white")
    for line in range(0, 120, 14):
        ImageDraw.Draw(text).text((4, line), "words on white, 0123456789", "black", ImageFont.load_default(11))
    page = np.asarray(text)
    assert _seen(page) == "graphics"
    assert _seen(_scene(noise=0)) == "graphics"
    tinted = page.astype(float) * [1.0, 0.9, 0.7] + np.arange(200)[:, None] / 8 - 25  # a gradient behind it
    assert _seen(tinted.clip(0, 255).astype(np.uint8)) == "graphics"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -9999.0])
def test_pixels_without_data_count_as_black(tmp_path: Path, value: float) -> None:
    pixels = _scene(noise=0)[..., 0].astype(np.float32) + 1
    black = pixels.copy()
    pixels[20:40, 30:50], black[20:40, 30:50] = value, pixels.min()
    found: list[Measured] = []
    for name, numbers in (("holes", pixels), ("black", black)):
        tifffile.imwrite(tmp_path / f"{name}.tif", numbers, photometric="minisblack")
        measured = facts_of(opening.open_picture(tmp_path / f"{name}.tif")).measured
        assert measured is not None
        found.append(measured)
    assert dataclasses.astuple(found[0]) == pytest.approx(dataclasses.astuple(found[1]), abs=2e-3)


def test_large_pictures_are_measured_by_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    raster = raster_of_array(np.zeros((3000, 2000, 3), np.uint8))
    own = type(raster).read

    def counted(self: object, box: object) -> np.ndarray:
        nonlocal read
        pixels = own(self, box)  # pyright: ignore
        read += pixels[..., 0].size
        return pixels

    monkeypatch.setattr(type(raster), "read", counted)
    facts_of(raster)
    assert 0 < read <= 9 * 160 * 160


def _two() -> tuple[LAMNet, LAMNet]:
    return LAMNet(LAMNetConfig(2, 16, 1, 1)).eval(), LAMNet(LAMNetConfig(2, 16, 1, 2)).eval()


@pytest.mark.thorough
def test_an_upscaler_with_two_networks_takes_the_one_that_suits(tmp_path: Path) -> None:
    clean, photo = _two()
    both = Upscaler(clean, "cpu", photo=photo)
    scene = _scene()
    spoilt = conditions.gaussian_blur(scene, 1.2)
    np.testing.assert_array_equal(both(scene), Upscaler(clean, "cpu")(scene))
    np.testing.assert_array_equal(both(spoilt), Upscaler(photo, "cpu")(spoilt))
    Image.fromarray(scene).save(tmp_path / "a.jpg", quality=70)
    both.file(tmp_path / "a.jpg", tmp_path / "both.png")
    Upscaler(photo, "cpu").file(tmp_path / "a.jpg", tmp_path / "photo.png")
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "both.png"), arrays.read_array(tmp_path / "photo.png"))
    with pytest.raises(BadArgumentError, match="photo: expected a network of scale 2 as the other, got 3"):
        Upscaler(clean, "cpu", photo=LAMNet(LAMNetConfig(3, 16, 1, 1)))


def test_a_name_brings_the_weights_of_both_kinds(tmp_path: Path) -> None:
    both, clean, photo = (Upscaler("tiny", "cpu", scale=2, weights=one) for one in (None, "clean", "photo"))
    scene = _scene()
    spoilt = conditions.gaussian_blur(scene, 1.2)
    np.testing.assert_array_equal(both(scene), clean(scene))
    np.testing.assert_array_equal(both(spoilt), photo(spoilt))
    assert (clean(spoilt) != photo(spoilt)).any()
    np.testing.assert_array_equal(Upscaler("tiny:photo", "cpu", scale=2)(scene), photo(scene))
    Image.fromarray(scene).save(tmp_path / "a.jpg", quality=70)
    assert str(both.choice(tmp_path / "a.jpg")) == "photo weights: JPEG quality 70"
    assert clean.choice(tmp_path / "a.jpg") is None
    with Image.open(tmp_path / "a.jpg") as opened:
        pixels = np.array(opened.convert("RGB"))
    assert both.choice(pixels) == both.choice(Image.fromarray(pixels)) == both.choice(raster_of_array(pixels))
    with pytest.raises(BadArgumentError, match="array: expected"):
        both.choice(np.zeros((4, 4, 9), np.uint8))
    half = lamnet.mix(lamnet.load("tiny", 2), lamnet.load("tiny", 2, weights="photo"), 0.5)
    mixed = Upscaler("tiny", "cpu", scale=2, strength=0.5)(scene)
    np.testing.assert_allclose(mixed.astype(int), Upscaler(half, "cpu")(scene), atol=1)
    assert Upscaler("tiny", "cpu", scale=1)(scene).shape == scene.shape


def test_weights_that_a_name_does_not_have_are_named() -> None:
    own = LAMNet(LAMNetConfig(2, 16, 1, 1))
    for arguments, message in [
        ({"model": "tiny", "scale": 2, "weights": "foto"}, "weights: expected clean or photo, got 'foto'"),
        (
            {"model": "tiny", "scale": 2, "weights": "photo", "strength": 1},
            "strength: expected it without photo weights",
        ),
        ({"model": "tiny:photo", "scale": 2, "weights": "clean"}, "weights: expected photo with the model tiny:photo"),
        ({"model": "tiny", "scale": 2, "strength": "0.5"}, "strength: expected a number from 0 .* got '0.5'"),
        ({"model": "tiny", "scale": 1, "weights": "clean"}, "scale: expected more than 1 with clean weights"),
        ({"model": own, "weights": "clean"}, "weights: expected it with a name or a file, got it with a network"),
        ({"model": own, "strength": 0.5}, "strength: expected it with a name or a file, got it with a network"),
        ({"model": "tiny", "scale": 2, "photo": own}, "photo: expected it beside a network, .* the name tiny"),
    ]:
        with pytest.raises(BadArgumentError, match=message):
            Upscaler(**arguments)
    for arguments in ({"scale": 5, "strength": 0.5}, {"scale": 5, "weights": "photo"}, {"scale": 1}):
        with pytest.raises(BadWeightsError, match="base:photo: expected a scale that ships"):
            Upscaler("base", "cpu", **arguments)
