"""A result's rows kept on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamnet.base.errors import BadImageError
from lamnet.media import canvas as canvas_files
from lamnet.media.canvas import canvas_for
from lamnet.media.vips import pixels_of
from support.pictures import gradient


def test_pages_of_any_size_and_depth_come_back(tmp_path: Path) -> None:
    pages = [gradient(3), gradient(1, np.uint16, (10, 50)), gradient(4, np.float32, (7, 5))]
    with canvas_for(tmp_path / "a.tif") as canvas:
        for page in pages:
            canvas.begin_page(page.shape[1], page.shape[2], page.dtype.name)
            for top in range(0, len(page), 4):
                canvas.append(page[top : top + 4])
        assert [path.name for path in tmp_path.iterdir()] == [".a.tif.rows.partial"]
        for image, page in zip(canvas.pages(), pages, strict=True):
            np.testing.assert_array_equal(pixels_of(image), page)
    assert not list(tmp_path.iterdir())


def test_pages_of_one_shape_are_one_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system lets a process open 256 files or so: an animation may have more frames."""
    monkeypatch.setattr(canvas_files, "_MOST_AT_ONCE", 100 * 12)
    before = len(list(Path("/dev/fd").iterdir()))
    with canvas_for(tmp_path / "a.tif") as canvas:
        for number in range(250):
            canvas.begin_page(4, 1, "uint8")
            canvas.append(np.full((3, 4, 1), number, np.uint8))
        pages = canvas.pages()
        assert [int(pixels_of(page).max()) for page in pages] == list(range(250))
        assert len(list(Path("/dev/fd").iterdir())) < before + 20


def test_nothing_stays_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match=r"a\.png: cannot be written: disk full"), canvas_for(tmp_path / "a.png"):
        raise OSError(28, "disk full")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(BadImageError, match=r"a\.png: cannot be written: No such file"),
        canvas_for(tmp_path / "no" / "a.png"),
    ):
        pass


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"kept")
    (tmp_path / ".a.png.rows.partial").symlink_to(tmp_path / "precious")
    with canvas_for(tmp_path / "a.png") as canvas:
        canvas.begin_page(4, 1, "uint8")
        canvas.append(np.zeros((2, 4, 1), np.uint8))
    assert (tmp_path / "precious").read_bytes() == b"kept"
