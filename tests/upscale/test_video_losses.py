"""HDR10's light goes along; what a result does not hold of its source is one line."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamnet.base.progress import finish
from lamnet.upscale import video

av = pytest.importorskip("av", reason='needs PyAV: pip install "lamnet-sr[video]"')
from av.sidedata.sidedata import Type  # noqa: E402

from lamnet.media.video.clip import side_data  # noqa: E402
from support import light  # noqa: E402
from support.clips import BT709, HDR, NEAREST, clip  # noqa: E402
from support.hevc import dolby_vision, hdr10_plus  # noqa: E402
from support.sources import TOP, moment, remuxed, woven, write  # noqa: E402

FRAMES = [moment(number) for number in range(7)]
MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"  # Display P3 of 1,000 cd/m2
IN_DECIMALS = "G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005)"
NUMBERS = (
    0.68,
    0.32,
    0.265,
    0.69,
    0.15,
    0.06,
    0.3127,
    0.329,
    0.005,
    1000,
)  # red, green, blue, white, darkest, brightest
OPTIONS = {
    "libx265": {"x265-params": f"log-level=none:master-display={MASTERING}:max-cll=1000,400"},
    "libx264": {"x264-params": f"mastering-display={MASTERING}:cll=1000,400"},
    "libsvtav1": {"svtav1-params": f"mastering-display={IN_DECIMALS}:content-light=1000,400"},
}
LOST = "without the mastering display (HDR10), content light levels (HDR10) of its source"


def enlarge(source: Path, target: Path) -> tuple[str, ...]:
    return finish(video.steps(NEAREST, video.open_clip(source), target, 3))


def light_of(path: Path) -> list[tuple[list[float], tuple[int, int]]]:
    """Read what frames carry, in H.264 key frames alone: the numbers of the mastering display as fractions, and MaxCLL and MaxFALL."""
    found: list[tuple[list[float], tuple[int, int]]] = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            display, content = (
                side_data(frame, kind) for kind in (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL)
            )
            if display is None or content is None:
                continue
            numbers = struct.unpack("=22i", display)
            ratios = [top / bottom for top, bottom in zip(numbers[:20:2], numbers[1:20:2], strict=True)]
            found.append((ratios, struct.unpack("=2I", content[:8])))
    return found


@pytest.mark.parametrize(
    ("encoder", "name", "target"),
    [
        ("libx265", "a.mkv", "big.mkv"),
        ("libx265", "a.mp4", "big.mp4"),
        ("libx265", "a.ts", "big.ts"),
        ("libx265", "a.mkv", "big.mov"),
        ("libx264", "a.mkv", "big.mkv"),
        ("libx264", "a.ts", "big.mp4"),
        ("libsvtav1", "a.mkv", "big.mkv"),
        ("libsvtav1", "a.mp4", "big.mp4"),
    ],
)
def test_the_light_of_hdr10_goes_along(tmp_path: Path, encoder: str, name: str, target: str) -> None:
    source = write(tmp_path / name, encoder, FRAMES, "yuv420p10le", options=OPTIONS[encoder])
    assert enlarge(source, tmp_path / target) == ()
    for path in (source, tmp_path / target):
        stated = light_of(path)
        assert len(stated) == len(FRAMES) or encoder == "libx264"
        assert stated
        for ratios, content in stated:
            assert content == (1000, 400)
            assert np.allclose(ratios, NUMBERS, atol=1e-4), ratios


@pytest.mark.parametrize(
    ("encoder", "name", "target"),
    [
        ("libx265", "a.mkv", "big.mkv"),
        ("libx265", "a.mp4", "big.mkv"),
        ("libx264", "a.mp4", "big.mp4"),
        ("libvpx-vp9", "a.webm", "big.webm"),
        ("libvpx-vp9", "a.webm", "big.mp4"),
    ],
)
def test_light_that_stands_in_the_container_alone_goes_along(
    tmp_path: Path, encoder: str, name: str, target: str
) -> None:
    source = write(tmp_path / name, encoder, FRAMES, options={"x265-params": "log-level=none"})
    assert not light_of(source)
    stating = light.in_mp4 if name.endswith("mp4") else light.in_matroska
    source.write_bytes(stating(source.read_bytes()))
    assert enlarge(source, tmp_path / target) == ()
    for path in (source, tmp_path / target):
        ratios, content = light_of(path)[0]
        assert content == (1000, 400)
        assert np.allclose(ratios, NUMBERS, atol=1e-4), ratios
    if encoder == "libvpx-vp9":
        assert enlarge(source, tmp_path / "big.mpg") == (LOST,)


def test_a_stream_may_state_one_of_both(tmp_path: Path) -> None:
    options = {"x265-params": "log-level=none:max-cll=1000,400"}
    source = write(tmp_path / "a.mkv", "libx265", FRAMES, "yuv420p10le", options=options)
    assert enlarge(source, tmp_path / "big.mkv") == ()
    stated = video.open_clip(tmp_path / "big.mkv").light
    assert (stated.display, stated.content) == (None, (1000, 400))


def test_light_that_an_encoder_does_not_write_is_said_to_be_lost(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mkv", "libx265", FRAMES, options=OPTIONS["libx265"])
    assert enlarge(source, tmp_path / "big.webm") == (LOST,)
    assert enlarge(source, tmp_path / "big.mpg") == (LOST,)


@pytest.mark.parametrize(
    ("nal", "last", "name"), [(hdr10_plus(), False, "HDR10+"), (dolby_vision(), True, "Dolby Vision")]
)
def test_dynamic_metadata_is_said_to_be_lost(tmp_path: Path, nal: bytes, last: bool, name: str) -> None:
    plain = write(tmp_path / "a.mkv", "libx265", FRAMES, "yuv420p10le", options=OPTIONS["libx265"])
    source = remuxed(plain, tmp_path / "b.mkv", nal, last)
    assert enlarge(source, tmp_path / "big.mkv") == (f"without {name} of its source",)
    assert light_of(tmp_path / "big.mkv")


KEPT = [
    ("a.mp4", "libx264", "yuv420p", BT709),
    ("a.mkv", "libx264", "yuv444p", {}),
    ("a.mov", "libx265", "yuv420p10le", HDR),
    ("a.webm", "libvpx-vp9", "yuv420p", {}),
]


@pytest.mark.parametrize(("name", "encoder", "pixels", "tags"), KEPT)
def test_nothing_is_said_where_all_is_kept(
    tmp_path: Path, name: str, encoder: str, pixels: str, tags: dict[str, Any]
) -> None:
    source = clip(tmp_path, name, encoder, pixels, **tags)
    assert enlarge(source, source.with_name("big" + source.suffix)) == ()


def test_what_another_container_does_not_hold_is_said(tmp_path: Path) -> None:
    source = clip(tmp_path, "a.mp4", **BT709)
    (line,) = enlarge(source, tmp_path / "big.ts")
    assert line == "without rotation, the languages of its streams, chapters, the tag title of its source"
    assert enlarge(source, tmp_path / "big.mkv") == ()
    deep = write(tmp_path / "b.mov", "prores_ks", FRAMES, "yuv422p10le")
    assert enlarge(deep, tmp_path / "big.wmv") == (
        "without 10 bits a sample (8 remain), the resolution of its colours (yuv422p10le became yuv420p) of its source",
    )


@pytest.mark.parametrize("pixels", ["gray", "yuv420p10le", "yuv422p10le", "yuv444p16le"])
def test_y4m_holds_every_depth(tmp_path: Path, pixels: str) -> None:
    source = write(tmp_path / "a.mkv", "ffv1", FRAMES, pixels)
    assert enlarge(source, tmp_path / "big.y4m") == ()
    assert enlarge(tmp_path / "big.y4m", tmp_path / "bigger.y4m") == ()
    with av.open(tmp_path / "bigger.y4m") as container:
        frames = list(container.decode(video=0))
    assert {(frame.width, frame.height, frame.format.name) for frame in frames} == {(256, 192, pixels)}
    assert len(frames) == len(FRAMES)


def test_grey_loses_no_colours(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mkv", "ffv1", FRAMES, "gray")
    assert enlarge(source, tmp_path / "big.ts") == ()


def test_streams_of_data_are_said_to_be_left_out(tmp_path: Path) -> None:
    source = tmp_path / "a.ts"
    plain = write(tmp_path / "plain.ts", "libx264", FRAMES)
    with av.open(plain) as before, av.open(str(source), "w") as after:
        pictures = after.add_stream_from_template(before.streams.video[0], opaque=True)
        data = after.add_data_stream("timed_id3")
        after.start_encoding()
        for packet in before.demux(video=0):
            if packet.size:
                packet.stream = pictures
                after.mux(packet)
                told = av.Packet(b"ID3\4\0\0\0\0\0\0")
                told.stream, told.pts, told.dts, told.time_base = data, packet.pts, packet.pts, packet.time_base
                after.mux(told)
    with av.open(source) as container:
        assert [stream.type for stream in container.streams] == ["video", "data"]
    assert enlarge(source, tmp_path / "big.ts") == ("without 1 stream of data of its source",)


def test_both_lines_are_said(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mov", "prores_ks", woven(5, TOP), "yuv422p10le", TOP)
    deinterlaced, lost = enlarge(source, tmp_path / "big.mpg")
    assert "interlaced" in deinterlaced
    assert lost == "without 10 bits a sample (8 remain) of its source"
