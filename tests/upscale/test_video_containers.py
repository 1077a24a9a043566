"""Containers by their names: all that FFmpeg reads, written as the name says or as Matroska, at the rate that was stated."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.base.progress import finish
from lamnet.batch import describe, finding, one
from lamnet.batch.jobs import Job
from lamnet.batch.left_out import LeftOut
from lamnet.batch.outcome import Outcome
from lamnet.batch.upscalers import Upscalers
from lamnet.upscale import video
from lamnet.upscale.goal import Goal

av = pytest.importorskip("av", reason='needs PyAV: pip install "lamnet-sr[video]"')
from lamnet.media.video import containers  # noqa: E402
from support.clips import NEAREST, copied, since_start, times  # noqa: E402
from support.sources import frames_of, moment, raw, write  # noqa: E402

COUNT = 12
FRAMES = [moment(number) for number in range(COUNT)]
VARYING = [0, 40, 80, 95, 160, 320, 360, 390, 440, 480, 520, 560]  # ms


def enlarge(source: Path, target: Path, part: int = 5) -> tuple[str, ...]:
    return finish(video.steps(NEAREST, video.open_clip(source), target, part))


def stated(path: Path) -> tuple[str, str, Fraction | None, Fraction | None]:
    """Container, codec, average rate, rate of the ticks."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.codec.canonical_name
        return container.format.name, codec, stream.average_rate, stream.base_rate


def shows_the_source(source: Path, target: Path) -> bool:
    pairs = list(zip(frames_of(source), frames_of(target), strict=True))
    return bool(pairs) and all(np.abs(a.repeat(2, 0).repeat(2, 1) - b).mean() < 3 for a, b in pairs)


WRITTEN = [
    ("a.avi", "mpeg4", "mp2", None, "avi", "h264"),
    ("b.avi", "libx264", "mp2", None, "avi", "h264"),
    ("c.divx", "mpeg4", "mp2", "avi", "avi", "h264"),
    ("a.mpg", "mpeg2video", "mp2", "vob", "mpeg", "mpeg2video"),
    ("b.MPEG", "mpeg1video", "mp2", "mpeg", "mpeg", "mpeg2video"),
    ("a.vob", "mpeg2video", "ac3", "vob", "mpeg", "mpeg2video"),
    ("a.ts", "libx264", "aac", None, "mpegts", "h264"),
    ("b.ts", "mpeg2video", "mp2", None, "mpegts", "h264"),
    ("c.ts", "libx265", "aac", None, "mpegts", "hevc"),
    ("a.m2ts", "libx264", "ac3", "mpegts", "mpegts", "h264"),
    ("a.MTS", "libx264", "ac3", "mpegts", "mpegts", "h264"),
    ("a.flv", "flv", "aac", None, "flv", "h264"),
    ("b.flv", "libx264", "aac", None, "flv", "h264"),
    ("a.f4v", "libx264", "aac", None, "mov,mp4,m4a,3gp,3g2,mj2", "h264"),
    ("a.3gp", "mpeg4", "aac", None, "mov,mp4,m4a,3gp,3g2,mj2", "h264"),
    ("a.y4m", "wrapped_avframe", None, None, "yuv4mpegpipe", "rawvideo"),
    ("a.wmv", "wmv2", "mp2", "asf", "asf", "mpeg4"),
    ("a.nut", "ffv1", None, None, "nut", "ffv1"),
]


@pytest.mark.parametrize(("name", "encoder", "sound", "muxer", "container", "codec"), WRITTEN)
def test_a_result_is_of_the_kind_that_its_name_says(
    tmp_path: Path, name: str, encoder: str, sound: str | None, muxer: str | None, container: str, codec: str
) -> None:
    options = {"x265-params": "log-level=none"} if encoder == "libx265" else {"b": "4M"}
    source = write(tmp_path / name, encoder, FRAMES, sound=sound, muxer=muxer, options=options)
    assert video.suffix_for(NEAREST, video.open_clip(source)) == source.suffix
    target = tmp_path / f"big{source.suffix}"
    assert enlarge(source, target) == ()
    assert stated(target)[:2] == (container, codec)
    assert stated(target)[2] in (25, None)  # which ASF does not state, and a short clip does not show
    assert stated(target)[3] == 25
    assert len(times(target)) == COUNT
    assert since_start(target) == [Fraction(number, 25) for number in range(COUNT)]
    assert shows_the_source(source, target)
    if sound:
        assert [packet[3] for packet in copied(target)] == [packet[3] for packet in copied(source)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, target.name])


def test_packets_of_blu_ray_discs_have_four_bytes_more(tmp_path: Path) -> None:
    source = write(tmp_path / "a.ts", "libx264", FRAMES)
    enlarge(source, tmp_path / "big.ts")
    enlarge(source, tmp_path / "big.m2ts")
    assert [(tmp_path / f"big{suffix}").read_bytes()[place] for suffix, place in ((".ts", 188), (".m2ts", 196))] == [
        71
    ] * 2


READ = [
    ("a.mxf", "mpeg2video", None),
    ("a.ogv", "libvpx", "ogg"),
    ("a.ivf", "libvpx-vp9", None),
    ("a.m2v", "mpeg2video", None),
    ("a.mjpeg", "mjpeg", None),
    ("a.rm", "rv20", None),
]


@pytest.mark.parametrize(("name", "encoder", "muxer"), READ)
def test_what_is_only_read_becomes_matroska_and_a_line_says_so(
    tmp_path: Path, upscaler: Upscaler, name: str, encoder: str, muxer: str | None
) -> None:
    pixels = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
    source = write(tmp_path / name, encoder, FRAMES, pixels, muxer=muxer, options={"b": "4M"})
    outcome = upscaled(source, upscaler)
    assert (outcome.problem, outcome.target) == (None, tmp_path / "a_x2.mkv")
    assert outcome.notes == (
        f"is Matroska, since {source.suffix} cannot be written, or not with all that is in this one",
    )
    assert since_start(tmp_path / "a_x2.mkv") == [Fraction(number, 25) for number in range(COUNT)]
    with pytest.raises(BadImageError, match=rf"big\{source.suffix}: expected a name that ends in one of \.3g2, "):
        enlarge(source, tmp_path / f"big{source.suffix}")


def upscaled(source: Path, upscaler: Upscaler) -> Outcome:
    upscalers = Upscalers([Upscaler(upscaler.engine.network, "cpu")], Goal(2), 10_000)
    return finish(one.upscale_one(Job(source, source.with_name(source.stem + "_x2")), upscalers, overwrite=False))


@pytest.mark.parametrize(
    ("encoder", "name", "bitstream"),
    [("libx264", "a.h264", "h264_mp4toannexb"), ("libx265", "a.hevc", "hevc_mp4toannexb")],
)
def test_raw_streams_have_times_by_their_rate(tmp_path: Path, encoder: str, name: str, bitstream: str) -> None:
    options = {"x265-params": "log-level=none"} if encoder == "libx265" else {}
    source = raw(write(tmp_path / "a.mkv", encoder, FRAMES, options=options), tmp_path / name, bitstream)
    assert enlarge(source, tmp_path / "big.mkv") == ()
    assert times(tmp_path / "big.mkv") == [Fraction(number, 25) for number in range(COUNT)]
    assert shows_the_source(source, tmp_path / "big.mkv")


def test_frames_of_avi_come_in_the_order_they_are_shown(tmp_path: Path) -> None:
    """AVI states times of decoding alone; with B-frames they were taken for those of showing, and frames moved."""
    source = write(tmp_path / "a.avi", "libx264", FRAMES, options={"bf": "3", "b-adapt": "0"})
    enlarge(source, tmp_path / "big.mkv")
    assert times(tmp_path / "big.mkv") == [Fraction(number, 25) for number in range(COUNT)]
    assert shows_the_source(source, tmp_path / "big.mkv")


@pytest.mark.parametrize("suffix", [".avi", ".y4m"])
def test_containers_of_one_rate_refuse_others_before_the_work(tmp_path: Path, upscaler: Upscaler, suffix: str) -> None:
    source = write(tmp_path / "a.mkv", "libx264", FRAMES, times=VARYING)
    with pytest.raises(
        BadImageError, match=rf"big\{suffix}: expected a name that ends in \.mkv, for frames of varying"
    ):
        next(video.steps(NEAREST, video.open_clip(source), tmp_path / f"big{suffix}"))
    steady = write(tmp_path / "b.mkv", "libx264", FRAMES, rate=Fraction(30000, 1001))  # in ms: 0, 33, 67 ...
    assert enlarge(steady, tmp_path / f"big{suffix}") == ()
    assert stated(tmp_path / f"big{suffix}")[2] == Fraction(30000, 1001)


@pytest.mark.thorough
def test_streams_that_a_container_does_not_hold_make_it_matroska(tmp_path: Path, upscaler: Upscaler) -> None:
    source = write(tmp_path / "a.mpg", "mpeg2video", FRAMES, muxer="mpegts", rate=Fraction(50, 3), sound="aac")
    outcome = upscaled(source, upscaler)
    assert (outcome.problem, outcome.target) == (None, tmp_path / "a_x2.mkv")
    assert "is Matroska, since .mpg cannot be written" in outcome.notes[0]
    upscalers = Upscalers([Upscaler(upscaler.engine.network, "cpu")], Goal(2), 10_000)
    [line] = describe.describe_jobs([Job(source, tmp_path / "b_x2")], upscalers)
    assert str(line).startswith(f"{source} -> {tmp_path}/b_x2.mkv: ")


RECODED = [("a.mkv", "mpeg2video"), ("a.mkv", "mpeg4"), ("a.mp4", "mpeg4"), ("a.mov", "mjpeg"), ("a.ts", "mpeg2video")]


@pytest.mark.parametrize(
    ("name", "encoder"), [*RECODED, ("a.mkv", "libx264"), ("a.mkv", "libvpx-vp9"), ("a.avi", "mpeg4")]
)
@pytest.mark.parametrize("rate", [25, Fraction(30000, 1001)])
def test_matroska_states_the_rate_of_its_source(tmp_path: Path, name: str, encoder: str, rate: Any) -> None:
    pixels = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
    source = write(tmp_path / name, encoder, FRAMES, pixels, rate=rate)
    enlarge(source, tmp_path / "big.mkv")
    assert stated(tmp_path / "big.mkv")[2:] == (rate, rate)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.flv"])
@pytest.mark.parametrize("encoder", ["libx264", "mpeg4"])
def test_matroska_states_the_average_of_a_variable_rate(tmp_path: Path, name: str, encoder: str) -> None:
    if (name, encoder) == ("a.flv", "mpeg4"):
        encoder = "flv"
    source = write(tmp_path / name, encoder, FRAMES, times=VARYING, options={"bf": "0"})
    enlarge(source, tmp_path / "big.mkv")
    assert stated(tmp_path / "big.mkv")[2] == stated(source)[2]
    assert stated(tmp_path / "big.mkv")[3] == stated(source)[2]
    assert [round(1000 * time) for time in since_start(tmp_path / "big.mkv")] == VARYING


def test_code_in_a_folder_is_no_video(tmp_path: Path) -> None:
    """TypeScript has the suffixes of transport streams."""
    for name in ("a.ts", "b.m2ts"):
        write(tmp_path / name, "libx264", FRAMES, muxer="mpegts")
    (tmp_path / "c.ts").write_text("export const scale = 4;\n")
    (tmp_path / "d.mts").write_text("export {};\n")
    left_out = LeftOut()
    found = [job.source.name for job in finding.find([str(tmp_path)], None, "_x2", left_out)]
    assert found == ["a.ts", "b.m2ts"]
    assert str(left_out.others) == "1 .ts, 1 .mts (c.ts, d.mts)"


def test_every_suffix_is_read_or_written() -> None:
    assert not containers.READ_ONLY & containers.MUXERS.keys()
    assert {*containers.MUXERS.values()} <= av.formats_available
    assert {*containers.OPTIONS} <= {*containers.MUXERS}
    assert containers.STEADY | containers.QUICKTIME | {*containers.CODECS} <= {*containers.MUXERS.values()}
