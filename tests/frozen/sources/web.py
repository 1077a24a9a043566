"""Sources of the formats that browsers show: PNG, JPEG, WebP, AVIF, GIF."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from frozen.sources.makers import (
    RECORDS,
    SIZE,
    TURNED,
    XMP,
    Maker,
    animated,
    by_pillow,
    by_vips,
    bytes_of,
    exif,
    picture,
    profile,
    scene,
)

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
    "png_cut.png": lambda path: path.write_bytes(bytes_of(picture(size=(90, 130)), "PNG")[:300]),
    "png_named.jpg": lambda path: path.write_bytes(bytes_of(picture(), "PNG")),
}

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
    "jpeg_cut.jpg": lambda path: path.write_bytes(bytes_of(picture(size=(90, 130)), "JPEG")[:900]),
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

# GIF


def _still_gif(path: Path, **options: Any) -> None:
    picture().quantize(16).save(path, **options)


def _boxes_gif(path: Path) -> None:
    """Solid boxes that move over an empty canvas."""
    shown = [Image.new("RGBA", SIZE[::-1]) for _ in range(3)]
    for number, frame in enumerate(shown):
        frame.paste((255, 0, 0, 255), (1 + 3 * number, 2, 5 + 3 * number, 7))
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=[20, 70, 100], disposal=2)


GIF: dict[str, Maker] = {
    "gif_still.gif": _still_gif,
    "gif_clear.gif": lambda path: _still_gif(path, transparency=3),
    "gif_animated.gif": animated(),
    "gif_boxes.gif": _boxes_gif,
}
