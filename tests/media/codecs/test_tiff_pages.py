"""Pages of TIFF files: their sizes, depths and reductions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyvips
import tifffile
from PIL import Image

from lamnet import Upscaler
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
