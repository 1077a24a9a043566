"""Pages of TIFF files: their sizes, depths and reductions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import opening
from lamnet.media import picture as pictures_
from support.pictures import doubled, gradient


def test_pages_of_a_tiff(upscaler: Upscaler, tmp_path: Path) -> None:
    pages = [gradient(3), gradient(3)[::-1], gradient(3)[:, ::-1]]
    first, *others = map(Image.fromarray, pages)
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    out = Image.open(tmp_path / "b.tif")
    assert out.n_frames == 3  # pyright: ignore
    for number, page in enumerate(pages):
        out.seek(number)
        np.testing.assert_array_equal(np.asarray(out), doubled(page))


def test_a_pyramid_is_one_picture(upscaler: Upscaler, tmp_path: Path) -> None:
    image = pyvips.Image.new_from_array(gradient(3, size=(75, 90)), interpretation="srgb")
    image.tiffsave(str(tmp_path / "a.tif"), pyramid=True, tile=True, tile_width=16, tile_height=16)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    out = pyvips.Image.new_from_file(str(tmp_path / "b.tif"))
    assert (out.width, out.height, out.get_n_pages()) == (180, 150, 1)


def test_pages_of_several_sizes_and_depths(upscaler: Upscaler, tmp_path: Path) -> None:
    pages = [gradient(3), gradient(1, np.uint16, (10, 50)), gradient(4)[:12, :18], gradient(3, np.float32, (7, 5))]
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=True) as writer:
        for number, page in enumerate(pages):
            extra = ["unassalpha"] if page.shape[2] == 4 else None
            colour = "minisblack" if page.shape[2] == 1 else "rgb"
            squeezed = page.squeeze()
            writer.write(squeezed, photometric=colour, extrasamples=extra, description=f"page {number}", metadata=None)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as out:
        assert len(out.pages) == len(pages)
        for number, (got, page) in enumerate(zip(out.pages, pages, strict=True)):
            np.testing.assert_allclose(got.asarray().reshape(doubled(page).shape), doubled(page), atol=1e-6)
            assert got.asarray().dtype == page.dtype
            assert got.tags["ImageDescription"].value == f"page {number}"
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif", "b.tif"]


def test_a_second_page_of_half_the_size_is_a_page(upscaler: Upscaler, tmp_path: Path) -> None:
    first, second = Image.fromarray(gradient(3)), Image.fromarray(gradient(3)[:12, :18])
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as out:
        assert [page.shape for page in out.pages] == [(48, 72, 3), (24, 36, 3)]


RAW_FILES: dict[str, list[dict[str, Any]]] = {
    "a preview before": [{"subfiletype": 1, "subifds": 1}, {"size": (64, 64)}],
    "a mosaic": [{"photometric": "cfa"}],
    "a linear DNG": [{"photometric": 34892, "size": (16, 16, 3)}],
    "a mosaic below": [{"subifds": 1}, {"photometric": "cfa"}],
    "a DNG": [{"extratags": [(50706, 1, 4, b"\1\4\0\0", True)]}],
}


@pytest.mark.parametrize("kind", RAW_FILES)
def test_raw_files_of_cameras_are_refused_whatever_their_name(tmp_path: Path, kind: str) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in RAW_FILES[kind]:
            options = {"photometric": "minisblack", "metadata": None, **page}
            pixels = np.zeros(options.pop("size", (16, 16)), np.uint16)
            if options["photometric"] == "cfa":
                options["extratags"] = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, b"\0\1\1\2", True)]
            writer.write(pixels, **options)
    with pytest.raises(BadImageError, match=r"a\.tif: expected .*(raw data|preview of one of 64 x 64)"):
        opening.open_picture(tmp_path / "a.tif")


@pytest.mark.thorough
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_many_pages(upscaler: Upscaler, tmp_path: Path, order: Any, big: bool) -> None:
    pages = np.random.default_rng(0).integers(0, 65536, (40, 5, 6), np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=order, bigtiff=big) as writer:
        for number, page in enumerate(pages):
            tile = (16, 16) if number % 2 else None
            writer.write(page, photometric="minisblack", description=f"page {number}", metadata=None, tile=tile)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as out:
        assert len(out.pages) == 40
        for number, page in enumerate(pages):
            np.testing.assert_array_equal(out.pages[number].asarray(), doubled(page[..., None])[..., 0])
            assert out.pages[number].tags["ImageDescription"].value == f"page {number}"


@pytest.mark.slow
def test_ten_thousand_pages(upscaler: Upscaler, tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for number in range(10_001):
            writer.write(np.full((2, 2), number % 256, np.uint8), photometric="minisblack", metadata=None)
    picture = opening.open_picture(tmp_path / "a.tif")
    assert len(picture.pages) == 10_001
    assert pictures_.read(picture, 10_000, 0, 0, 2, 2)[0, 0, 0] == 10_000 % 256
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as out:
        assert len(out.pages) == 10_001
        for number in (0, 4_321, 10_000):
            np.testing.assert_array_equal(out.pages[number].asarray(), np.full((4, 4), number % 256))


@pytest.mark.parametrize("below", [False, True])
def test_smaller_versions_are_said_to_be_lost(tmp_path: Path, below: bool) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(pixels, photometric="rgb", subifds=int(below), metadata=None)
        file.write(pixels[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    assert opening.open_picture(tmp_path / "a.tif").notes == ("without 1 smaller version of its pictures",)
