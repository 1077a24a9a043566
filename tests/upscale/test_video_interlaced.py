"""Interlaced video becomes progressive, or is refused; a line says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamnet.base.errors import BadImageError
from lamnet.base.progress import finish
from lamnet.upscale import video

av = pytest.importorskip("av", reason='needs PyAV: pip install "lamnet-sr[video]"')
from lamnet.media.video.fields import AS_IT_IS, COMBED, DEINTERLACED, SINGLE_FIELDS  # noqa: E402
from support.clips import NEAREST, since_start  # noqa: E402
from support.sources import BOTTOM, HEIGHT, TOP, WIDTH, frames_of, moment, woven, write  # noqa: E402

COUNT = 12
FINE = {"crf": "8"}


def enlarge(source: Path, target: Path, part: int = 5) -> tuple[str, ...]:
    return finish(video.steps(NEAREST, video.open_clip(source), target, part))


def error_of(path: Path, first: int = 0) -> list[float]:
    """Mean errors of the frames of a doubled clip, of 255, against every second moment from this one on."""
    shown = [moment(number)[..., 0].repeat(2, 0).repeat(2, 1).astype(float) for number in range(first, 2 * COUNT, 2)]
    return [float(np.abs(one - other).mean()) for one, other in zip(frames_of(path), shown, strict=True)]


def is_interlaced(path: Path) -> bool:
    with av.open(path) as container:
        stream = container.streams.video[0]
        return stream.codec_context.field_order > 1 or any(frame.interlaced_frame for frame in container.decode(stream))


SOURCES = [
    ("a.mp4", "libx264", "yuv420p", {"options": FINE}),
    ("a.mkv", "libx264", "yuv420p", {"options": FINE}),
    ("a.ts", "mpeg2video", "yuv420p", {"sound": "mp2", "options": {"b": "4M"}}),
    ("a.mpg", "mpeg2video", "yuv420p", {"sound": "mp2", "options": {"b": "4M"}, "muxer": "vob"}),
    ("a.avi", "mpeg4", "yuv420p", {"options": {"b": "4M"}}),
    ("a.mov", "prores_ks", "yuv422p10le", {}),
    ("b.mkv", "ffv1", "yuv444p", {}),
]


@pytest.mark.parametrize("order", [TOP, BOTTOM])
@pytest.mark.parametrize(("name", "encoder", "pixels", "rest"), SOURCES)
def test_each_frame_shows_the_moment_of_the_field_that_was_shown_first(
    tmp_path: Path, name: str, encoder: str, pixels: str, rest: dict[str, Any], order: str
) -> None:
    source = write(tmp_path / name, encoder, woven(COUNT, order), pixels, order, **rest)
    target = tmp_path / f"big{source.suffix}"
    assert enlarge(source, target) == (DEINTERLACED,)
    assert max(error_of(target)) < 3 < min(error_of(target, first=1)), (error_of(target), error_of(target, first=1))
    assert is_interlaced(source)
    assert not is_interlaced(target)
    assert since_start(target) == since_start(source)


@pytest.mark.parametrize(("field_order", "order"), [(2, TOP), (3, BOTTOM), (4, BOTTOM), (5, TOP)])
@pytest.mark.parametrize(
    ("name", "encoder", "pixels"), [("a.mov", "mjpeg", "yuvj422p"), ("a.mkv", "libvpx-vp9", "yuv420p")]
)
def test_codecs_that_know_no_fields_go_by_their_container(
    tmp_path: Path, name: str, encoder: str, pixels: str, field_order: int, order: str
) -> None:
    options = {"b": "0", "crf": "4"} if "vp9" in encoder else {"qmax": "2"}
    source = write(tmp_path / name, encoder, woven(COUNT, order), pixels, options=options, field_order=field_order)
    with av.open(source) as container:
        if container.streams.video[0].codec_context.field_order < 2:
            pytest.skip("this muxer does not say it")
    target = tmp_path / f"big{source.suffix}"
    assert enlarge(source, target) == (DEINTERLACED,)
    assert max(error_of(target)) < 4 < min(error_of(target, first=1))
    assert not is_interlaced(target)


def test_a_y4m_file_says_it_in_its_header(tmp_path: Path) -> None:
    source = write(tmp_path / "a.y4m", "wrapped_avframe", woven(COUNT, BOTTOM))
    source.write_bytes(source.read_bytes().replace(b" Ip ", b" Ib ", 1))
    assert enlarge(source, tmp_path / "big.y4m") == (DEINTERLACED,)
    assert max(error_of(tmp_path / "big.y4m")) < 3 < min(error_of(tmp_path / "big.y4m", first=1))
    assert b" Ip " in (tmp_path / "big.y4m").read_bytes()[:80]


def test_progressive_frames_pass_as_they_are(tmp_path: Path) -> None:
    """A stream may change; the filter begins with the first interlaced frame and touches no other."""
    frames = [moment(2 * number) for number in range(COUNT)]
    still = write(tmp_path / "still.mkv", "ffv1", frames, "yuv444p")
    laced = write(tmp_path / "laced.mkv", "ffv1", woven(COUNT, TOP), "yuv444p", TOP)
    source = tmp_path / "both.mkv"
    with av.open(still) as one, av.open(laced) as other, av.open(str(source), "w") as container:
        stream = container.add_stream_from_template(one.streams.video[0], opaque=True)
        for number, packet in enumerate([*one.demux(video=0), *other.demux(video=0)]):
            if packet.size:
                packet.pts = packet.dts = 40 * (number - (number > COUNT))
                packet.stream = stream
                container.mux(packet)
    assert not video.open_clip(source).interlaced
    assert enlarge(source, tmp_path / "big.mkv") == (DEINTERLACED,)
    before, after = frames_of(source), frames_of(tmp_path / "big.mkv")
    assert len(before) == len(after) == 2 * COUNT
    for small, big in zip(before[:COUNT], after[:COUNT], strict=True):
        assert np.abs(small.repeat(2, 0).repeat(2, 1) - big).max() <= 1
    assert not is_interlaced(tmp_path / "big.mkv")
    kept = video.open_clip(source, fields="keep")
    with pytest.raises(BadImageError, match="--fields keep"):
        finish(video.steps(NEAREST, kept, tmp_path / "kept.mkv"))
    assert not (tmp_path / "kept.mkv").exists()


def test_an_interrupted_clip_goes_on_with_the_same_frames(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4", "libx264", woven(COUNT, TOP), order=TOP)
    enlarge(source, tmp_path / "whole.mp4", part=4)
    running = video.steps(NEAREST, video.open_clip(source), tmp_path / "cut.mp4", 4)
    for _ in range(6):
        next(running)
    running.close()
    assert enlarge(source, tmp_path / "cut.mp4", part=4) == (DEINTERLACED,)
    assert (tmp_path / "cut.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_fields_that_are_pictures_of_their_own_are_named(tmp_path: Path) -> None:
    """HEVC codes fields as pictures of half the height; two of them woven would not be what a player shows."""
    options = {"x265-params": "log-level=none:interlace=tff"}
    source = write(tmp_path / "a.mkv", "libx265", [moment(number) for number in range(8)], rate=50, options=options)
    assert enlarge(source, tmp_path / "big.mkv") == (SINGLE_FIELDS,)
    assert len(frames_of(tmp_path / "big.mkv")) == len(frames_of(source))


def test_fields_that_are_to_be_kept_are_refused_before_the_work(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4", "libx264", woven(4, TOP), order=TOP)
    with pytest.raises(BadImageError, match=r"a\.mp4: expected progressive video with --fields keep, found interlaced"):
        video.open_clip(source, fields="keep")
    progressive = write(tmp_path / "b.mp4", "libx264", [moment(number) for number in range(4)])
    assert not video.open_clip(progressive, fields="keep").interlaced


UNMARKED = [
    ("a.mp4", "libx264", "yuv420p", FINE),
    ("a.mkv", "libx265", "yuv420p", {"crf": "6", "x265-params": "log-level=none"}),
    ("a.mov", "mjpeg", "yuvj422p", {"qmax": "2"}),
    ("b.mkv", "libx264rgb", "rgb24", {"qp": "4"}),
    ("c.mkv", "ffv1", "yuv422p10le", {}),
]


@pytest.mark.parametrize("order", [TOP, BOTTOM])
@pytest.mark.parametrize(("name", "encoder", "pixels", "options"), UNMARKED)
def test_what_nothing_marks_is_known_by_its_combs(
    tmp_path: Path, name: str, encoder: str, pixels: str, options: dict[str, str], order: str
) -> None:
    source = write(tmp_path / name, encoder, woven(COUNT, order), pixels, options=options)
    assert not is_interlaced(source)
    target = tmp_path / f"big{source.suffix}"
    assert enlarge(source, target) == (COMBED,)
    assert max(error_of(target)) < 4 < min(error_of(target, first=1))
    assert since_start(target) == since_start(source)
    with pytest.raises(BadImageError, match="--fields keep"):
        video.open_clip(source, fields="keep")


def _scrolling(number: int) -> np.ndarray:
    lines = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    lines[::12, 8:-8] = lines[1::12, 8:-8] = lines[4::12, 20:40] = 230
    return np.roll(lines, -number, 0)


def _panning(number: int) -> np.ndarray:
    picture = np.random.default_rng(0).integers(0, 256, (3 * HEIGHT, 3 * WIDTH, 1)).astype(np.uint8).repeat(3, 2)
    return picture[number : number + HEIGHT, 2 * number : 2 * number + WIDTH]


@pytest.mark.parametrize(
    "frame",
    [
        lambda number: moment(2 * number),
        lambda number: moment(0),
        lambda number: (moment(0) * (number / 24)).astype(np.uint8),
        lambda number: np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8),
        _scrolling,
        _panning,
    ],
    ids=["moving", "still", "fading in", "noise", "scrolling text", "panning"],
)
def test_progressive_clips_have_no_combs(tmp_path: Path, frame: Callable[[int], np.ndarray]) -> None:
    source = write(tmp_path / "a.mkv", "ffv1", [frame(number) for number in range(24)], "yuv444p")
    assert not video.open_clip(source).interlaced


@pytest.mark.parametrize("marked", [TOP, "prog"])
def test_frames_are_taken_as_they_are_where_that_is_asked(tmp_path: Path, marked: str) -> None:
    source = write(tmp_path / "a.mkv", "ffv1", woven(COUNT, TOP), "yuv444p", marked)
    steps = video.steps(NEAREST, video.open_clip(source, fields="progressive"), tmp_path / "big.mkv")
    assert finish(steps) == ((AS_IT_IS,) if marked == TOP else ())
    for small, big in zip(frames_of(source), frames_of(tmp_path / "big.mkv"), strict=True):
        assert np.abs(small.repeat(2, 0).repeat(2, 1) - big).max() <= 1
    assert not is_interlaced(tmp_path / "big.mkv")
