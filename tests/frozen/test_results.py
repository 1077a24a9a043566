"""Results of the command on every kind of picture: pixels, and all that a file holds beside them.

What is said of a picture is compared exactly, pixels within tolerances, since processors round differently; where
processor and libraries are those the data were made with, files are compared to the byte.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from frozen.described import description, digest, pixels_of
from frozen.held import FOLDER, REWRITE
from frozen.sources import SOURCES
from frozen.sources.makers import scene
from frozen.surface import run

pytestmark = pytest.mark.thorough

FACTS, PIXELS = FOLDER / "results.json", FOLDER / "results.npz"
TINY_X2 = ("--model", "tiny", "--weights", "clean", "--scale", 2)

# Sources whose results are also wanted in every other format.
_MANY_SIDED = (
    "tiff_u16_4.tif",
    "tiff_f32_3.tif",
    "png_u16_2.png",
    "jpeg_all.jpg",
    "tiff_all.tif",
    "avif_p3_numbers.avif",
)
CROSSED = [(name, suffix) for name in _MANY_SIDED for suffix in (".png", ".jpg", ".webp", ".avif", ".tif")]
CROSSED += [(name, suffix) for name in ("gif_boxes.gif", "webp_animated.webp") for suffix in (".gif", ".webp")]
CROSSED += [("png_u8_4.png", ".gif"), ("jpeg_cmyk.jpg", ".png"), ("bmp_24.bmp", ".webp"), ("tiff_pages.tif", ".png")]

# Options, each on a picture; "wide" is large enough to be cut into tiles.
OPTIONS = {
    "ways_one_and_a_half": ("png_u8_4.png", "--model tiny --weights clean --scale 1.5"),
    "ways_one_and_a_half_u16": ("tiff_u16_3.tif", "--model tiny --weights clean --scale 1.5"),
    "ways_one_and_a_half_f32": ("tiff_f32_4.tif", "--model tiny --weights clean --scale 1.5"),
    "ways_to_size": ("jpeg_all.jpg", "--model tiny --weights clean --to 31x31"),
    "ways_three": ("png_u8_3.png", "--model tiny --weights clean --scale 3"),
    "ways_four": ("png_u8_3.png", "--model tiny --weights clean --scale 4"),
    "ways_best": ("png_u8_3.png", ""),
    "ways_ensemble": ("png_u8_3.png", "--model tiny --weights clean --scale 2 --ensemble"),
    "ways_bfloat16": ("png_u8_3.png", "--model tiny --weights clean --scale 2 --precision bfloat16"),
    "ways_tiles": ("wide.png", "--model tiny --weights clean --scale 2 --tile 64"),
    "ways_tiles_exact": ("wide.png", "--model tiny --weights clean --scale 2 --tile 64 --exact"),
}
CASES = [*SOURCES, *(f"{Path(name).stem}_as_{suffix[1:]}" for name, suffix in CROSSED), *OPTIONS]


@dataclass(frozen=True)
class Result:
    """The result of a case: its file in words and its pixels, or neither where it was refused."""

    facts: dict[str, Any]
    pixels: list[NDArray[Any]]


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """All cases; LAMNET_FREEZE=1 makes them the data."""
    folder = tmp_path_factory.mktemp("frozen")
    (folder / "sources").mkdir()
    for name, make in SOURCES.items():
        make(folder / "sources" / name)
    Image.fromarray(scene(1, size=(16, 130))[..., 0]).save(folder / "wide.png")
    found = {**_together(folder), **_crossed(folder), **_with_options(folder)}
    if REWRITE:
        _write(found)
    return found


def _together(folder: Path) -> dict[str, Result]:
    """The folder in one call, each result in the format that suits it."""
    out = folder / "together"
    assert run("upscale", folder / "sources", "--out", out, *TINY_X2).code == 1  # some are refused
    made = sorted(out.iterdir())
    found: dict[str, Result] = {}
    for name in SOURCES:
        stem = Path(name).stem
        found[name] = _result([path for path in made if path.name.startswith(f"{stem}_x2.")])
    assert len(made) == sum(bool(result.pixels) for result in found.values())
    return found


def _crossed(folder: Path) -> dict[str, Result]:
    found: dict[str, Result] = {}
    for name, suffix in CROSSED:
        case = f"{Path(name).stem}_as_{suffix[1:]}"
        out = folder / f"{case}{suffix}"
        ran = run("upscale", folder / "sources" / name, "--out", out, *TINY_X2)
        assert ran.code == (0 if out.exists() else 1)
        found[case] = _result([out] if out.exists() else [])
    return found


def _with_options(folder: Path) -> dict[str, Result]:
    found: dict[str, Result] = {}
    for case, (name, options) in OPTIONS.items():
        source = folder / name if (folder / name).exists() else folder / "sources" / name
        out = folder / f"{case}{source.suffix}"
        ran = run("upscale", source, "--out", out, "--device", "cpu", *options.split())
        assert ran.code == 0, ran.err
        found[case] = _result([out])
    return found


def _result(paths: list[Path]) -> Result:
    if not paths:
        return Result({"refused": True}, [])
    (path,) = paths
    pixels = pixels_of(path)
    hashes = {"sha256 of the file": digest(path.read_bytes()), "sha256 of the pixels": [*map(_digest, pixels)]}
    shapes = [f"{page.dtype} {'x'.join(map(str, page.shape))}" for page in pixels]
    return Result({"name": path.name, "pixels": shapes, **description(path), **hashes}, pixels)


def _digest(pixels: NDArray[Any]) -> str:
    return digest(
        str(pixels.dtype).encode() + np.array(pixels.shape).tobytes() + np.ascontiguousarray(pixels).tobytes()
    )


def _write(found: dict[str, Result]) -> None:
    arrays = {_digest(page): page for result in found.values() for page in result.pixels}  # many are alike
    np.savez_compressed(PIXELS, allow_pickle=False, **arrays)
    facts = {"made with": machine(), "cases": {case: result.facts for case, result in found.items()}}
    FACTS.write_text(_compact(facts) + "\n", encoding="utf-8")
    frozen.cache_clear()
    frozen_pixels.cache_clear()


def _compact(facts: dict[str, Any]) -> str:
    """JSON, a line for each fact of a case."""
    cases = ",\n".join(
        f"  {json.dumps(case)}: {{\n"
        + ",\n".join(f"   {json.dumps(key)}: {json.dumps(value)}" for key, value in one.items())
        + "\n  }"
        for case, one in facts["cases"].items()
    )
    return f'{{\n "made with": {json.dumps(facts["made with"])},\n "cases": {{\n{cases}\n }}\n}}'


@cache
def frozen() -> dict[str, Any]:
    return json.loads(FACTS.read_text(encoding="utf-8"))


@cache
def frozen_pixels() -> dict[str, NDArray[Any]]:
    with np.load(PIXELS) as file:
        return dict(file)


@cache
def machine() -> dict[str, str]:
    """The things that decide the last bits: the processor, the kernels that run on it, and the libraries."""
    told = run("info").out.splitlines()
    kernels = next(line for line in told if line.startswith("native on cpu")).split(maxsplit=3)[3]
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().split("\n\n")[0].splitlines() if cpuinfo.exists() else []
    fields = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    names = ("vendor_id", "cpu family", "model", "model name", "stepping")
    return {
        "processor": ", ".join(fields.get(name, "?").strip() for name in names),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "kernels": kernels,
        **{name: version(name) for name in ("torch", "numpy", "pyvips-binary", "pillow", "tifffile")},
    }


def _tolerances(facts: dict[str, Any], pixels: NDArray[Any]) -> tuple[float, float]:
    """The largest and the mean difference allowed: a level of 8 bits, 1e-4 in floats.

    Where coding is lossy, a number on the edge between two steps of the coder moves a whole block: twelve levels, and
    one in the mean.
    """
    if pixels.dtype.kind == "f":
        bound = 1e-4 * max(1.0, float(np.nanmax(np.abs(pixels))))
        return bound, bound
    lossy = facts["format"] in ("JPEG", "AVIF") or not {"VP8 ", "ANMF"}.isdisjoint(facts.get("parts", ()))
    level = 1 if pixels.dtype == np.uint8 else 257
    return (12 if lossy else 1) * level, level


@pytest.mark.parametrize("case", CASES)
def test_results(results: dict[str, Result], case: str) -> None:
    facts, before = dict(results[case].facts), dict(frozen()["cases"][case])
    hashes = before.get("sha256 of the pixels", [])
    if machine() != frozen()["made with"]:
        for name in [name for name in before if name.startswith("sha256")]:
            facts.pop(name)
            before.pop(name)
    for number, (now, hashed) in enumerate(zip(results[case].pixels, hashes, strict=True)):
        then = frozen_pixels()[hashed]
        assert (now.dtype, now.shape) == (then.dtype, then.shape)
        np.testing.assert_array_equal(np.isnan(now), np.isnan(then))
        apart = np.abs(np.nan_to_num(now.astype(np.float64)) - np.nan_to_num(then.astype(np.float64)))
        most, mean = _tolerances(before, then)
        assert apart.max() <= most, f"page {number}"
        assert apart.mean() <= mean, f"page {number}"
    assert json.loads(json.dumps(facts)) == before


def test_data_and_cases_are_the_same_and_small() -> None:
    assert list(frozen()["cases"]) == CASES
    assert sum(path.stat().st_size for path in (FACTS, PIXELS)) < 300_000
