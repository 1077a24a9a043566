"""Sources of TIFF: depths, colours, layouts and pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import tifffile
from numpy.typing import NDArray
from PIL import ImageCms

from frozen.sources.makers import (
    RECORDS,
    XMP,
    Maker,
    by_pillow,
    by_tifffile,
    by_vips,
    exif,
    picture,
    profile,
    scene,
)


def _tiff_pages(path: Path) -> None:
    pages = [scene(3), scene(1, np.uint16, (6, 15)), scene(4, size=(7, 8)), scene(3, np.float32, (7, 5))]
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number, page in enumerate(pages):
            extra = ["unassalpha"] if page.shape[2] == 4 else None
            colour, text = "minisblack" if page.shape[2] == 1 else "rgb", f"page {number}"
            writer.write(page.squeeze(), photometric=colour, extrasamples=extra, description=text, metadata=None)


def _tiff_lab(kind: int, bits: int) -> Maker:
    """Photometric 8, CIELab with signed a and b, or 9, ICCLab."""

    def make(path: Path) -> None:
        spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        lab: Any = np.asarray(ImageCms.profileToProfile(picture(), *spaces, renderingIntent=1, outputMode="LAB"))
        lab = np.concatenate([lab[..., :1], lab[..., 1:].view(np.int8)], -1, dtype=np.float64)
        lightest = 65280 / 255 if kind == 9 and bits == 16 else (2**bits - 1) / 255
        chroma = (lab[..., 1:] + (0 if kind == 8 else 128)) * 2 ** (bits - 8)
        stored = np.concatenate([lab[..., :1] * lightest, chroma], -1).round().astype(np.int64)
        numbers = stored.astype(np.uint8 if bits == 8 else np.uint16)
        tifffile.imwrite(path, numbers, photometric=kind, metadata=None)

    return make


def _tiff_all(path: Path) -> None:
    """EXIF with place, XMP, IPTC, a profile, orientation and resolution."""
    tags = exif(6)
    tags[700], tags[33723], tags[34675] = XMP, RECORDS, profile("p3")
    for directory in (0x8769, 0x8825):
        tags[directory] = tags.get_ifd(directory)
    picture().save(path, exif=tags, dpi=(300, 150))


def _tiff_pyramid(path: Path) -> None:
    image = pyvips.Image.new_from_array(scene(1, size=(20, 33)), interpretation="b-w")
    image.tiffsave(str(path), pyramid=True, tile=True, tile_width=16, tile_height=16)


def _tiff_odd(change: Callable[[NDArray[Any]], NDArray[Any]], bands: int = 3, dtype: type = np.float32) -> Maker:
    def make(path: Path) -> None:
        pixels = change(scene(bands, dtype))
        tifffile.imwrite(path, pixels, photometric="rgb" if bands > 2 else "minisblack", metadata=None)

    return make


def _with_nan(pixels: NDArray[Any]) -> NDArray[Any]:
    pixels[3, 3] = np.nan
    return pixels


TIFF: dict[str, Maker] = {
    **{f"tiff_u8_{bands}.tif": by_tifffile(bands) for bands in (1, 2, 3, 4)},
    **{f"tiff_u16_{bands}.tif": by_tifffile(bands, np.uint16) for bands in (1, 2, 3, 4)},
    **{f"tiff_f32_{bands}.tif": by_tifffile(bands, np.float32) for bands in (1, 2, 3, 4)},
    "tiff_f64.tiff": by_tifffile(3, np.float64),
    "tiff_f16.tif": by_tifffile(3, np.float16),
    "tiff_u32.tif": by_tifffile(1, np.uint32),
    "tiff_s16.tif": by_tifffile(1, np.int16),
    "tiff_bright.tif": _tiff_odd(lambda pixels: pixels * 7.5 - 1),
    "tiff_nan.tif": _tiff_odd(_with_nan),
    "tiff_1bit.tif": by_pillow(lambda: picture(1).convert("1")),
    "tiff_palette.tif": by_pillow(lambda: picture().quantize(9)),
    "tiff_white_0.tif": by_tifffile(1, photometric="miniswhite"),
    "tiff_white_0_f32.tif": by_tifffile(1, np.float32, photometric="miniswhite"),
    "tiff_cmyk.tif": by_pillow(lambda: picture().convert("CMYK")),
    "tiff_cmyk_u16.tif": by_tifffile(4, np.uint16, photometric="separated"),
    "tiff_cmyk_f32.tif": by_tifffile(4, np.float32, photometric="separated"),
    "tiff_ycbcr.tif": by_pillow(lambda: picture().convert("YCbCr"), compression="tiff_adobe_deflate"),
    "tiff_jpeg.tif": by_vips(3, compression="jpeg", Q=95),
    **{f"tiff_lab_{kind}_{bits}.tif": _tiff_lab(kind, bits) for kind in (8, 9) for bits in (8, 16)},
    "tiff_lzw_big_end.tif": by_tifffile(3, np.uint16, byteorder=">", bigtiff=True),
    "tiff_tiled.tif": by_tifffile(3, tile=(16, 16)),
    "tiff_planes.tif": lambda path: tifffile.imwrite(
        path, scene(3).transpose(2, 0, 1), photometric="rgb", planarconfig="separate", metadata=None
    ),
    "tiff_pages.tif": _tiff_pages,
    "tiff_pyramid.tif": _tiff_pyramid,
    "tiff_all.tif": _tiff_all,
    "tiff_profile_u16.tif": by_vips(3, np.uint16, icc="p3"),
}
