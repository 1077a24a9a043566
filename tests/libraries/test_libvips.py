"""What libvips 8.18 still cannot do, so that we do it: a test that fails here after an upgrade names code to delete.

Each names the version that is known to end its work-around, "none known" otherwise, and the code.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from support.pictures import gradient

EXIF = Image.Exif()
EXIF[0x010F], EXIF[0xFDE8] = "Maker", "Owner's"  # the second unknown to libexif


def opened(path: Path, **options: Any) -> Any:
    return pyvips.Image.new_from_file(str(path), **options)


def picture() -> Image.Image:
    return Image.fromarray(gradient(3))


def test_libvips_still_reads_no_exif_of_a_tiff(tmp_path: Path) -> None:
    """None known. codecs/tiff.py: `extras`."""
    picture().save(tmp_path / "a.tif", exif=EXIF)
    assert not opened(tmp_path / "a.tif").get_typeof("exif-data")


def test_libvips_still_writes_no_exif_into_a_tiff(tmp_path: Path) -> None:
    """None known. codecs/tiff.py: `add_page`."""
    picture().save(tmp_path / "a.jpg", exif=EXIF)
    opened(tmp_path / "a.jpg").tiffsave(str(tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert "Make" not in file.pages[0].tags


def test_libvips_still_writes_no_pages_of_several_sizes(tmp_path: Path) -> None:
    """None known. codecs/tiff.py: `add_page`."""
    pages = [pyvips.Image.new_from_array(gradient(3, size=(4, side))) for side in (4, 8)]
    joined: Any = pyvips.Image.arrayjoin(pages, across=1)
    joined.set_type(pyvips.GValue.gint_type, "page-height", 4)
    joined.tiffsave(str(tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert {page.shape[1] for page in file.pages} == {8}


def test_libvips_still_refuses_an_orientation_that_does_not_exist(tmp_path: Path) -> None:
    """None known. codecs/tiff.py: `_mended`."""
    tifffile.imwrite(tmp_path / "a.tif", gradient(3), extratags=[(274, 3, 1, 9, True)], metadata=None)
    with pytest.raises(pyvips.Error):
        opened(tmp_path / "a.tif", fail_on="error").avg()


def test_libvips_still_takes_floats_with_white_at_0_for_black_at_0(tmp_path: Path) -> None:
    """None known. codecs/spaces.py: "white at 0"."""
    tifffile.imwrite(tmp_path / "a.tif", gradient(1, np.float32)[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(opened(tmp_path / "a.tif").numpy(), gradient(1, np.float32)[..., 0])


def test_libvips_still_takes_ycbcr_without_jpeg_for_rgb(tmp_path: Path) -> None:
    """None known. codecs/spaces.py: "YCbCr"."""
    picture().convert("YCbCr").save(tmp_path / "a.tif", compression="tiff_lzw")
    assert np.abs(opened(tmp_path / "a.tif").numpy().astype(int) - gradient(3)).mean() > 10


def png_with(path: Path, *chunks: tuple[bytes, bytes], behind: bool = False) -> None:
    picture().save(path)
    data = path.read_bytes()
    at = len(data) - 12 if behind else 33
    made = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    path.write_bytes(data[:at] + made + data[at:])


def test_libvips_still_sees_no_colours_by_number_in_a_png(tmp_path: Path) -> None:
    """libvips 8.19. codecs/png.py: `colours` in `extras`, `colours_chunk`."""
    png_with(tmp_path / "a.png", (b"cICP", bytes((9, 16, 0, 1))))
    picture().save(tmp_path / "b.png")
    assert set(opened(tmp_path / "a.png").get_fields()) == set(opened(tmp_path / "b.png").get_fields())


def test_libvips_still_reads_no_exif_among_packed_texts(tmp_path: Path) -> None:
    """libvips 8.19. codecs/png.py: `_raw_exif`."""
    block, info = EXIF.tobytes(), PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    picture().save(tmp_path / "a.png", pnginfo=info)
    assert not opened(tmp_path / "a.png").get_typeof("exif-data")


def test_libvips_still_sees_no_exif_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    """None known. codecs/png.py: `blobs` in `extras`."""
    png_with(tmp_path / "a.png", (b"eXIf", EXIF.tobytes().removeprefix(b"Exif\0\0")), behind=True)
    assert not opened(tmp_path / "a.png").get_typeof("exif-data")


def test_libvips_still_packs_xmp_in_a_png(tmp_path: Path) -> None:
    """None known. codecs/png.py: `xmp_chunk`."""
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    picture().save(tmp_path / "a.webp", xmp=packet)
    opened(tmp_path / "a.webp").pngsave(str(tmp_path / "a.png"))
    assert packet not in (tmp_path / "a.png").read_bytes()


def test_libvips_still_gives_the_first_frame_of_a_png_alone(tmp_path: Path) -> None:
    """libvips 8.19 writes animated PNGs; reading none known. codecs/png.py: `hidden_frames`."""
    picture().save(tmp_path / "a.png", save_all=True, append_images=[Image.fromarray(255 - gradient(3))])
    assert opened(tmp_path / "a.png").get_n_pages() == 1


def test_libvips_still_sees_no_colours_by_number_in_an_avif(tmp_path: Path) -> None:
    """libvips 8.19. codecs/avif.py: `_numbered_colours`."""
    picture().save(tmp_path / "a.avif")
    assert b"colrnclx" in (tmp_path / "a.avif").read_bytes()
    assert not [name for name in opened(tmp_path / "a.avif").get_fields() if "cicp" in name or "nclx" in name]


def test_libvips_still_gives_the_first_frame_of_an_avif_alone(tmp_path: Path) -> None:
    """None known. codecs/avif.py: `hidden_frames`."""
    picture().save(tmp_path / "a.avif", save_all=True, append_images=[Image.fromarray(255 - gradient(3))])
    image: Any = pyvips.Image.heifload(str(tmp_path / "a.avif"))
    assert image.get_n_pages() == 1


def test_libvips_still_does_not_divide_colours_by_alpha(tmp_path: Path) -> None:
    """None known. codecs/avif.py: `premultiplied`."""
    pixels = np.full((32, 32, 4), (200, 100, 50, 128), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.avif", quality=100, subsampling="4:4:4", alpha_premultiplied=True)
    assert opened(tmp_path / "a.avif").numpy()[..., 0].max() < 150


def test_libvips_still_lengthens_short_delays(tmp_path: Path) -> None:
    """None known. codecs/webp.py: `_put_delays`."""
    frames = [Image.fromarray(np.roll(gradient(3), i, 1)) for i in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=[5, 10, 20])
    opened(tmp_path / "a.webp", n=-1).webpsave(str(tmp_path / "b.webp"))
    assert opened(tmp_path / "b.webp", n=-1).get("delay") == [100, 100, 20]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_libvips_still_loses_exif_that_it_does_not_know(tmp_path: Path, suffix: str) -> None:
    """None known. metadata.py: `corrected_exif`, exif.py; codecs/avif.py: `_with_room_for`."""
    picture().save(tmp_path / "a.jpg", exif=EXIF)
    opened(tmp_path / "a.jpg").write_to_file(str(tmp_path / f"b{suffix}"))
    found = Image.open(tmp_path / f"b{suffix}").getexif()
    assert found[0x010F] == "Maker"
    assert 0xFDE8 not in found


def test_libvips_still_loses_comments_and_films_of_a_jpeg(tmp_path: Path) -> None:
    """None known. codecs/jpeg.py (`extras`, `_insert_segments`, `_Trailer`), jpeg_segments.py."""
    picture().save(tmp_path / "a.jpg", comment="kept")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + b"a film")
    opened(tmp_path / "a.jpg").jpegsave(str(tmp_path / "b.jpg"))
    data = (tmp_path / "b.jpg").read_bytes()
    assert b"kept" not in data
    assert b"a film" not in data


def test_libvips_still_takes_a_cut_gif_for_a_whole_one(tmp_path: Path) -> None:
    """None known. codecs/gif.py: `layout_of`."""
    file = io.BytesIO()
    frames = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (64, 80, 3), np.uint8)) for i in range(3)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    (tmp_path / "a.gif").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    cut = opened(tmp_path / "a.gif", n=-1, fail_on="truncated")
    assert (cut.get_n_pages(), cut.numpy().shape[0]) == (2, 128)  # the second is not whole


def test_libvips_still_shows_black_where_no_frame_of_a_gif_is(tmp_path: Path) -> None:
    """None known. codecs/gif.py: `_with_transparency`."""
    palette, frame = bytes([255, 0, 0, 0, 0, 255]), struct.pack("<BHHHHB", 0x2C, 2, 1, 1, 1, 0)
    data = b"GIF89a" + struct.pack("<HHBBB", 8, 6, 0xF0, 0, 0) + palette + frame + b"\x02\x02\x44\x01\x00;"
    (tmp_path / "a.gif").write_bytes(data)
    pixels = opened(tmp_path / "a.gif").numpy()
    assert pixels.shape == (6, 8, 3)
    assert (pixels[0, 0] == 0).all()


def test_libvips_still_marks_no_webp_as_transparent_whose_frames_are_opaque_parts(tmp_path: Path) -> None:
    """None known; it is libwebp's. codecs/webp.py: `_set_flag` in `save`."""
    frames = np.zeros((60, 30, 4), np.uint8)
    for number in range(3):
        frames[20 * number + 4 : 20 * number + 14, 2 + 6 * number : 12 + 6 * number] = 255, 0, 0, 255
    image: Any = pyvips.Image.new_from_array(frames).copy(interpretation="srgb")
    image.set_type(pyvips.GValue.gint_type, "page-height", 20)
    image.webpsave(str(tmp_path / "a.webp"))
    data = (tmp_path / "a.webp").read_bytes()
    assert data[12:16] == b"VP8X"
    assert not data[20] & 0x10


def test_libvips_still_leaves_out_xmp_that_is_longer_than_a_segment(tmp_path: Path) -> None:
    """None known. codecs/jpeg.py: the refusal in `save`."""
    picture().save(tmp_path / "a.webp", xmp=b"x" * 70_000)
    opened(tmp_path / "a.webp").jpegsave(str(tmp_path / "a.jpg"))
    assert b"xxxx" not in (tmp_path / "a.jpg").read_bytes()


def test_libvips_still_takes_a_resolution_without_a_unit_for_one_in_millimetres(tmp_path: Path) -> None:
    """None known. codecs/tiff.py: `load`."""
    tifffile.imwrite(tmp_path / "a.tif", gradient(3), resolution=(3, 7), resolutionunit=1)
    assert (opened(tmp_path / "a.tif").xres, opened(tmp_path / "a.tif").yres) == (3, 7)


def test_pyvips_still_fails_at_a_keyword_of_other_letters(tmp_path: Path) -> None:
    """None known. metadata.py: `_fields_of`."""
    png_with(tmp_path / "a.png", (b"tEXt", "Größe\0klein".encode("latin-1")))
    with pytest.raises(UnicodeDecodeError):
        opened(tmp_path / "a.png").get_fields()


def test_libvips_still_counts_no_more_than_10_000_pages() -> None:
    """None known. media/opening.py: `_pages`."""
    image = pyvips.Image.black(1, 1).copy()
    image.set_type(pyvips.GValue.gint_type, "n-pages", 10_001)
    assert image.get_n_pages() == 1


def test_libvips_still_puts_12_bits_above_zeros(tmp_path: Path) -> None:
    """None known. media/opening.py: `_stretched`."""
    white = pyvips.Image.new_from_array(np.full((32, 32, 3), 65535, np.uint16), interpretation="rgb16")
    white.heifsave(str(tmp_path / "a.avif"), compression="av1", bitdepth=12, lossless=True)
    assert opened(tmp_path / "a.avif").max() == 65520
