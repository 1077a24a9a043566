"""A picture file page by page: planned once each, its rows on disk until all are there, nothing left of an interruption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

from lamnet.base.errors import BadImageError
from lamnet.media import arrays, opening
from lamnet.upscale import picture
from lamnet.upscale.goal import Goal
from lamnet.upscale.planner import Planner
from support.engines import Nearest


def planner(engine: Nearest, tile: int | None = None, goal: Goal | None = None) -> Planner:
    return Planner(engine, tile, goal=goal)  # pyright: ignore


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A TIFF of three pages."""
    whole = pyvips.Image.new_from_array(np.random.default_rng(0).integers(0, 256, (120, 50, 3)).astype(np.uint8))
    whole = whole.copy()
    whole.set_type(pyvips.GValue.gint_type, "page-height", 40)
    whole.tiffsave(str(tmp_path / "pages.tif"))
    return tmp_path / "pages.tif"


@pytest.mark.parametrize("tile", [None, 16])
def test_every_page_goes_through_by_its_own_plan(pages: Path, tile: int | None) -> None:
    engine, target = Nearest(), pages.with_name("big.tif")
    done = list(picture.steps(planner(engine, tile), opening.open_picture(pages), target))
    assert done == sorted(done)
    assert done[-1] == 1
    assert len(engine.probed) == (0 if tile is None else 3 * 5)
    found = opening.open_picture(target)
    assert [(page.width, page.height) for page in found.pages] == [(100, 80)] * 3
    expected = opening.open_picture(pages).pages[1].numpy().repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(found.pages[1].numpy(), expected)
    assert sorted(path.name for path in pages.parent.iterdir()) == ["big.tif", "pages.tif"]


def test_an_interruption_leaves_nothing(pages: Path) -> None:
    target = pages.with_name("big.tif")
    running = picture.steps(planner(Nearest(), 16), opening.open_picture(pages), target)
    next(running)
    assert (pages.parent / ".big.tif.rows.partial").exists()
    running.close()  # as Ctrl-C does
    assert [path.name for path in pages.parent.iterdir()] == ["pages.tif"]


def test_a_target_that_cannot_be_is_refused_before_the_work(tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.png", np.zeros((9, 20_000, 3), np.uint8))
    engine = Nearest()
    with pytest.raises(BadImageError, match=r"a\.webp"):
        next(picture.steps(planner(engine), opening.open_picture(tmp_path / "a.png"), tmp_path / "a.webp"))
    assert not engine.ran
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_pages_are_reduced_to_their_goal(pages: Path) -> None:
    target = pages.with_name("big.tif")
    list(picture.steps(planner(Nearest(), goal=Goal(width=75)), opening.open_picture(pages), target))
    assert [(page.width, page.height) for page in opening.open_picture(target).pages] == [(75, 60)] * 3
