"""A small picture of every format, depth, number of bands and kind of metadata, each made by a function of its name."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

SIZE = (7, 11)
Maker = Callable[[Path], object]

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" tiff:ImageWidth="11" tiff:XResolution="300/1" '
    b'note="kept"/></x:xmpmeta>'
)
TURNED = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="8"/>'
RECORDS = b"\x1c\x02\x05\x00\x05Title"


def scene(bands: int, dtype: type = np.uint8, size: tuple[int, int] = SIZE) -> NDArray[Any]:
    """(height, width, bands) of slopes with an edge, and of an alpha that is clear in a corner."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    edge = np.where(rows + columns > sum(size) / 2, 0.35, 0.0)
    red, green = rows / size[0] * 0.6 + edge, columns / size[1] * 0.6 + edge
    blue, alpha = 0.9 - (rows + columns) / sum(size) * 0.8, (rows + 2 * columns).clip(0, 9) / 9
    parts = [red, green, blue][: 3 if bands > 2 else 1] + ([alpha] if bands in (2, 4) else [])
    pixels = np.stack(parts, -1)
    return (pixels if np.dtype(dtype).kind == "f" else pixels * np.iinfo(dtype).max).astype(dtype)


def picture(bands: int = 3, size: tuple[int, int] = SIZE) -> Image.Image:
    pixels = scene(bands, size=size)
    return Image.fromarray(pixels[..., 0] if bands == 1 else pixels)


def profile(name: str) -> bytes:
    """The ICC profile that libvips has under this name."""
    found: Any = pyvips.Operation.call("profile_load", name)
    return found


def exif(orientation: int | None = 6) -> Image.Exif:
    """Camera, time, place, sizes and resolution."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0100], tags[0x0101] = "Maker", "Model", 11, 7
    tags[0x011A], tags[0x011B], tags[0x0128] = 300.0, 150.0, 2
    if orientation:
        tags[0x0112] = orientation
    details, place = tags.get_ifd(0x8769), tags.get_ifd(0x8825)
    details[0x9003], details[0xA002], details[0xA003] = "2020:01:02 03:04:05", 11, 7
    details[0x829A], details[0x9286], details[0x927C] = 0.004, b"UNICODE\0j\0\xf6\0", b"\x01\x02maker note\xff"
    place[1], place[2] = "N", (52.0, 31.0, 12.5)
    return tags


def vips(bands: int, dtype: type = np.uint8) -> Any:
    deep = np.dtype(dtype) == np.uint16
    space = ("grey16" if deep else "b-w") if bands < 3 else ("rgb16" if deep else "srgb")
    return pyvips.Image.new_from_array(scene(bands, dtype), interpretation=space)


def by_vips(bands: int, dtype: type = np.uint8, icc: str | None = None, **options: Any) -> Maker:
    def make(path: Path) -> None:
        image = vips(bands, dtype)
        if icc:
            image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile(icc))
        image.write_to_file(str(path), **options)

    return make


def by_pillow(image: Callable[[], Image.Image], **options: Any) -> Maker:
    return lambda path: image().save(path, **options)


def by_tifffile(bands: int, dtype: type = np.uint8, **options: Any) -> Maker:
    def make(path: Path) -> None:
        pixels = scene(bands, dtype)
        extra = ["unassalpha"] if bands in (2, 4) and options.get("photometric") != "separated" else None
        kind = {"photometric": "rgb" if bands > 2 else "minisblack", "extrasamples": extra, "metadata": None} | options
        tifffile.imwrite(path, pixels[..., 0] if bands == 1 else pixels, **kind)

    return make


def frames(bands: int = 3, count: int = 3) -> list[Image.Image]:
    return [Image.fromarray(np.roll(scene(bands), 2 * number, 1)) for number in range(count)]


def animated(bands: int = 3, **options: Any) -> Maker:
    def make(path: Path) -> None:
        first, *others = frames(bands)
        timing = {"duration": [40, 100, 250], "loop": 3} if path.suffix in (".gif", ".webp", ".png") else {}
        first.save(path, save_all=True, append_images=others, **timing, **options)

    return make


# PNG


def _png_texts() -> PngInfo:
    texts = PngInfo()
    texts.add_text("Title", "plain")
    texts.add_text("Comment", "packed " * 9, zip=True)
    texts.add_itxt("Author", "J\xf6rg \u4e2d", "de", "Autor")
    return texts


def _png_xmp() -> PngInfo:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", TURNED.decode())
    return info


def _png_with(*chunks: tuple[bytes, bytes]) -> Maker:
    """Chunks put before the pixels."""

    def make(path: Path) -> None:
        info = PngInfo()
        for name, data in chunks:
            info.add(name, data)
        picture().save(path, pnginfo=info)

    return make


PNG: dict[str, Maker] = {
    **{f"png_u8_{bands}.png": by_vips(bands) for bands in (1, 2, 3, 4)},
    **{f"png_u16_{bands}.png": by_vips(bands, np.uint16) for bands in (1, 2, 3, 4)},
    "png_palette.png": by_pillow(lambda: picture().quantize(9)),
    "png_palette_clear.png": by_pillow(lambda: picture().quantize(9), transparency=3),
    "png_palette_4bit.png": by_pillow(lambda: picture().quantize(9), bits=4),
    "png_1bit.png": by_pillow(lambda: picture(1).convert("1")),
    "png_key.png": by_pillow(picture, transparency=tuple(map(int, scene(3)[4, 5]))),
    "png_interlaced.png": by_vips(3, interlace=True),
    "png_profile.png": by_vips(3, icc="p3"),
    "png_profile_u16_alpha.png": by_vips(4, np.uint16, icc="p3"),
    "png_texts.png": lambda path: picture().save(path, pnginfo=_png_texts(), dpi=(300, 150)),
    "png_exif.png": lambda path: picture().save(path, exif=exif(), dpi=(300, 300)),
    "png_xmp.png": lambda path: picture().save(path, pnginfo=_png_xmp()),
    "png_gamma.png": _png_with((b"gAMA", struct.pack(">I", 45455)), (b"cHRM", struct.pack(">8I", *range(1, 9)))),
    "png_p3_numbers.png": _png_with((b"cICP", bytes((12, 13, 0, 1)))),
    "png_pq_numbers.png": _png_with((b"cICP", bytes((9, 16, 0, 1)))),
    "png_animated.png": animated(),
    "png_cut.png": lambda path: path.write_bytes(_bytes_of(picture(size=(90, 130)), "PNG")[:300]),
    "png_named.jpg": lambda path: path.write_bytes(_bytes_of(picture(), "PNG")),
}


def _bytes_of(image: Image.Image, kind: str) -> bytes:
    made = io.BytesIO()
    image.save(made, kind)
    return made.getvalue()


# JPEG


def _jpeg_all(path: Path) -> None:
    """EXIF, XMP, a profile, IPTC, two comments and a resolution."""
    picture().save(path, quality=90, exif=exif(), xmp=XMP, icc_profile=profile("p3"), comment="gr\xfcn", dpi=(300, 150))
    resources = [(0x040C, b"thumbnail"), (0x0404, RECORDS)]
    body = b"".join(b"8BIM" + struct.pack(">HHI", i, 0, len(d)) + d + b"\0" * (len(d) % 2) for i, d in resources)
    segment = b"Photoshop 3.0\0" + body
    added = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + b"\xff\xfe\x00\x08second"
    data = path.read_bytes()
    path.write_bytes(data[:2] + added + data[2:])


def _jpeg_turned(orientation: int) -> Maker:
    return lambda path: picture().save(path, quality=95, exif=exif(orientation))


JPEG: dict[str, Maker] = {
    "jpeg_grey.jpg": by_pillow(lambda: picture(1), quality=90),
    "jpeg_420.jpg": by_pillow(picture, quality=90, subsampling="4:2:0"),
    "jpeg_444.jpeg": by_pillow(picture, quality=90, subsampling="4:4:4"),
    "jpeg_progressive.jpg": by_pillow(picture, quality=90, progressive=True, dpi=(240, 240)),
    "jpeg_cmyk.jpg": by_pillow(lambda: picture().convert("CMYK"), quality=95),
    **{f"jpeg_turned_{number}.jpg": _jpeg_turned(number) for number in (1, 3, 5, 6, 8)},
    "jpeg_profile.jpg": by_pillow(picture, icc_profile=profile("p3")),
    "jpeg_xmp.jpg": by_pillow(picture, xmp=TURNED),
    "jpeg_all.jpg": _jpeg_all,
    "jpeg_cut.jpg": lambda path: path.write_bytes(_bytes_of(picture(size=(90, 130)), "JPEG")[:900]),
    "jpeg_named.JPG": by_pillow(picture, quality=90),
}

# WebP and AVIF


def _avif_stating(primaries: int, transfer: int) -> Maker:
    def make(path: Path) -> None:
        picture().save(path, quality=100, subsampling="4:4:4")
        data = bytearray(path.read_bytes())
        at = data.index(b"colrnclx") + 8
        data[at : at + 4] = struct.pack(">HH", primaries, transfer)
        path.write_bytes(data)

    return make


def _avif(bands: int, bits: int) -> Maker:
    return by_vips(bands, np.uint8 if bits == 8 else np.uint16, compression="av1", bitdepth=bits, lossless=True)


WEBP: dict[str, Maker] = {
    "webp_lossy.webp": by_pillow(picture, quality=90),
    "webp_lossless.webp": by_pillow(picture, lossless=True),
    "webp_alpha.webp": by_pillow(lambda: picture(4), quality=90),
    "webp_alpha_lossless.webp": by_pillow(lambda: picture(4), lossless=True, exact=True),
    "webp_animated.webp": animated(quality=90),
    "webp_animated_lossless.webp": animated(4, lossless=True),
    "webp_all.webp": lambda path: picture().save(path, lossless=True, exif=exif(), xmp=XMP, icc_profile=profile("p3")),
}
AVIF: dict[str, Maker] = {
    **{f"avif_{bits}_{bands}.avif": _avif(bands, bits) for bits in (8, 10, 12) for bands in (1, 3, 4)},
    "avif_turned.avif": lambda path: picture().save(path, quality=95, exif=exif(), xmp=XMP),
    "avif_profile.avif": by_pillow(picture, quality=95, icc_profile=profile("p3")),
    "avif_p3_numbers.avif": _avif_stating(12, 13),
    "avif_pq_numbers.avif": _avif_stating(9, 16),
    "avif_premultiplied.avif": by_pillow(lambda: picture(4), quality=100, alpha_premultiplied=True),
    "avif_animated.avif": animated(),
}

# TIFF


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

# GIF and BMP


def _still_gif(path: Path, **options: Any) -> None:
    picture().quantize(16).save(path, **options)


def _boxes_gif(path: Path) -> None:
    """Solid boxes that move over an empty canvas."""
    shown = [Image.new("RGBA", SIZE[::-1]) for _ in range(3)]
    for number, frame in enumerate(shown):
        frame.paste((255, 0, 0, 255), (1 + 3 * number, 2, 5 + 3 * number, 7))
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=[20, 70, 100], disposal=2)


def bmp(depth: int, pixels: bytes, *, size: int = 40, **parts: Any) -> Maker:
    """A BMP of 11 x 7 from its parts: coding, palette, masks; `down` where its first row is the top one."""
    masks: Sequence[int] = parts.get("masks", ())
    coding, palette, down = parts.get("coding", 0), parts.get("palette", b""), parts.get("down", False)
    height = -SIZE[0] if down else SIZE[0]
    header = struct.pack("<IiiHHIIiiII", size, SIZE[1], height, 1, depth, coding, len(pixels), 3937, 3937, 0, 0)
    header = (header + struct.pack(f"<{len(masks)}I", *masks)).ljust(size, b"\0")
    start = 14 + len(header) + len(palette)
    data = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels
    return lambda path: path.write_bytes(data)


def _rows(depth: int, numbers: NDArray[Any]) -> bytes:
    """Rows from the bottom up, each filled to 4 bytes, of numbers of 4, 8 or 16 bits."""
    if depth == 4:
        padded = np.pad(numbers, ((0, 0), (0, numbers.shape[1] % 2))).astype(np.uint8)
        numbers = padded[:, ::2] << 4 | padded[:, 1::2]
    rows = [row.tobytes() for row in numbers.astype("<u2" if depth == 16 else np.uint8)[::-1]]
    return b"".join(row + b"\0" * (-len(row) % 4) for row in rows)


def _16_bits(red: int, green: int) -> NDArray[Any]:
    """Numbers of 5 bits red, 5 or 6 green, 5 blue, shifted so far."""
    bits = scene(3).astype(int)
    return (bits[..., 0] >> 3) << red | (bits[..., 1] >> (8 - red + green)) << green | bits[..., 2] >> 3


_INDEX = scene(1)[..., 0]
_GREYS_4, _GREYS_8 = (b"".join(bytes((i, i, 255 - i, 0)) for i in range(0, 256, step)) for step in (17, 1))
_RUNS = b"".join(bytes((8, 9 * row, 3, 20 * row, 0, 0)) for row in range(6)) + bytes((0, 3, 9, 42, 99, 0, 0, 1))
_FOURTH = scene(4)[::-1][..., [2, 1, 0, 3]]

GIF: dict[str, Maker] = {
    "gif_still.gif": _still_gif,
    "gif_clear.gif": lambda path: _still_gif(path, transparency=3),
    "gif_animated.gif": animated(),
    "gif_boxes.gif": _boxes_gif,
}
BMP: dict[str, Maker] = {
    "bmp_24.bmp": by_pillow(picture, dpi=(300, 300)),
    "bmp_grey.bmp": by_pillow(lambda: picture(1)),
    "bmp_1bit.bmp": by_pillow(lambda: picture(1).convert("1")),
    "bmp_palette.dib": bmp(8, _rows(8, _INDEX), palette=_GREYS_8),
    "bmp_palette_4.bmp": bmp(4, _rows(4, _INDEX // 16), palette=_GREYS_4),
    "bmp_16.bmp": bmp(16, _rows(16, _16_bits(10, 5))),
    "bmp_16_masks.bmp": bmp(16, _rows(16, _16_bits(11, 5)), coding=3, masks=(0xF800, 0x07E0, 0x001F)),
    "bmp_32.bmp": bmp(32, np.concatenate([_FOURTH[..., :3], 0 * _FOURTH[..., 3:]], -1).tobytes()),
    "bmp_32_alpha.bmp": bmp(32, _FOURTH.tobytes()),
    "bmp_32_down.bmp": bmp(32, _FOURTH[::-1].tobytes(), down=True),
    "bmp_32_masks.bmp": bmp(32, _FOURTH.tobytes(), coding=3, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000), size=124),
    "bmp_runs.bmp": bmp(8, _RUNS, coding=1, palette=_GREYS_8),
}
REFUSED: dict[str, Maker] = {
    "empty.png": lambda path: path.write_bytes(b""),
    "text.tif": lambda path: path.write_text("no picture"),
    "xl.jxl": lambda path: path.write_bytes(b"\xff\x0a" + bytes(20)),
}
SOURCES = PNG | JPEG | WEBP | AVIF | TIFF | GIF | BMP | REFUSED
