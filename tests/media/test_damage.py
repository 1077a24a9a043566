"""Damaged files: refused in one line, or whole; never black where the damage is."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from lamnet.base.errors import BadImageError
from lamnet.media import arrays, opening
from lamnet.media import picture as pictures_

NOISE = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
TIFFS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "strips": {"rowsperstrip": 4},
    "deflated": {"compression": "zlib"},
    "tiles": {"tile": (16, 16)},
    "deflated tiles": {"tile": (16, 16), "compression": "zlib"},
    "planes": {"planarconfig": "separate"},
    "BigTIFF": {"bigtiff": True, "compression": "zlib"},
}


def tiff_of(**options: Any) -> bytes:
    file = io.BytesIO()
    pixels = NOISE.transpose(2, 0, 1) if "planarconfig" in options else NOISE
    tifffile.imwrite(file, pixels, photometric="rgb", metadata=None, **options)
    return file.getvalue()


def picture_of(kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, kind, **options)
    return file.getvalue()


def read(path: Path, damaged: bool | None = None) -> np.ndarray:
    picture = opening.open_picture(path, damaged=damaged)
    return pictures_.read(picture, 0, 0, 0, 64, 80)


@pytest.mark.parametrize("cut", [1, 200, 2000, 8000])
@pytest.mark.parametrize("layout", TIFFS)
def test_a_cut_tiff_is_refused(tmp_path: Path, layout: str, cut: int) -> None:
    data = tiff_of(**TIFFS[layout])
    (tmp_path / "a.tif").write_bytes(data)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), NOISE)
    (tmp_path / "a.tif").write_bytes(data[:-cut])
    with pytest.raises(BadImageError, match=r"a\.tif: expected a (whole )?picture"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_spoilt_pixels_of_a_tiff_are_refused(tmp_path: Path, tile: tuple[int, int] | None) -> None:
    data = bytearray(tiff_of(compression="zlib", tile=tile))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(BadImageError, match=r"a\.tif: expected a whole picture"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_a_compression_that_there_is_none_of_is_named(tmp_path: Path, tile: tuple[int, int] | None) -> None:
    data = tiff_of(tile=tile)
    field = struct.pack("<HHLH", 259, 3, 1, 1)
    assert field in data
    (tmp_path / "a.tif").write_bytes(data.replace(field, struct.pack("<HHLH", 259, 3, 1, 65001)))
    with pytest.raises(BadImageError, match=r"a\.tif: expected a whole picture: .*65001"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("cut", [40, 200, 2000])
@pytest.mark.parametrize("kind", ["lzma", "zstd", "planes in tiles", "12 bits"])
def test_a_cut_tiff_of_a_rarer_kind_is_refused(tmp_path: Path, kind: str, cut: int) -> None:
    file = io.BytesIO()
    if kind == "12 bits":
        tifffile.imwrite(
            file, NOISE[..., 0].astype(np.uint16), photometric="minisblack", bitspersample=12, metadata=None
        )
    elif kind == "planes in tiles":
        planes = NOISE.transpose(2, 0, 1).copy()
        tifffile.imwrite(file, planes, photometric="rgb", planarconfig="separate", tile=(16, 16), metadata=None)
    else:
        tifffile.imwrite(file, NOISE, photometric="rgb", compression=kind, metadata=None)
    (tmp_path / "a.tif").write_bytes(file.getvalue()[:-cut])
    with pytest.raises(BadImageError, match=r"a\.tif: expected a (whole )?picture"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", [0, 9, 65535])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_an_orientation_that_there_is_none_of_is_no_damage(
    tmp_path: Path, orientation: int, order: Any, big: bool
) -> None:
    tags = [(274, 3, 1, orientation, True)]
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=order, bigtiff=big) as file:
        for _ in range(2):
            file.write(NOISE, photometric="rgb", extratags=tags, metadata=None, tile=(16, 16))
    picture = opening.open_picture(tmp_path / "a.tif")
    for page in range(2):
        np.testing.assert_array_equal(pictures_.read(picture, page, 0, 0, 64, 80), NOISE)


def test_an_endless_chain_of_pages_ends(tmp_path: Path) -> None:
    data = bytearray(tiff_of(extratags=[(274, 3, 1, 9, True)]))
    first = struct.unpack_from("<L", data, 4)[0]
    link = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<L", data, link, first)
    (tmp_path / "a.tif").write_bytes(data)
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.tif"), NOISE)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.97])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 95}),
        ("JPEG", {"progressive": True}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {}),
        ("AVIF", {}),
        ("GIF", {}),
        ("GIF", {"save_all": True, "append_images": [Image.fromarray(255 - NOISE), Image.fromarray(NOISE // 2)]}),
        ("BMP", {}),
    ],
)
def test_other_cut_pictures_are_refused(tmp_path: Path, kind: str, options: dict[str, Any], share: float) -> None:
    path, data = tmp_path / f"a.{kind.lower()}", picture_of(kind, **options)
    path.write_bytes(data)
    assert read(path).shape[:2] == (64, 80)
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadImageError, match="expected a"):
        read(path)


def whole_and_cut(path: Path, share: float, **options: Any) -> np.ndarray:
    """Write a part of a file, and return the pixels of all of it."""
    kind = "JPEG" if path.suffix == ".jpg" else "PNG"
    data = picture_of(kind, **options)
    path.write_bytes(data[: int(len(data) * share)])
    return np.asarray(Image.open(io.BytesIO(data)))


CUT: list[tuple[str, dict[str, Any], int]] = [
    ("a.png", {}, 0),
    ("a.jpg", {"quality": 90, "subsampling": 0}, 3),
    ("a.jpg", {"quality": 90, "optimize": True}, 3),
]


@pytest.mark.parametrize(("name", "options", "tolerance"), CUT)
def test_what_there_is_of_a_cut_picture(tmp_path: Path, name: str, options: dict[str, Any], tolerance: int) -> None:
    expected = whole_and_cut(tmp_path / name, 0.6, **options)
    with pytest.raises(
        BadImageError, match=rf"{name}: expected a whole picture \(--damaged takes what there is\), found"
    ):
        read(tmp_path / name, damaged=False)
    with pytest.raises(
        BadImageError, match=rf"{name}: expected a whole picture, found"
    ):  # without a command there is no option
        read(tmp_path / name)
    found = opening.open_picture(tmp_path / name, damaged=True)
    [note] = found.notes
    assert note.startswith("its file is damaged: the last ")
    lost = int(note.split()[6])
    assert 12 < lost < 40
    pixels = pictures_.read(found, 0, 0, 0, 64, 80)
    np.testing.assert_allclose(pixels[:24].astype(int), expected[:24], atol=tolerance)
    assert (pixels[64 - lost :] == pixels[-1, -1]).all()


def test_a_small_png_is_there_up_to_the_cut(tmp_path: Path) -> None:
    """Though libpng reads 8 KB at a time, which is more than there is."""
    file = io.BytesIO()
    Image.fromarray(NOISE[:24, :30]).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue()[: len(file.getvalue()) * 5 // 6])
    found = opening.open_picture(tmp_path / "a.png", damaged=True)
    assert found.notes == ("its file is damaged: the last 3 of 24 rows are missing, and filled in",)
    np.testing.assert_array_equal(pictures_.read(found, 0, 0, 0, 20, 30), NOISE[:20, :30])
    (tmp_path / "a.png").write_bytes(file.getvalue()[:45])
    with pytest.raises(BadImageError, match=r"a\.png: expected a part of a picture, found none of its rows"):
        opening.open_picture(tmp_path / "a.png", damaged=True)


def test_a_progressive_picture_is_there_coarsely(tmp_path: Path) -> None:
    expected = whole_and_cut(tmp_path / "a.jpg", 0.5, progressive=True)
    found = opening.open_picture(tmp_path / "a.jpg", damaged=True)
    assert found.notes == ("its file is damaged: parts of the picture are coarse, wrong or filled in",)
    pixels = pictures_.read(found, 0, 0, 0, 64, 80).astype(float)
    assert np.corrcoef(pixels.ravel(), expected.ravel())[0, 1] > 0.3


def test_spoilt_pixels_of_a_png_end_the_picture(tmp_path: Path) -> None:
    whole_and_cut(tmp_path / "a.png", 1)
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(BadImageError, match="--damaged takes"):
        read(tmp_path / "a.png", damaged=False)
    [note] = opening.open_picture(tmp_path / "a.png", damaged=True).notes
    assert "rows are missing" in note


def test_whole_pictures_are_no_others_with_damaged(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        expected = whole_and_cut(tmp_path / name, 1)
        found = opening.open_picture(tmp_path / name, damaged=True)
        assert found.notes == ()
        np.testing.assert_allclose(pictures_.read(found, 0, 0, 0, 64, 80), expected, atol=3)


def test_what_no_decoder_goes_on_from_is_refused(tmp_path: Path) -> None:
    data = bytearray(picture_of("JPEG"))
    data[data.index(b"\xff\xc4") + 5] = 0xFF  # a table with more codes than there can be
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(BadImageError, match=r"a\.jpg: expected a picture"):
        opening.open_picture(tmp_path / "a.jpg", damaged=True)


@pytest.mark.parametrize(("name", "share"), [("a.png", 0.001), ("a.jpg", 0.01), ("a.tif", 0.5)])
def test_without_a_header_or_in_other_formats_nothing_is_there(tmp_path: Path, name: str, share: float) -> None:
    data = tiff_of() if name == "a.tif" else picture_of(name.replace("a.jpg", "JPEG").replace("a.png", "PNG"))
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadImageError, match=rf"{name}: (?!.*--damaged)"):
        pictures_.read(opening.open_picture(tmp_path / name, damaged=True), 0, 0, 0, 64, 80)
