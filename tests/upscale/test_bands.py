"""Plans and bands around an engine that makes four of every pixel: what comes out shows exactly what they do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamnet.base.errors import BadArgumentError
from lamnet.upscale.bands import bands, in_memory
from lamnet.upscale.exact import Features
from lamnet.upscale.goal import Goal
from lamnet.upscale.plan import Box, fixed
from lamnet.upscale.planner import Planner
from lamnet.upscale.raster import raster_of_array
from support.engines import Nearest

SCRATCH = Path(tempfile.gettempdir())


def noise(height: int, width: int, bands: int, dtype: type = np.uint8) -> np.ndarray:
    """Numbers from near black to white; no alpha hides a colour."""
    numbers = np.random.default_rng(0).uniform(0.01, 1, (height, width, bands))
    return (numbers if dtype == np.float32 else numbers * np.iinfo(dtype).max).astype(dtype)


def planner(engine: Nearest, **options: Any) -> Planner:
    return Planner(engine, **options)  # pyright: ignore


@pytest.mark.parametrize("tile", [None, 7, 16])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_bands_are_the_result_from_top_to_bottom(
    monkeypatch: pytest.MonkeyPatch, count: int, dtype: type, tile: int | None
) -> None:
    trimmed: list[None] = []
    monkeypatch.setattr("lamnet.upscale.bands.trim", lambda: trimmed.append(None))
    engine, pixels = Nearest(), noise(40, 21, count, dtype)
    raster = raster_of_array(pixels, white=float(np.float32(1) if dtype == np.float32 else np.iinfo(dtype).max))
    found = list(bands(engine, planner(engine, tile=tile).plan_for(raster), raster, SCRATCH))  # pyright: ignore
    done, rows = [one for one, _ in found], np.concatenate([one for _, one in found])
    assert done == sorted(done)
    assert done[-1] == 1
    assert rows.dtype == dtype
    expected = pixels.repeat(2, 0).repeat(2, 1)
    assert np.abs(rows.astype(float) - expected).max() <= (1e-6 if dtype == np.float32 else 0)
    assert len(trimmed) == (0 if tile is None else len(found))


def test_a_part_sees_no_more_than_its_plan_says() -> None:
    engine, raster = Nearest(), raster_of_array(noise(100, 300, 3))
    plan = fixed(engine.config, 100, 300, 100, engine.footprint())
    in_memory(engine, plan, raster, (600, 200), SCRATCH)  # pyright: ignore
    assert engine.ran == [
        (3, 112, 138),
        (3, 112, 164),
        (3, 112, 138),
    ]  # with 6 pixels of repeated edge around the whole


def test_what_goes_beyond_white_is_interpolated_past_the_network() -> None:
    engine, pixels = Nearest(), noise(200, 30, 3, np.float32)
    pixels[100, 10, 1] = 70  # one in more than a hundred: an outlier
    raster = raster_of_array(pixels)
    out = in_memory(engine, planner(engine, tile=32).plan_for(raster), raster, (60, 400), SCRATCH)  # pyright: ignore
    np.testing.assert_allclose(out, pixels.repeat(2, 0).repeat(2, 1), rtol=1e-6)


def test_another_size_is_reduced() -> None:
    engine, pixels = Nearest(), np.full((20, 30, 3), 77, np.uint8)
    raster = raster_of_array(pixels)
    size = planner(engine, goal=Goal(1.5)).result_size(30, 20)
    assert size == (45, 30)
    out = in_memory(engine, planner(engine).plan_for(raster), raster, size, SCRATCH)  # pyright: ignore
    assert out.shape == (30, 45, 3)
    assert (out == 77).all()
    with pytest.raises(BadArgumentError, match="expected at most 2 times 30 x 20 with this network, got 66 x 44"):
        planner(engine, goal=Goal(2.2)).result_size(30, 20)


def test_memory_that_others_hold_is_left_to_them() -> None:
    engine = Nearest()
    whole = planner(engine).plan(500, 500)
    assert whole.tile is None
    engine.free = whole.memory
    assert planner(engine).plan(500, 500) == whole
    assert planner(engine).plan(500, 500, held=1).tile is not None
    assert planner(engine, memory=2 * engine.free).plan(500, 500, held=engine.free).tile is None


def test_whether_the_means_matter_is_asked_of_pieces_within_the_picture() -> None:
    raster = raster_of_array(noise(60, 400, 3))
    for matters in (False, True):
        engine = Nearest(matters=matters)
        assert planner(engine, tile=64).plan_for(raster).exact is matters
        assert engine.probed == [(3, 60, 128)] * 5


@pytest.mark.parametrize(
    ("ensemble", "options"), [(False, {"tile": None}), (True, {"tile": 64}), (False, {"exact": True, "tile": 64})]
)
def test_it_is_not_asked_where_the_answer_is_known(ensemble: bool, options: dict[str, Any]) -> None:
    engine = Nearest(matters=True, ensemble=ensemble)
    plan = planner(engine, **options).plan_for(raster_of_array(noise(60, 400, 3)))
    assert plan.exact is options.get("exact", False)
    assert not engine.probed


def test_features_in_a_file_come_back_where_the_system_has_no_positioned_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planner(Nearest(matters=True), exact=True, tile=64).plan_for(raster_of_array(noise(60, 40, 3)))
    whole, inner = Box(-6, -6, 72, 52), Box(3, 5, 20, 30)
    values = np.random.default_rng(0).random((72, 52, 3)).astype(np.float32)
    for positioned in (True, False):
        monkeypatch.setattr("lamnet.upscale.exact._POSITIONED", positioned)
        features = Features(tmp_path, plan, 3)
        features.write(whole, values)
        features.write(inner, values[:20, :30] + 1)
        expected = values.copy()
        expected[9:29, 11:41] = values[:20, :30] + 1
        assert (features.read(whole) == expected).all()
        features.close()
