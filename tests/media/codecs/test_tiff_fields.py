"""Fields of a TIFF that a result carries: place on Earth, colours, place on a sheet, descriptions with a size; the rest is said."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import opening, saving
from lamnet.media.codecs import geotiff, sized_texts
from lamnet.media.codecs.sized_texts import Laid
from support.pictures import doubled, gradient

PIXELS = gradient(3)
KEYS = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1)
RATIONAL = 5


def tags(path: Path, page: int = 0) -> dict[int, Any]:
    with tifffile.TiffFile(path) as file:
        return {tag.code: tag.value for tag in file.pages[page].tags}


def with_fields(upscaler: Upscaler, folder: Path, *fields: tuple[int, int, int, Any], **options: Any) -> dict[int, Any]:
    """Return the fields of the result of a picture with these."""
    extra = [(*field, True) for field in fields]
    options = {"photometric": "rgb", "metadata": None, **options}
    tifffile.imwrite(folder / "a.tif", PIXELS, extratags=extra, **options)
    upscaler.file(folder / "a.tif", folder / "b.tif")
    return tags(folder / "b.tif")


def places(found: dict[int, Any], points: np.ndarray) -> np.ndarray:
    """Return where places of a raster lie by its fields, places counted from pixels' corners."""
    points = points - (0.5 if found[geotiff.KEYS][-1] == 2 else 0)
    if matrix := found.get(geotiff.TRANSFORMATION):
        return (np.reshape(matrix, (4, 4)) @ np.c_[points, np.zeros(len(points)), np.ones(len(points))].T).T[:, :2]
    scale, tie = np.array(found[geotiff.PIXEL_SCALE]), np.array(found[geotiff.TIE_POINTS])
    return tie[3:5] + (points - tie[:2]) * scale[:2] * [1, -1]


@pytest.mark.parametrize("raster", [1, 2])
@pytest.mark.parametrize("way", ["scale", "matrix"])
def test_a_result_lies_where_its_source_lies(upscaler: Upscaler, tmp_path: Path, way: str, raster: int) -> None:
    keys = (geotiff.KEYS, 3, 12, (*KEYS, raster))
    scale = (geotiff.PIXEL_SCALE, 12, 3, (10.0, 20.0, 0.0)), (geotiff.TIE_POINTS, 12, 6, (2.0, 3.0, 0.0, 5e5, 4e6, 0.0))
    matrix = (geotiff.TRANSFORMATION, 12, 16, (10.0, 1, 0, 5e5, 2, -20.0, 0, 4e6, 0, 0, 1, 0, 0, 0, 0, 1.0))
    found = with_fields(upscaler, tmp_path, keys, *(scale if way == "scale" else (matrix,)))
    points = np.array([[0, 0], [36, 0], [0, 24], [7, 5]], float)
    np.testing.assert_allclose(places(found, points * 2), places(tags(tmp_path / "a.tif"), points), rtol=0, atol=1e-6)
    assert found[geotiff.KEYS] == keys[3]


def test_other_fields_of_places(upscaler: Upscaler, tmp_path: Path) -> None:
    rational = (0.0, 0.0, 11.5, 17.5, 50.0, 8.0, 100.0, 12.0, 18.0, *range(83))
    known = b'<GDALMetadata>\n  <Item name="STATISTICS_MEAN" sample="0">1</Item>\n  <Item name="A">b</Item>\n</GDALMetadata>\0'
    found = with_fields(
        upscaler, tmp_path, (geotiff.RPC, 12, 92, rational), (geotiff.GDAL_METADATA, 2, len(known), known)
    )
    assert found[geotiff.RPC][:9] == (0, 0, 23.5, 35.5, 50, 8, 100, 24, 36)
    assert found[geotiff.GDAL_METADATA] == '<GDALMetadata>\n  <Item name="A">b</Item>\n</GDALMetadata>'


def test_of_a_turned_picture_places_are_left_out_and_said(upscaler: Upscaler, tmp_path: Path) -> None:
    fields = [(274, 3, 1, 6), (geotiff.PIXEL_SCALE, 12, 3, (1.0, 1.0, 0.0))]
    assert geotiff.PIXEL_SCALE not in with_fields(upscaler, tmp_path, *fields)
    assert opening.open_picture(tmp_path / "a.tif").notes == ("without its place on Earth (GeoTIFF)",)


def test_colours_and_the_place_on_a_sheet(upscaler: Upscaler, tmp_path: Path) -> None:
    white, primaries = (3127, 10000, 329, 1000), (64, 100, 33, 100, 3, 10, 6, 10, 15, 100, 6, 100)
    fields = [(318, RATIONAL, 2, white), (319, RATIONAL, 6, primaries), (286, RATIONAL, 1, (3, 2)), (297, 3, 2, (1, 7))]
    found = with_fields(upscaler, tmp_path, *fields, resolution=(100, 50))
    assert {tag: found[tag] for tag, *_ in fields} == {tag: value for tag, _, _, value in fields}
    assert (found[282], found[283], found[296]) == ((200, 1), (100, 1), 2)


def test_a_resolution_without_a_unit_stays_one(upscaler: Upscaler, tmp_path: Path) -> None:
    found = with_fields(upscaler, tmp_path, resolution=(3, 7), resolutionunit=1)
    assert (found[282], found[283], found[296]) == ((6, 1), (14, 1), 1)
    upscaler.file(tmp_path / "a.tif", tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as out:
        assert out.info.get("dpi", (72, 72))[0] == pytest.approx(72, abs=0.1)


def test_a_resolution_of_another_type_is_left_as_it_is(upscaler: Upscaler, tmp_path: Path) -> None:
    with_fields(upscaler, tmp_path, resolution=(3, 7), resolutionunit=1)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    at = data.index(struct.pack("<HHL", 282, RATIONAL, 1))
    data[at : at + 12] = struct.pack("<HHLL", 282, 1, 3, 0x030201)
    (tmp_path / "a.tif").write_bytes(data)
    upscaler.file(tmp_path / "a.tif", tmp_path / "c.tif")
    assert tags(tmp_path / "c.tif")[283] == (14, 1)


def test_what_no_result_carries_is_said(upscaler: Upscaler, tmp_path: Path) -> None:
    found = with_fields(upscaler, tmp_path, (34377, 7, 4, b"8BIM"), (65001, 3, 1, 7))
    assert {34377, 65001} & set(found) == set()
    assert opening.open_picture(tmp_path / "a.tif").notes == ("without Photoshop's resources, its field 65001",)


def test_what_a_tiff_alone_carries_is_said_of_others(upscaler: Upscaler, tmp_path: Path) -> None:
    with_fields(upscaler, tmp_path, (geotiff.PIXEL_SCALE, 12, 3, (1.0, 1.0, 0.0)), (318, RATIONAL, 2, (1, 3, 1, 3)))
    picture = opening.open_picture(tmp_path / "a.tif")
    assert picture.notes == ()
    assert saving.losses(picture, Path("b.tif")) == ()
    assert saving.losses(picture, Path("b.png")) == ("without its white point, its place on Earth (GeoTIFF)",)


@pytest.mark.parametrize("shape", [(24, 36), (24, 36, 3), (5, 24, 36), (2, 2, 24, 36, 3)])
def test_tifffiles_shape(upscaler: Upscaler, tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    kind = "rgb" if shape[-1] == 3 else "minisblack"
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric=kind, metadata={"axes": "QQYXS"[-len(shape) :], "who": "I"}
    )
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as out:
        [series] = out.series
        height, width = shape.index(24), shape.index(36)
        np.testing.assert_array_equal(series.asarray(), pixels.repeat(2, height).repeat(2, width))
        assert json.loads(out.pages[0].description)["who"] == "I"


def test_a_shape_of_other_pixels_is_left_out_and_said(upscaler: Upscaler, tmp_path: Path) -> None:
    found = with_fields(upscaler, tmp_path, description='{"shape": [7, 9]}')
    assert 270 not in found
    [note] = opening.open_picture(tmp_path / "a.tif").notes
    assert note == "without its description, whose size is no longer true (tifffile's shape)"


def test_ome_xml(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = np.stack([PIXELS[..., 0], PIXELS[..., 1]])
    known = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 3}
    tifffile.imwrite(tmp_path / "a.tif", pixels, ome=True, metadata=known, photometric="minisblack")
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as out:
        np.testing.assert_array_equal(out.series[0].asarray(), pixels.repeat(2, 1).repeat(2, 2))
        assert out.is_ome
        for part in ('SizeX="72"', 'SizeY="48"', 'SizeZ="2"', 'lSizeX="0.25"', 'lSizeY="0.125"', 'lSizeZ="3"'):
            assert part in out.pages[0].description
    picture = opening.open_picture(tmp_path / "a.tif")
    assert saving.losses(picture, Path("b.png")) == ("without its description (OME-XML)",)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ImageJ=1.54f\nunit=micron\nxorigin=18\nyorigin=4.5\n", "ImageJ=1.54f\nunit=micron\nxorigin=36\nyorigin=9\n"),
        ("Scanner\r\n36x24 JPEG Q=70|AppMag = 20|MPP = 0.5|", "Scanner\r\n72x48 JPEG Q=70|AppMag = 20|MPP = 0.25|"),
        ('<OME><Pixels SizeX="36" SizeY="24"/></OME>', '<OME><Pixels SizeX="72" SizeY="48"/></OME>'),
        ('<OME><Pixels SizeX="36" SizeY="25"/></OME>', None),
        ('<OME><Pixels SizeX="36" SizeY="24"/><ROI ID="ROI:0"/></OME>', None),
        ('{"shape": [36, 24]}', None),
        ('{"shape": 24}', None),
    ],
)
def test_texts(before: str, after: str | None) -> None:
    assert sized_texts.kind_of(before, (36, 24))
    assert sized_texts.corrected(before, Laid((36, 24), 1), (72, 48)) == after


@pytest.mark.parametrize(
    "text", ["A house", "36 by 24", "136x24", "ImageJ=1.54f\nunit=micron\n", "{}", '{"shape": ', ""]
)
def test_texts_that_state_no_size(text: str) -> None:
    assert sized_texts.kind_of(text, (36, 24)) is None


def test_the_calibration_of_imagej(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = np.stack([PIXELS[..., 0]] * 3)
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, resolution=(4, 4), metadata={"unit": "um", "spacing": 2})
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as out:
        np.testing.assert_array_equal(out.asarray(), pixels.repeat(2, 1).repeat(2, 2))
        assert out.imagej_metadata["spacing"] == 2
        assert out.pages[0].tags[282].value == (8, 1)
        assert out.pages[0].tags[296].value == 1


def test_a_stack_without_pages_is_refused(tmp_path: Path) -> None:
    description = "ImageJ=1.54f\nimages=5\nslices=5\n"
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", description=description, metadata=None)
    with pytest.raises(
        BadImageError, match=r"a\.tif: expected a page for each picture, found 4 of a stack of ImageJ's"
    ):
        opening.open_picture(tmp_path / "a.tif")


def test_exif_of_other_formats(upscaler: Upscaler, tmp_path: Path) -> None:
    exif = Image.Exif()
    known = {0x000B: "Processor", 0x010F: "Maker", 0xC614: "unique", 0xFDE8: "Owner"}
    for tag, value in known.items():
        exif[tag] = value
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.tif")
    found = tags(tmp_path / "b.tif")
    assert {tag: found[tag] for tag in known} == known
    upscaler.file(tmp_path / "b.tif", tmp_path / "c.tif")
    assert tags(tmp_path / "c.tif")[0x000B] == "Processor"
    assert doubled(doubled(PIXELS)).shape == tifffile.imread(tmp_path / "c.tif").shape
