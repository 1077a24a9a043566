"""What a JPEG holds beside its picture: other pictures and films behind it, makers' segments. Held against Pillow."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import arrays, opening, saving
from lamnet.media.codecs.jpeg import JpegExtras
from lamnet.media.codecs.jpeg_segments import size_of
from support.pictures import gradient

FILM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 4
CONTAINER = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Item="http://ns.google.com/photos/1.0/container/item/">'
    "<Item:Semantic>GainMap</Item:Semantic><Item:Length>{}</Item:Length></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def smaller() -> NDArray[np.uint8]:
    """A gain map: grey, 18 x 12, dark at the left."""
    return np.tile(np.linspace(0, 240, 18).astype(np.uint8), (12, 1))


def stereo(path: Path, orientation: int = 1, xmp: bytes = b"") -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    second = Image.fromarray(smaller())
    second.encoderinfo = {"exif": b"", "xmp": b""}
    first = Image.fromarray(gradient(3))
    first.save(path, "MPO", save_all=True, append_images=[second], exif=exif, xmp=xmp, quality=95)


def pictures_of(path: Path) -> list[NDArray[np.uint8]]:
    with Image.open(path) as image:
        return [np.asarray(image) for number in range(image.n_frames) if image.seek(number) is None]


def test_the_picture_behind_stays(upscaler: Upscaler, tmp_path: Path) -> None:
    stereo(tmp_path / "a.jpg")
    before = pictures_of(tmp_path / "a.jpg")
    assert len(before) == 2
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg")
    large, behind = pictures_of(tmp_path / "b.jpg")
    assert large.shape == (48, 72, 3)
    np.testing.assert_array_equal(behind, before[1])


def test_a_view_of_the_same_size_is_said_to_stay_small(upscaler: Upscaler, tmp_path: Path) -> None:
    first = Image.fromarray(gradient(3))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[first.transpose(Image.Transpose.ROTATE_180)])
    assert upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg") == (
        "not enlarged: the other pictures of its size in its file, such as stereo's second view",
    )
    assert [one.shape for one in pictures_of(tmp_path / "b.jpg")] == [(48, 72, 3), (24, 36, 3)]
    stereo(tmp_path / "a.jpg")
    assert upscaler.file(tmp_path / "a.jpg", tmp_path / "c.jpg") == ()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_it_is_turned_with_the_picture(upscaler: Upscaler, tmp_path: Path, orientation: int) -> None:
    stereo(tmp_path / "a.jpg", orientation)
    data = (tmp_path / "a.jpg").read_bytes()
    length = len(data) - data.index(b"\xff\xd9\xff\xd8") - 2
    stereo(tmp_path / "a.jpg", orientation, CONTAINER.format(length).encode())
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data + FILM)
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        image.seek(1)
        small = Image.fromarray(np.asarray(image))
    small.getexif()[0x0112] = orientation
    large, behind = pictures_of(tmp_path / "b.jpg")
    assert large.shape[:2] == ((48, 72) if orientation < 5 else (72, 48))
    assert np.abs(behind.astype(int) - np.asarray(ImageOps.exif_transpose(small))).max() <= 4
    made = (tmp_path / "b.jpg").read_bytes()
    assert made.endswith(FILM)
    length = len(made) - len(FILM) - made.index(b"\xff\xd9\xff\xd8") - 2
    assert CONTAINER.format(length).encode() in made


def test_what_follows_the_picture_stays(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.jpg", progressive=True)
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data + FILM)
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert (tmp_path / "b.jpg").read_bytes().endswith(b"\xff\xd9" + FILM)
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.png")
    assert FILM not in (tmp_path / "b.png").read_bytes()


def test_makers_segments_stay_and_those_of_the_coding_do_not(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.jpg")
    stays = {0xE1: b"FLIR\0\1raw", 0xE2: b"urn:iso:std:iso:ts:21496-1\0\0\0\0\0", 0xE7: b"maker", 0xEF: b"last"}
    longer = (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40 + b"<rest/>")
    goes = {0xE8: b"SPIFF\0", 0xEB: b"JP\0\1seal", 0xEE: b"Adobe\0\x64\0\0\0\0\1"}
    data = (tmp_path / "a.jpg").read_bytes()
    added = b"".join(
        bytes([0xFF, kind]) + struct.pack(">H", len(text) + 2) + text
        for kind, text in [*stays.items(), longer, *goes.items()]
    )
    (tmp_path / "a.jpg").write_bytes(data[:20] + added + data[20:])
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as image:
        found = {(int(kind[3:]) + 0xE0, text) for kind, text in image.applist if kind != "COM"}
    assert found >= {*stays.items(), longer}
    assert not {kind for kind, _ in found} & goes.keys()


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_a_spoilt_index_spoils_nothing_else(upscaler: Upscaler, tmp_path: Path) -> None:
    """The picture comes out, and what the index says of the other ones is true or not there."""
    stereo(tmp_path / "a.jpg", orientation=6)
    data = (tmp_path / "a.jpg").read_bytes()
    start = data.index(b"MPF\0")
    rng = np.random.default_rng(0)
    for at in range(start, start + 90, 3):
        spoilt = bytearray(data)
        spoilt[at] = rng.integers(256)
        (tmp_path / "a.jpg").write_bytes(spoilt)
        upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg")
        with Image.open(tmp_path / "b.jpg") as image:
            assert image.size == (48, 72)
            image.load()


def test_comments_of_a_jpeg(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.jpg", comment="gr\xfcn", exif=b"Exif\0\0no EXIF", dpi=(300, 300))
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xff\xfe\x00\x08second" + data[2:])
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg")
    out = Image.open(tmp_path / "b.jpg")
    assert [text for kind, text in out.applist if kind == "COM"] == [b"second", "gr\xfcn".encode()]
    assert out.info["dpi"] == (600, 600)
    assert arrays.read_array(tmp_path / "b.jpg").shape == (48, 72, 3)


def test_what_follows_is_read_from_the_source_when_saving(tmp_path: Path) -> None:
    """It may be too big to hold; a source that has gone meanwhile is named."""
    Image.fromarray(gradient(3)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data + FILM)
    picture = opening.open_picture(tmp_path / "a.jpg")
    assert isinstance(picture.extras, JpegExtras)
    assert picture.extras.trailer == (len(data), len(data) + len(FILM))
    (tmp_path / "a.jpg").unlink()
    result = pyvips.Image.new_from_array(gradient(3))
    with pytest.raises(BadImageError, match=r"a\.jpg: cannot be read: No such file"):
        saving.save(picture, [result], tmp_path / "b.jpg")
    assert not list(tmp_path.iterdir())
    saving.save(picture, [result], tmp_path / "b.png")


def test_the_size_is_known_once_its_bytes_are_there(tmp_path: Path) -> None:
    Image.fromarray(smaller()).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    there = data.index(b"\xff\xc0") + 10  # marker, length, precision, height, width, components
    assert [size_of(data[:stop]) for stop in range(there)] == [None] * there
    assert [size_of(data[:stop]) for stop in range(there, len(data) + 1)] == [(18, 12)] * (len(data) + 1 - there)
