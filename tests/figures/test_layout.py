from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from lamnet.base.errors import BadArgumentError, MissingExtraError
from lamnet.figures import layout
from lamnet.media import arrays
from support.figures import captions


def drawing() -> Figure:
    figure = layout.new_figure(1.0)
    axes = layout.add_picture(figure, np.zeros((4, 6, 3), np.uint8), 0.5, 0.1, 0.6, 0.4)
    layout.add_caption(axes, "a name that is much wider than its panel", "$x$ as it is")
    return figure


def test_png_has_300_dots_an_inch_and_is_the_same_twice(tmp_path: Path) -> None:
    for name in ("one.png", "two.png", "one.pdf", "two.pdf"):
        layout.save(drawing(), tmp_path / name)
    assert arrays.read_array(tmp_path / "one.png").shape[:2] == (300, 1050)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    assert b"/Type3" not in (tmp_path / "one.pdf").read_bytes()  # what publishers refuse


def test_panel_is_where_it_was_put() -> None:
    frame = drawing().axes[0].get_window_extent()
    assert (frame.x0, frame.width, frame.height) == pytest.approx((150, 180, 120))
    assert 300 - frame.y1 == pytest.approx(30)


def test_long_caption_is_shortened_and_dollars_stay() -> None:
    ((long, dollars),) = captions(drawing())
    assert long.startswith("a name")
    assert long.endswith("…")
    assert dollars == "$x$ as it is"


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure.png"
    path.write_text("old")
    figure = drawing()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", full)
    with pytest.raises(BadArgumentError, match=r"figure.png: cannot be written: No space left"):
        layout.save(figure, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["figure.png"]
    assert path.read_text() == "old"


def test_target_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(BadArgumentError, match=r"\.png or \.pdf"):
        layout.check_target(tmp_path / "figure.jpg")
    with pytest.raises(BadArgumentError, match="existing folder"):
        layout.check_target(tmp_path / "absent" / "figure.png")


def test_target_is_none_of_the_pictures(tmp_path: Path) -> None:
    picture, other = tmp_path / "pictures" / "a.png", tmp_path / "b.png"
    picture.parent.mkdir()
    picture.write_bytes(b"a picture")
    other.symlink_to(picture)
    for out, pictures in ((picture, picture), (other, picture), (picture, picture.parent)):
        with pytest.raises(BadArgumentError, match=r"expected a file for out that is no input, found .*a\.png"):
            layout.check_target(out, pictures)
    layout.check_target(picture.parent / "figure.png", picture.parent)
    assert picture.read_bytes() == b"a picture"


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    find = PathFinder.find_spec

    def without(name: str, *rest: object) -> object:
        return None if name == "matplotlib" else find(name, *rest)

    monkeypatch.setattr(PathFinder, "find_spec", without)
    with pytest.raises(MissingExtraError, match=r"lamnet-sr\[figures\]"):
        layout.check_target(tmp_path / "figure.png")


def test_balanced_columns() -> None:
    assert [layout.balanced_columns(count, 5) for count in (1, 5, 6, 7, 11)] == [1, 5, 3, 4, 4]
