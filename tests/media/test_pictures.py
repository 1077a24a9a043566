"""Pictures of every kind through the Upscaler: what a file holds beside RGB pixels comes out true for the result."""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import pyvips
import tifffile
import torch
from PIL import Image, ImageCms, IptcImagePlugin
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from lamnet import LAMNet, LAMNetConfig, Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import arrays, opening, saving, xmp
from support.pictures import gradient


def doubled(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_bands_and_depths_stay(upscaler: Upscaler, tmp_path: Path, bands: int, dtype: type, suffix: str) -> None:
    pixels = gradient(bands, dtype)
    pyvips.Image.new_from_array(pixels, interpretation=_interpretation(bands, dtype)).write_to_file(
        str(tmp_path / f"a{suffix}")
    )
    upscaler.file(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    out = arrays.read_array(tmp_path / f"b{suffix}")
    assert out.dtype == dtype
    shown = slice(None) if bands in (1, 3) else doubled(pixels)[..., -1] > 0
    np.testing.assert_array_equal(out[shown], doubled(pixels)[shown])
    np.testing.assert_array_equal(out[..., -1], doubled(pixels)[..., -1])


def _interpretation(bands: int, dtype: type) -> str:
    return ("b-w", "srgb")[bands > 2] if dtype == np.uint8 else ("grey16", "rgb16")[bands > 2]


@pytest.mark.parametrize("high", [1.0, 7.5])
def test_float_stays_float_beyond_one(upscaler: Upscaler, tmp_path: Path, high: float) -> None:
    pixels = gradient(3, np.float32) * np.float32(high)
    arrays.write_array(tmp_path / "a.tif", pixels)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    np.testing.assert_allclose(arrays.read_array(tmp_path / "b.tif"), doubled(pixels), atol=1e-6 * high)


def test_nan_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = gradient(3, np.float32)
    pixels[3, 3] = np.nan
    arrays.write_array(tmp_path / "a.tif", pixels)
    with pytest.raises(BadImageError, match="NaN"):
        upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_in_8_bit_formats_are_rounded(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    pixels = gradient(3, np.uint16)
    arrays.write_array(tmp_path / "a.tif", pixels)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.webp")
    expected = doubled(np.floor(pixels / 257 + 0.5))
    assert np.abs(arrays.read_array(tmp_path / "b.webp") - expected).mean() < 2


def test_palette_and_1_bit(upscaler: Upscaler, tmp_path: Path) -> None:
    palette = Image.fromarray(gradient(3)).quantize(16)
    palette.save(tmp_path / "palette.png", transparency=3)
    upscaler.file(tmp_path / "palette.png", tmp_path / "p.png")
    expected = np.asarray(Image.open(tmp_path / "palette.png").convert("RGBA"))
    out = arrays.read_array(tmp_path / "p.png")
    np.testing.assert_array_equal(out[..., 3], doubled(expected[..., 3]))
    visible = out[..., 3] > 0
    np.testing.assert_array_equal(out[visible], doubled(expected)[visible])
    Image.fromarray(gradient(1)[..., 0]).convert("1").save(tmp_path / "bits.tif")
    upscaler.file(tmp_path / "bits.tif", tmp_path / "bits_x2.tif")
    expected = np.asarray(Image.open(tmp_path / "bits.tif")) * np.uint8(255)
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "bits_x2.tif")[..., 0], doubled(expected))


def test_cmyk_becomes_rgb_through_its_profile(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8, 4), (0, 255, 255, 0), np.uint8), mode="CMYK").save(tmp_path / "red.tif")
    upscaler.file(tmp_path / "red.tif", tmp_path / "b.tif")
    red, green, blue = arrays.read_array(tmp_path / "b.tif")[4, 4]
    assert red > 200
    assert max(green, blue) < 90
    assert "icc_profile" in Image.open(tmp_path / "b.tif").info


@pytest.mark.parametrize("kind", [8, 9])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "alpha"), [(8, False), (8, True), (16, True)])
def test_lab(upscaler: Upscaler, tmp_path: Path, kind: int, order: Literal["<", ">"], bits: int, alpha: bool) -> None:
    """The white of D50, as ICC has it; a profile of Lab does not stay with pixels that are none."""
    colours = Image.fromarray(gradient(3))
    spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = np.asarray(ImageCms.profileToProfile(colours, *spaces, renderingIntent=1, outputMode="LAB")).astype(float)
    lab[..., 1:] = lab[..., 1:].astype(np.uint8).view(np.int8)
    unit, lightest = 2 ** (bits - 8), 65280 / 255 if kind == 9 and bits == 16 else (2**bits - 1) / 255
    stored = np.concatenate([lab[..., :1] * lightest, (lab[..., 1:] + (0 if kind == 8 else 128)) * unit], -1).round()
    see_through = np.full((24, 36, 1), 100 * unit)
    pixels = np.concatenate([stored, see_through] if alpha else [stored], -1).astype(int).astype(f"u{bits // 8}")
    profile = ImageCms.ImageCmsProfile(spaces[1]).tobytes()
    extra = {"extrasamples": ["unassalpha"]} if alpha else {}
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=kind, byteorder=order, iccprofile=profile, **extra)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    out = arrays.read_array(tmp_path / "b.tif")
    assert np.abs(out[..., :3] / 257 ** (bits // 16) - doubled(gradient(3))).mean() < 1.5
    assert (out[..., 3:] == 100 * unit).all()
    assert out.shape[2] == 3 + alpha
    assert tifffile.TiffFile(tmp_path / "b.tif").pages[0].iccprofile[16:20] == b"RGB "


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_ycbcr_without_jpeg(upscaler: Upscaler, tmp_path: Path, compression: str | None) -> None:
    Image.fromarray(gradient(3)).convert("YCbCr").save(tmp_path / "a.tif", compression=compression)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.png")
    out = np.asarray(Image.open(tmp_path / "b.png")).astype(int)
    assert np.abs(out - doubled(gradient(3))).max() <= 3


def test_floats_whose_white_is_0_and_those_of_inks(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = gradient(1, np.float32)[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    np.testing.assert_allclose(arrays.read_array(tmp_path / "b.tif")[..., 0], 1 - doubled(pixels), atol=1e-6)
    tifffile.imwrite(tmp_path / "c.tif", gradient(4, np.float32), photometric="separated")
    with pytest.raises(BadImageError, match=r"c\.tif: expected CMYK in 8 or 16 bits, found float"):
        upscaler.file(tmp_path / "c.tif", tmp_path / "d.tif")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_profile_that_nobody_can_read_does_not_stay(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (good[:300], good[:100], lab):
        Image.fromarray(gradient(3)).save(tmp_path / "a.jpg", icc_profile=profile)
        upscaler.file(tmp_path / "a.jpg", tmp_path / f"b{suffix}")
        assert "icc_profile" not in Image.open(tmp_path / f"b{suffix}").info


def test_short_frames_stay_short(upscaler: Upscaler, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(gradient(3), i, 1)) for i in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=[5, 10, 20])
    upscaler.file(tmp_path / "a.webp", tmp_path / "b.webp")
    shown = pyvips.Image.new_from_file(str(tmp_path / "b.webp"), n=-1)
    assert shown.get("delay") == [5, 10, 20]
    assert shown.get("n-pages") == 3


def test_an_animation_too_large_for_webp_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    frames = [Image.fromarray(gradient(3, size=(4, 9000)) // (i + 1)) for i in range(2)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(BadImageError, match=r"a\.webp: expected a result that WebP holds, got 18000 x 8 pixels"):
        saving.suffix_for(opening.open_picture(tmp_path / "a.webp"), (18000, 8))


def test_wide_gamut_numbers_and_profile_are_kept(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = gradient(3)
    image = pyvips.Image.new_from_array(pixels, interpretation="srgb").icc_transform("p3", input_profile="srgb")
    for suffix in (".png", ".tif", ".webp", ".avif", ".jpg"):
        source = tmp_path / f"a{suffix}"
        image.write_to_file(str(source))
        upscaler.file(source, tmp_path / f"b{suffix}")
        before, after = (pyvips.Image.new_from_file(str(path)) for path in (source, tmp_path / f"b{suffix}"))
        assert after.get("icc-profile-data") == before.get("icc-profile-data")
        lab = [picture.icc_import(embedded=True, pcs="lab").numpy() for picture in (before, after)]
        assert np.abs(doubled(lab[0]) - lab[1]).mean() < (0.01 if suffix in (".png", ".tif") else 1.5), suffix


def _linear_grey() -> bytes:
    """A grey profile whose numbers are proportional to light, by the ICC's specification."""
    white = struct.pack(">3i", 63190, 65536, 54061)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(79),
        b"wtpt": b"XYZ \0\0\0\0" + white,
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IHxx", 1, 256),
    }
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4xI4s4s4s12x4s28x", size, 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
    return head + white + bytes(48) + table + body


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif", ".gif"])
@pytest.mark.parametrize("bands", [1, 3])
def test_colours_where_the_profile_cannot_go_along(upscaler: Upscaler, tmp_path: Path, bands: int, suffix: str) -> None:
    """Seen through the profiles they look the same, be it the source's or sRGB."""
    colour = pyvips.Image.new_from_array(np.full((16, 16, 3), (180, 90, 100), np.uint8), interpretation="srgb")
    image = colour[0].copy() if bands == 1 else colour.icc_transform("p3", input_profile="srgb")
    if bands == 1:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", _linear_grey())
    image.write_to_file(str(tmp_path / "a.png"))
    upscaler.file(tmp_path / "a.png", tmp_path / f"b{suffix}")
    before, after = (pyvips.Image.new_from_file(str(tmp_path / name)) for name in ("a.png", f"b{suffix}"))
    seen = [
        picture.icc_import(embedded=True, pcs="lab")
        if picture.get_typeof("icc-profile-data")
        else picture.colourspace("lab")
        for picture in (before, after)
    ]
    np.testing.assert_allclose(seen[0](8, 8), seen[1](8, 8)[:3], atol=1.5)


def _with_exif(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0100], exif[0x0101] = 6, "Maker", 36, 24
    details = exif.get_ifd(0x8769)
    details[0x9003], details[0xA002], details[0xA003] = "2020:01:02 03:04:05", 36, 24
    details[0x9286] = b"UNICODE\0j\0\xf6\0"
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (52.0, 31.0, 12.5)
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" tiff:ImageWidth="36" note="kept"/></x:xmpmeta>'
    )
    if path.suffix == ".tif":
        exif[700], exif[0x8769], exif[0x8825] = xmp, details, place
    Image.fromarray(gradient(3)).save(path, exif=exif, dpi=(300, 300), xmp=xmp)


@pytest.mark.parametrize("source_suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_exif_xmp_orientation_size_and_resolution(
    upscaler: Upscaler, tmp_path: Path, source_suffix: str, suffix: str
) -> None:
    source = tmp_path / f"a{source_suffix}"
    _with_exif(source)
    upscaler.file(source, tmp_path / f"b{suffix}")
    out = Image.open(tmp_path / f"b{suffix}")
    assert out.size == (48, 72)
    exif = out.getexif()
    assert exif.get(0x0112, 1) == 1
    assert exif[0x010F] == "Maker"
    details = exif.get_ifd(0x8769)
    assert details[0x9003] == "2020:01:02 03:04:05"
    assert (details[0xA002], details[0xA003]) == (48, 72)
    assert exif.get_ifd(0x8825) == {1: "N", 2: (52.0, 31.0, 12.5)}
    assert details[0x9286] == b"UNICODE\0j\0\xf6\0"
    if source_suffix == ".jpg" or suffix == ".tif":
        assert (exif[0x0100], exif[0x0101]) == (48, 72)
    assert float(exif[0x011A]) == pytest.approx(600, abs=1)
    if suffix in (".jpg", ".png", ".tif"):
        assert out.info["dpi"][0] == pytest.approx(600, abs=1)
    xmp = pyvips.Image.new_from_file(str(tmp_path / f"b{suffix}")).get("xmp-data")
    assert b'tiff:Orientation="1" tiff:ImageWidth="48" note="kept"' in xmp


def test_a_thumbnail_shows_the_upright_picture(upscaler: Upscaler, tmp_path: Path) -> None:
    plain = pyvips.Image.new_from_array(gradient(3, size=(240, 360)), interpretation="srgb")
    tagged = plain.copy()
    tagged.set_type(pyvips.GValue.gint_type, "orientation", 6)
    tagged.set_type(pyvips.GValue.blob_type, "jpeg-thumbnail-data", plain.thumbnail_image(90).jpegsave_buffer())
    tagged.jpegsave(str(tmp_path / "a.jpg"))
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg")
    out = pyvips.Image.new_from_file(str(tmp_path / "b.jpg"))
    thumbnail = Image.open(io.BytesIO(out.get("jpeg-thumbnail-data")))
    assert thumbnail.height / thumbnail.width == pytest.approx(out.height / out.width, rel=0.05)


def test_nothing_is_made_up(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.png")
    upscaler.file(tmp_path / "a.png", tmp_path / "b.png")
    out = Image.open(tmp_path / "b.png")
    assert not out.getexif()
    assert "icc_profile" not in out.info


@pytest.mark.parametrize(("source", "target"), [*itertools.product([".gif", ".webp"], repeat=2)])
def test_frames_keep_their_timing(upscaler: Upscaler, tmp_path: Path, source: str, target: str) -> None:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(
        tmp_path / f"a{source}",
        save_all=True,
        append_images=frames[1:],
        duration=[100, 200, 300],
        loop=3,
        lossless=True,
    )
    upscaler.file(tmp_path / f"a{source}", tmp_path / f"b{target}")
    before, after = (
        pyvips.Image.new_from_file(str(path), n=-1) for path in (tmp_path / f"a{source}", tmp_path / f"b{target}")
    )
    assert (after.width, after.get_page_height(), after.get("n-pages")) == (60, 40, 3)
    assert after.get("delay") == [100, 200, 300]
    assert after.get("loop") == before.get("loop")
    means = after.numpy()[..., :3].reshape(3, -1, 3).mean(1)
    np.testing.assert_allclose(means, [[255, 0, 0], [0, 128, 0], [0, 0, 255]], atol=6)


def test_frames_that_leave_the_canvas_empty(upscaler: Upscaler, tmp_path: Path) -> None:
    """Solid boxes that move: every frame is opaque in its part, and the picture is transparent all the same."""
    frames = [Image.new("RGBA", (30, 20)) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.paste((255, 0, 0, 255), (2 + 6 * number, 4, 12 + 6 * number, 14))
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100, disposal=2)
    upscaler.file(tmp_path / "a.gif", tmp_path / "b.webp")
    before, after = Image.open(tmp_path / "a.gif"), Image.open(tmp_path / "b.webp")
    for number in range(3):
        before.seek(number)
        after.seek(number)
        alphas = [np.asarray(picture.convert("RGBA"))[..., 3] for picture in (before, after)]
        np.testing.assert_array_equal(doubled(alphas[0]), alphas[1])


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


@pytest.mark.parametrize(
    ("pixels", "name", "expected"),
    [
        (gradient(3), "a.png", ".png"),
        (gradient(3), "a.JPG", ".JPG"),
        (gradient(3), "a.gif", ".png"),
        (gradient(3, np.uint16), "a.tif", ".tif"),
        (gradient(3, size=(16, 60)), "a.webp", ".webp"),
    ],
)
def test_the_format_stays_where_it_can(tmp_path: Path, pixels: np.ndarray, name: str, expected: str) -> None:
    arrays.write_array(tmp_path / name, pixels)
    picture = opening.open_picture(tmp_path / name)
    assert saving.suffix_for(picture, (1000, 1000)) == expected


def test_the_format_changes_where_it_must(tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.webp", gradient(3))
    assert saving.suffix_for(opening.open_picture(tmp_path / "a.webp"), (20_000, 100)) == ".png"
    arrays.write_array(tmp_path / "a.jpg", gradient(3))
    assert saving.suffix_for(opening.open_picture(tmp_path / "a.jpg"), (70_000, 100)) == ".png"


@pytest.mark.parametrize("bands", [2, 4])
def test_transparency_into_jpeg_is_refused(upscaler: Upscaler, tmp_path: Path, bands: int) -> None:
    Image.fromarray(gradient(bands)).save(tmp_path / "a.png")
    with pytest.raises(BadImageError, match="transparency"):
        upscaler.file(tmp_path / "a.png", tmp_path / "b.jpg")


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.png", gradient(3))
    with pytest.raises(BadImageError, match="--max-pixels"):
        opening.open_picture(tmp_path / "a.png", max_pixels=100)


def test_edges_of_transparency_do_not_fringe(tmp_path: Path) -> None:
    """A red disc over hidden green: wherever the result shows at all, it shows red."""
    torch.manual_seed(0)
    network = LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2))
    rows, columns = np.mgrid[0:40, 0:40]
    inside = (rows - 20) ** 2 + (columns - 20) ** 2 < 150
    pixels = np.where(inside[..., None], (255, 0, 0, 255), (0, 255, 0, 0)).astype(np.uint8)
    smooth = _Smooth(network.config)
    out = Upscaler(smooth, "cpu")(pixels)
    shown = out[..., 3] > 0
    assert shown.sum() > inside.sum() * 4
    assert out[shown][:, 1].max() <= 1
    assert out[shown][:, 0].min() >= 254


class _Smooth(LAMNet):
    """Bilinear: mixes neighbours as a trained network does."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(x, scale_factor=self.config.scale, mode="bilinear")


def test_opaque_stays_opaque() -> None:
    """A network that makes white a little darker must not make a picture a little transparent."""

    class Darker(LAMNet):
        def forward(self, x: Tensor) -> Tensor:
            return 0.98 * x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    network = Darker(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2))
    pixels = gradient(4)
    pixels[..., 3] = 255
    assert (Upscaler(network, "cpu")(pixels)[..., 3] == 255).all()


def test_xmp_in_elements() -> None:
    packet = b"<a><tiff:Orientation>8</tiff:Orientation><exif:PixelXDimension> 12</exif:PixelXDimension></a>"
    expected = b"<a><tiff:Orientation>1</tiff:Orientation><exif:PixelXDimension> 48</exif:PixelXDimension></a>"
    assert xmp.corrected(packet, (48, 20)) == expected
    packet = b"<tiff:XResolution>3000/10</tiff:XResolution><a tiff:YResolution='72/1'/>"
    expected = b"<tiff:XResolution>6000/10</tiff:XResolution><a tiff:YResolution='180/1'/>"
    assert xmp.corrected(packet, (1, 1), (2, 2.5)) == expected
    packet = b"<a GPano:FullPanoWidthPixels='40' GPano:CroppedAreaTopPixels='2' GPano:PoseHeadingDegrees='90'/>"
    expected = b"<a GPano:FullPanoWidthPixels='80' GPano:CroppedAreaTopPixels='5' GPano:PoseHeadingDegrees='90'/>"
    assert xmp.corrected(packet, (1, 1), (2, 2.5)) == expected


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_the_resolution_turns_with_the_picture(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x011B], exif[0x0128] = 6, 300.0, 150.0, 2
    Image.fromarray(gradient(3)).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 150))
    upscaler.file(tmp_path / "a.jpg", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as out:
        assert out.size == (48, 72)
        found = out.getexif()
        assert (found[0x011A], found[0x011B]) == pytest.approx((300, 600), abs=0.01)
        stated = out.info.get("dpi", (300, 600)) if suffix != ".jpg" else (300, 600)  # made of EXIF's first by Pillow
        assert stated == pytest.approx((300, 600), abs=0.02)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("stated", [True, False])
def test_the_resolution_of_exif(upscaler: Upscaler, tmp_path: Path, suffix: str, stated: bool) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    if stated:
        exif[0x011A], exif[0x011B], exif[0x0128] = 240.0, 120.0, 2
    source = tmp_path / f"a{suffix}"
    Image.fromarray(gradient(3)).save(source, exif=exif)
    upscaler.file(source, tmp_path / "b.jpg")
    exif = Image.open(tmp_path / "b.jpg").getexif()
    found = exif.get(0x011A), exif.get(0x011B)
    assert found == (pytest.approx((480, 240), abs=0.01) if stated else (None, None))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_without_a_resolution_none_grows(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / f"a{suffix}")
    upscaler.file(tmp_path / f"a{suffix}", tmp_path / "b.jpg")
    out = Image.open(tmp_path / "b.jpg")
    assert out.info.get("dpi", (72, 72)) == (72, 72)
    assert not out.getexif()


def test_a_file_replaced_under_its_name_is_read_anew(upscaler: Upscaler, tmp_path: Path) -> None:
    for level in (10, 200):
        Image.new("L", (8, 8), level).save(tmp_path / "a.tif")
        upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
        assert (arrays.read_array(tmp_path / "b.tif") == level).all()
        Image.new("L", (8, 8), level).save(tmp_path / "a.bmp")
        assert (arrays.read_array(tmp_path / "a.bmp") == level).all()


@pytest.mark.parametrize("suffix", [".png", ".avif"])
def test_frames_that_cannot_be_read_are_not_lost_in_silence(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(BadImageError, match="animated"):
        upscaler.file(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("source_suffix", [".jpg", ".tif"])
def test_iptc(upscaler: Upscaler, tmp_path: Path, source_suffix: str, suffix: str) -> None:
    source, records = tmp_path / f"a{source_suffix}", b"\x1c\x02\x05\x00\x05Title"
    if source_suffix == ".tif":
        tags = [(33723, 7, len(records), records, True)]
        tifffile.imwrite(source, gradient(3), photometric="rgb", extratags=tags, metadata=None)
    else:
        Image.fromarray(gradient(3)).save(source)
        resources = [(0x040C, b"thumbnail"), (0x0404, records)]
        body = b"".join(b"8BIM" + struct.pack(">HHI", i, 0, len(d)) + d + b"\0" * (len(d) % 2) for i, d in resources)
        segment = b"Photoshop 3.0\0" + body
        data = source.read_bytes()
        source.write_bytes(data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:])
    assert IptcImagePlugin.getiptcinfo(Image.open(source)) == {(2, 5): b"Title"}
    upscaler.file(source, tmp_path / f"b{suffix}")
    assert IptcImagePlugin.getiptcinfo(Image.open(tmp_path / f"b{suffix}")) == {(2, 5): b"Title"}
    assert b"thumbnail" not in (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("bits", [10, 12])
def test_white_and_opaque_of_10_and_12_bits(upscaler: Upscaler, tmp_path: Path, bits: int) -> None:
    white: Any = pyvips.Image.new_from_array(np.full((16, 16, 4), 65535, np.uint16), interpretation="rgb16")
    white.heifsave(str(tmp_path / "a.avif"), compression="av1", bitdepth=bits, lossless=True)
    upscaler.file(tmp_path / "a.avif", tmp_path / "b.tif")
    assert (tifffile.imread(tmp_path / "b.tif") == 65535).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("exif", [False, True])
def test_an_orientation_in_xmp_counts_where_exif_has_none(
    upscaler: Upscaler, tmp_path: Path, suffix: str, exif: bool
) -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    tags = Image.Exif()
    tags[0x0112] = 1
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    options: dict[str, Any] = {"xmp": packet, "pnginfo": info, "tiffinfo": {700: packet}}
    if exif:
        options |= {"exif": tags, "tiffinfo": {700: packet, 0x0112: 1}}
    if suffix == ".tif":
        options = {"tiffinfo": options["tiffinfo"]}
    Image.fromarray(gradient(3)).save(tmp_path / f"a{suffix}", **options)
    upscaler.file(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    out = Image.open(tmp_path / f"b{suffix}")
    assert out.size == ((72, 48) if exif else (48, 72))
    xmp: Any = pyvips.Image.new_from_file(str(tmp_path / f"b{suffix}")).get("xmp-data")
    assert b'tiff:Orientation="1"' in xmp


def avif_stating(path: Path, pixels: np.ndarray, primaries: int, transfer: int) -> None:
    Image.fromarray(pixels).save(path, quality=100, subsampling="4:4:4")
    data = bytearray(path.read_bytes())
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    path.write_bytes(data)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_display_p3_said_by_number_becomes_a_profile(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    avif_stating(tmp_path / "a.avif", gradient(3), 12, 13)
    upscaler.file(tmp_path / "a.avif", tmp_path / f"b{suffix}")
    out = Image.open(tmp_path / f"b{suffix}")
    p3: Any = pyvips.Operation.call("profile_load", "p3")
    assert out.info["icc_profile"] == p3
    assert np.abs(np.asarray(out).astype(int) - doubled(gradient(3))).mean() < 3


def test_other_colours_said_by_number_go_where_they_can_be_said(upscaler: Upscaler, tmp_path: Path) -> None:
    avif_stating(tmp_path / "a.avif", gradient(3), 9, 16)
    picture = opening.open_picture(tmp_path / "a.avif")
    assert saving.suffix_for(picture, (72, 48)) == ".png"
    upscaler.file(tmp_path / "a.avif", tmp_path / "b.png")
    assert b"cICP\x09\x10\x00\x01" in (tmp_path / "b.png").read_bytes()
    again = opening.open_picture(tmp_path / "b.png")
    assert again.colours == picture.colours == (9, 16)
    with pytest.raises(BadImageError, match=r"c\.jpg: expected a format that holds colours of primaries 9"):
        upscaler.file(tmp_path / "a.avif", tmp_path / "c.jpg")


@pytest.mark.parametrize("colours", [(1, 13), (2, 2), (1, 1)])
def test_srgb_said_by_number_needs_no_profile(upscaler: Upscaler, tmp_path: Path, colours: tuple[int, int]) -> None:
    avif_stating(tmp_path / "a.avif", gradient(3), *colours)
    upscaler.file(tmp_path / "a.avif", tmp_path / "b.jpg")
    assert "icc_profile" not in Image.open(tmp_path / "b.jpg").info


@pytest.mark.parametrize("frames", [1, 3])
def test_a_lossless_webp_stays_so(upscaler: Upscaler, tmp_path: Path, frames: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (frames, 24, 36, 3), np.uint8)
    first, *others = map(Image.fromarray, pixels)
    first.save(tmp_path / "a.webp", lossless=True, **({"save_all": True, "append_images": others} if others else {}))
    upscaler.file(tmp_path / "a.webp", tmp_path / "b.webp")
    out = pyvips.Image.new_from_file(str(tmp_path / "b.webp"), n=-1)
    np.testing.assert_array_equal(out.numpy()[..., :3], doubled(pixels.reshape(-1, 36, 3)))


def test_colours_times_alpha_are_divided_by_it(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = np.full((32, 32, 4), (200, 100, 50, 128), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.avif", quality=100, subsampling="4:4:4", alpha_premultiplied=True)
    upscaler.file(tmp_path / "a.avif", tmp_path / "b.png")
    assert np.abs(np.asarray(Image.open(tmp_path / "b.png")).astype(int) - doubled(pixels)).max() <= 2


def test_comments_of_a_jpeg(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.jpg", comment="gr\xfcn", exif=b"Exif\0\0no EXIF", dpi=(300, 300))
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xff\xfe\x00\x08second" + data[2:])
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg")
    out = Image.open(tmp_path / "b.jpg")
    assert [text for kind, text in out.applist if kind == "COM"] == [b"second", "gr\xfcn".encode()]
    assert out.info["dpi"] == (600, 600)
    assert arrays.read_array(tmp_path / "b.jpg").shape == (48, 72, 3)
