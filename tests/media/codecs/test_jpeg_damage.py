"""JPEGs with spoilt data: refused, though libjpeg goes on; what is odd and harmless is read."""

from __future__ import annotations

import io
import re
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from lamnet.base.errors import BadImageError
from lamnet.media import arrays, opening
from support.pictures import gradient

PIXELS = np.random.default_rng(0).integers(0, 64, (176, 64, 3), np.uint8) + gradient(3, size=(176, 64)) // 2
RESTART = rb"\xff[\xd0-\xd7]"


def jpeg_of(**options: bool | int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", quality=85, **options)
    return file.getvalue()


def with_stray(data: bytes, stray: bytes) -> bytes:
    """Put bytes into the middle of the scan, between two that belong to no marker."""
    at = (data.index(b"\xff\xda") + len(data)) // 2
    while 0xFF in data[at - 1 : at + 1]:
        at += 1
    return data[:at] + stray + data[at:]


def spoilt(kind: str) -> bytes:
    plain, restarted = jpeg_of(), jpeg_of(restart_marker_rows=1)
    places = [found.start() for found in re.finditer(RESTART, restarted)]
    interval = restarted.index(b"\xff\xdd")
    progressive = jpeg_of(progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    return {
        "a stray restart": with_stray(plain, b"\xff\xd0"),
        "a stray comment": with_stray(plain, b"\xff\xfe\0\4ab"),
        "a part removed": restarted[: places[3]] + restarted[places[4] :],
        "eight parts removed": restarted[: places[0]] + restarted[places[8] :],
        "a part doubled": restarted[: places[4]] + restarted[places[3] :],
        "restarts that none announces": restarted[:interval] + restarted[interval + 6 :],
        "bytes between scans": progressive[:scan] + bytes(range(1, 200)) + progressive[scan:],
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "a stray restart",
        "a stray comment",
        "a part removed",
        "eight parts removed",
        "a part doubled",
        "restarts that none announces",
        "bytes between scans",
    ],
)
def test_spoilt_data_are_refused_or_said(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.jpg").write_bytes(spoilt(kind))
    with pytest.raises(BadImageError, match=r"a\.jpg: expected a whole picture, found its data spoilt"):
        arrays.read_array(tmp_path / "a.jpg")
    picture = opening.open_picture(tmp_path / "a.jpg", damaged=True)
    assert [note for note in picture.notes if "its file is damaged" in note]
    assert picture.pages[0].avg() > 0


@pytest.mark.parametrize("kind", ["an unknown version", "padding between scans", "restarts", "padding behind"])
def test_what_is_odd_and_harmless_is_read(tmp_path: Path, kind: str) -> None:
    progressive = jpeg_of(progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    data = {
        "an unknown version": jpeg_of().replace(b"JFIF\0\1", b"JFIF\0\5", 1),
        "padding between scans": progressive[:scan] + bytes(5) + progressive[scan:],
        "restarts": jpeg_of(restart_marker_rows=1),
        "padding behind": jpeg_of() + bytes(40),
    }[kind]
    (tmp_path / "a.jpg").write_bytes(data)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_allclose(arrays.read_array(tmp_path / "a.jpg").astype(int), expected, atol=3)
    assert opening.open_picture(tmp_path / "a.jpg", damaged=True).notes == ()


def ended_early(data: bytes, dropped: int) -> bytes:
    """Take bytes off the end of the scan's data, and leave the marker of the picture's end."""
    end = data.rindex(b"\xff\xd9") - dropped
    return data[: end - (data[end - 1] == 0xFF)] + b"\xff\xd9"


@pytest.mark.parametrize("rows", [8, 9, 16, 17, 24, 30, 39])
@pytest.mark.parametrize("sampling", ["444", "422", "420", "411", "440", "grey", "grey in fours"])
def test_a_scan_that_ends_early_is_seen_to_the_last_block(tmp_path: Path, sampling: str, rows: int) -> None:
    """Also in the last row of blocks, behind which libvips never asks for libjpeg's warnings."""
    pixels = np.ascontiguousarray(PIXELS[:rows].astype(np.uint8))
    if sampling.startswith("grey"):
        data = imagecodecs.jpeg8_encode(pixels[..., 0].copy(), level=85)
        if sampling == "grey in fours":  # which counts for nothing where there is one component
            factors = data.index(b"\xff\xc0") + 11
            data = data[:factors] + b"\x22" + data[factors + 1 :]
    else:
        data = imagecodecs.jpeg8_encode(pixels, level=85, subsampling=sampling)
    (tmp_path / "a.jpg").write_bytes(data)
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.jpg").shape[:2], (rows, 64))
    (tmp_path / "a.jpg").write_bytes(ended_early(data, 12))
    with pytest.raises(BadImageError, match=r"a\.jpg: expected a whole picture, found its data spoilt"):
        arrays.read_array(tmp_path / "a.jpg")
    picture = opening.open_picture(tmp_path / "a.jpg", damaged=True)
    assert [note for note in picture.notes if "its file is damaged" in note]
    assert (picture.pages[0].width, picture.pages[0].height) == (64, rows)


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 3}, {"optimize": True}])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_scan_of_which_more_is_missing(tmp_path: Path, options: dict[str, int | bool], share: float) -> None:
    data = jpeg_of(**options)
    scan = len(data) - data.index(b"\xff\xda") - 20
    (tmp_path / "a.jpg").write_bytes(ended_early(data, int(scan * share)))
    with pytest.raises(BadImageError, match=r"a\.jpg: expected a whole picture, found its data spoilt"):
        arrays.read_array(tmp_path / "a.jpg")
