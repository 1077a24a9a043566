"""Bands of a TIFF that are neither colours nor alpha go through the network by themselves and stay what they were."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import opening
from support.pictures import doubled, gradient

NONE, ALPHA = "unspecified", "unassalpha"
COLOURS = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "separated": 4}


def bands(count: int, dtype: Any = np.uint8) -> NDArray[Any]:
    """Bands that differ, the first three those of a gradient."""
    whole = np.dstack([gradient(4, dtype), np.roll(gradient(4, dtype), 5, 1)])[..., :count]
    if count > 3:
        whole[2:6, 3:9, 3] = 0  # an alpha would hide what is below
    return whole


def read(path: Path) -> tuple[NDArray[Any], tuple[int, ...], str]:
    """Return pixels, kinds of the bands beside the colours, and the photometric."""
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        return page.asarray(), tuple(map(int, page.extrasamples)), page.photometric.name


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("colours", "kinds"),
    [
        ("minisblack", [NONE]),
        ("minisblack", [NONE] * 2),
        ("minisblack", [NONE] * 5),
        ("minisblack", [ALPHA, NONE]),
        ("rgb", [NONE]),
        ("rgb", [NONE, ALPHA]),
        ("rgb", [ALPHA, NONE]),
        ("rgb", [NONE] * 4),
    ],
)
def test_bands_stay_what_they_were(
    upscaler: Upscaler, tmp_path: Path, dtype: Any, colours: str, kinds: list[str]
) -> None:
    pixels = bands(COLOURS[colours] + len(kinds), dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=colours, extrasamples=kinds)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    found, found_kinds, found_colours = read(tmp_path / "b.tif")
    assert (found_colours, found_kinds) == (colours.upper(), tuple(2 * (kind == ALPHA) for kind in kinds))
    plain = [band for band in range(pixels.shape[2]) if ALPHA not in kinds or band >= COLOURS[colours]]
    np.testing.assert_allclose(found[..., plain], doubled(pixels)[..., plain], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_white_at_0(upscaler: Upscaler, tmp_path: Path, dtype: Any) -> None:
    pixels = bands(2, dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite", extrasamples=[NONE])
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    found, kinds, _ = read(tmp_path / "b.tif")
    assert kinds == (0,)
    white = 255 if dtype == np.uint8 else 1
    np.testing.assert_allclose(found[..., 0], doubled(white - pixels[..., :1])[..., 0], atol=1e-6)
    np.testing.assert_allclose(found[..., 1], doubled(pixels[..., 1:])[..., 0], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inks_become_rgb_and_the_spot_colour_stays(upscaler: Upscaler, tmp_path: Path, dtype: Any) -> None:
    pixels = bands(5, dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="separated", extrasamples=[NONE])
    tifffile.imwrite(tmp_path / "plain.tif", np.ascontiguousarray(pixels[..., :4]), photometric="separated")
    for name in ("a", "plain"):
        upscaler.file(tmp_path / f"{name}.tif", tmp_path / f"{name}2.tif")
    found, kinds, colours = read(tmp_path / "a2.tif")
    assert (kinds, colours) == ((0,), "RGB")
    np.testing.assert_array_equal(found[..., :3], read(tmp_path / "plain2.tif")[0])
    np.testing.assert_array_equal(found[..., 3], doubled(pixels[..., 4:])[..., 0])


def with_palette(pixels: NDArray[np.uint8], table: NDArray[np.uint16]) -> bytes:
    """Return an uncompressed TIFF of indices with one more band."""
    height, width, _ = pixels.shape
    at = 8 + pixels.size
    fields = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 2, 8 | 8 << 16),
        (259, 3, 1, 1),
        (262, 3, 1, 3),
        (273, 4, 1, 8),
        (277, 3, 1, 2),
        (278, 3, 1, height),
        (279, 4, 1, pixels.size),
        (320, 3, table.size, at),
        (338, 3, 1, 0),
    ]
    directory = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHLL", *field) for field in fields) + bytes(4)
    head = struct.pack("<2sHL", b"II", 42, at + table.nbytes)
    return head + pixels.tobytes() + table.astype("<u2").tobytes() + directory


def test_a_palette_with_one_more(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = bands(2)
    table = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 7)]).astype(np.uint16) * 257
    (tmp_path / "a.tif").write_bytes(with_palette(pixels, table))
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    found, kinds, colours = read(tmp_path / "b.tif")
    assert (kinds, colours) == ((0,), "RGB")
    coloured = (table[:, pixels[..., 0]] >> 8).astype(np.uint8).transpose(1, 2, 0)
    np.testing.assert_array_equal(found, doubled(np.dstack([coloured, pixels[..., 1]])))


def test_planes_pages_and_a_turned_picture(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = bands(5)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    turned = [(274, 3, 1, 6, True)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(gradient(3), photometric="rgb", metadata=None)
        options: dict[str, Any] = {"photometric": "rgb", "extrasamples": [NONE] * 2, "metadata": None}
        writer.write(planes, planarconfig="separate", extratags=turned, **options)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as out:
        first, second = out.pages
        np.testing.assert_array_equal(first.asarray(), doubled(gradient(3)))
        np.testing.assert_array_equal(second.asarray(), doubled(np.rot90(pixels, -1)))
        assert (first.tags.get(338), len(second.extrasamples)) == (None, 2)


def test_other_formats_are_refused_by_what_they_lack(upscaler: Upscaler, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", bands(4), photometric="rgb", extrasamples=[NONE])
    assert opening.open_picture(tmp_path / "a.tif").notes == ()
    message = "expected a format that holds bands that are neither colours nor alpha, found .png"
    with pytest.raises(BadImageError, match=message):
        upscaler.file(tmp_path / "a.tif", tmp_path / "b.png")


def test_one_band_of_which_nothing_is_said_is_an_alpha(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", bands(4), photometric="rgb", extrasamples=[ALPHA])
    data = bytearray((tmp_path / "a.tif").read_bytes())
    at = data.index(struct.pack("<HHL", 338, 3, 1))
    data[at : at + 2] = struct.pack("<H", 337)  # another field's number, so that none says it
    (tmp_path / "a.tif").write_bytes(data)
    [page] = opening.open_picture(tmp_path / "a.tif").pages
    assert page.bands == 4
