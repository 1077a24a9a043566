"""Hostile files and arrays: whatever comes in, nothing but our own errors comes out, and no partial files stay."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from torch import Tensor

from lamnet import LAMNet, LAMNetConfig, Upscaler
from lamnet.base.errors import BadArgumentError, LamnetError

CASES = 2400  # files, a share for each seed of the corpus


class Repeats(LAMNet):
    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    network = Repeats(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2))
    return Upscaler(network, "cpu", tile=None, max_pixels=1_000_000)


def corpus(folder: Path) -> list[Path]:
    """Small pictures of all formats, depths and oddities."""
    rows, columns = np.mgrid[0:20, 0:30]
    rgba = np.stack([rows * 12, columns * 8, rows + columns, 255 - rows], -1).astype(np.uint8)
    image = pyvips.Image.new_from_array(rgba, interpretation="srgb")
    rgb = image.extract_band(0, n=3)
    for suffix in (".png", ".webp", ".avif", ".tif", ".gif"):
        image.write_to_file(str(folder / f"rgba{suffix}"))
    rgb.jpegsave(str(folder / "rgb.jpg"))
    rgb.jpegsave(str(folder / "progressive.jpg"), interlace=True)
    (rgb.cast("ushort") * 257).copy(interpretation="rgb16").cast("ushort").pngsave(str(folder / "deep.png"))
    rgb.tiffsave(str(folder / "tiled.tif"), tile=True, tile_width=16, tile_height=16, bigtiff=True)
    (rgb.cast("float") / 255).tiffsave(str(folder / "float.tif"), compression="deflate")
    rgb.icc_transform("cmyk", input_profile="srgb").tiffsave(str(folder / "cmyk.tif"))
    frames = [Image.fromarray(np.roll(rgba[..., :3], i, 1)) for i in range(3)]
    for suffix in (".gif", ".webp", ".tif"):
        frames[0].save(folder / f"frames{suffix}", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 5
    frames[0].save(folder / "turned.jpg", exif=exif, dpi=(300, 300), xmp=b"<a tiff:Orientation='5'/>")
    frames[0].save(folder / "several.jpg", "MPO", save_all=True, append_images=frames[1:], exif=exif)
    frames[0].save(folder / "exif.tif", exif=exif.tobytes())
    frames[0].quantize(7).save(folder / "palette.png", transparency=2)
    frames[0].save(folder / "plain.bmp")
    frames[0].quantize(7).save(folder / "palette.bmp")
    for suffix in (".tga", ".pcx", ".jp2", ".ppm", ".dds", ".qoi", ".sgi"):
        frames[0].save(folder / f"rgb{suffix}")
    Image.fromarray(rgba).save(folder / "rgba.ico", sizes=[(30, 20)])
    Image.fromarray(rgba[..., 0].astype(np.uint16) * 257).save(folder / "deep.pgm")
    return sorted(folder.iterdir())


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Bytes cut, flipped, repeated, removed, or a header's number made extreme."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(out)) if chance.random() < 0.6 else chance.randrange(min(64, len(out)))
        kind = chance.randrange(5)
        if kind == 0:
            del out[max(1, at) :]
        elif kind == 1:
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            out[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\1\0\0"))
        elif kind == 3:
            del out[at : at + chance.randrange(1, 40)]
        else:
            out[at:at] = out[: chance.randrange(1, 60)]
        if not out:
            out = bytearray(b"\0")
    return bytes(out)


def attempt(upscaler: Upscaler, source: Path, target: Path) -> bool:
    """Tell whether a file is accepted; fails the test when anything but our own error comes out or a part of a result stays."""
    problem = ""
    try:
        upscaler.file(source, target)
    except LamnetError as error:
        problem = str(error)
    assert "\n" not in problem
    assert target.exists() == (not problem)
    target.unlink(missing_ok=True)
    assert not [path.name for path in target.parent.iterdir() if "partial" in path.name]
    return not problem


def fuzz(upscaler: Upscaler, folder: Path, cases: int) -> int:
    """Run this many mutated files; how many were accepted."""
    (folder / "seeds").mkdir()
    (folder / "work").mkdir()
    seeds = corpus(folder / "seeds")
    accepted = 0
    for case in range(cases):
        chance = random.Random(case)
        seed = seeds[case % len(seeds)]
        source = folder / "work" / f"case{chance.choice([seed.suffix, '.png', ''])}"
        source.write_bytes(mutated(seed.read_bytes(), chance))
        accepted += attempt(
            upscaler, source, folder / "work" / f"out{chance.choice(['.png', '.tif', '.webp', '.jpg', '.avif'])}"
        )
        source.unlink()
    return accepted


@pytest.mark.thorough
def test_the_unharmed_corpus_is_accepted(upscaler: Upscaler, tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    for seed in corpus(tmp_path / "seeds"):
        animated = seed.stem == "frames" and seed.suffix != ".tif"
        assert attempt(upscaler, seed, tmp_path / f"out{'.webp' if animated else '.tif'}"), seed


@pytest.mark.thorough
def test_some_mutated_files(upscaler: Upscaler, tmp_path: Path) -> None:
    assert 0 < fuzz(upscaler, tmp_path, 120) < 120


@pytest.mark.slow
def test_thousands_of_mutated_files(upscaler: Upscaler, tmp_path: Path) -> None:
    assert 0 < fuzz(upscaler, tmp_path, CASES) < CASES


@pytest.mark.thorough
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b""]),
    rest=st.binary(max_size=200),
)
@example(start=b"\xff\xd8\xff", rest=b"\xc0\x08")  # cut off within a frame's header
@example(
    start=b"\xff\xd8\xff", rest=b"\xc0\x00\x0b\x08\x00\x09\x00\x09\xc8\xff\xda\x00\x05\xc8"
)  # 200 components, of which none is there
def test_bytes_of_no_picture(upscaler: Upscaler, tmp_path: Path, start: bytes, rest: bytes) -> None:
    (tmp_path / "in.png").write_bytes(start + rest)
    assert not attempt(upscaler, tmp_path / "in.png", tmp_path / "out.png")


_shapes = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
_dtypes = st.sampled_from(["uint8", "uint16", "float32", "float64", "int32", "bool", "complex64"])


@pytest.mark.thorough
@settings(max_examples=100, deadline=None)
@given(array=st.tuples(_dtypes, _shapes).flatmap(lambda kind: arrays.arrays(*kind)))
def test_arrays_of_any_kind(upscaler: Upscaler, array: np.ndarray) -> None:
    try:
        out = upscaler(array)
    except BadArgumentError:
        return
    assert out.dtype == array.dtype
    assert out.shape == (2 * array.shape[0], 2 * array.shape[1], *array.shape[2:])
