"""`lamnet upscale clip.mp4`: everything but the pictures stays as it was, and an interruption costs one part."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig, Upscaler
from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.batch import describe
from lamnet.batch.jobs import Job
from lamnet.batch.outcome import Outcome
from lamnet.batch.upscalers import Upscalers
from lamnet.media import arrays
from lamnet.network import weights
from lamnet.upscale import video
from lamnet.upscale.goal import Goal

av = pytest.importorskip("av", reason='needs PyAV: pip install "lamnet-sr[video]"')
from av.video.reformatter import ColorPrimaries, ColorTrc  # noqa: E402

from lamnet.media.video import encoding  # noqa: E402

WIDTH, HEIGHT, FRAMES = 64, 48, 10
TIMES = [0, 512, 1024, 1111, 2048, 4096, 4608, 5000, 5632, 6144]  # in 1/12800 s
Maker = Callable[..., Path]


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    torch.manual_seed(0)
    return Upscaler(LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2)), "cpu")


class Nearest:
    """Stands in for an Upscaler where the test looks at colours: every pixel becomes four."""

    scale = 2

    def __call__(
        self, array: np.ndarray, size: tuple[int, int] | None = None, white: float | None = None
    ) -> np.ndarray:
        assert white == 65535
        assert size in (None, (array.shape[1] * 2, array.shape[0] * 2))
        return array.repeat(2, 0).repeat(2, 1)

    def result_size(self, width: int, height: int) -> tuple[int, int]:
        return width * 2, height * 2

    def identity(self) -> dict[str, Any]:
        return {}

    def plan(self, height: int, width: int) -> Any:
        return None

    def beside(self, held: int) -> Nearest:
        return self


def picture(number: int) -> np.ndarray:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([80 + rows + number * 3, 80 + columns, 160 - (rows + columns) // 2], -1).astype(np.uint8)


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """A function that makes a clip: odd times, B-frames, a tone, subtitles, a chapter, tags of colour, rotation."""

    def call(name: str, encoder: str = "libx264", pixels: str = "yuv420p", **tags: Any) -> Path:
        path = tmp_path / name
        kind = encoding.CONTAINERS[path.suffix]
        base = Fraction(1, 12800) if kind in ("mp4", "mov") else Fraction(1, 1000)
        with av.open(str(path), "w", format=kind) as container:
            container.metadata["title"] = "A clip"
            pictures = container.add_stream(encoder, 25, width=WIDTH, height=HEIGHT, pix_fmt=pixels, time_base=base)
            pictures.metadata["language"] = "fin"
            context = pictures.codec_context
            context.sample_aspect_ratio = Fraction(4, 3)
            for key, value in tags.items():
                setattr(context, key, value)
            if "colorspace" in tags:
                pictures.set_display_rotation(90)
            sound = container.add_stream("libopus" if kind == "webm" else "aac", 48000, layout="mono")
            sound.metadata["language"] = "swe"
            written = None
            if kind == "matroska":
                written = container.add_mux_stream("subrip")
                written.metadata["title"] = "words"
                container.add_attachment("font.ttf", "font/ttf", b"not a font")
            container.set_chapters(
                [{"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}]
            )
            container.start_encoding()
            samples = np.sin(np.arange(24_000) / 20).astype(np.float32)[None]
            tone = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
            tone.sample_rate = 48000
            container.mux([*sound.encode(tone), *sound.encode(None)])
            for number, time in enumerate(TIMES):
                frame = av.VideoFrame.from_ndarray(picture(number)).reformat(format=pixels)
                frame.pts, frame.time_base = int(time * Fraction(1, 12800) / base), base
                for key, value in tags.items():
                    setattr(frame, key, value)
                container.mux(pictures.encode(frame))
            container.mux(pictures.encode(None))
            if written is not None:
                packet = av.Packet("Hyvää päivää".encode())
                packet.stream, packet.pts, packet.dts, packet.duration = written, 100, 100, 250
                packet.time_base = Fraction(1, 1000)
                container.mux(packet)
        return path

    return call


def steps(upscaler: Any, source: Path, target: Path, part: int = 4) -> Iterator[float]:
    return video.steps(upscaler, video.open_clip(source), target, part)


def upscale(upscaler: Any, source: Path, target: Path | None = None, part: int = 4) -> Path:
    target = target or source.with_name("big" + source.suffix)
    progress = list(steps(upscaler, source, target, part))
    assert progress == sorted(progress)
    assert progress[-1] == 1
    return target


def times(path: Path) -> list[Fraction]:
    with av.open(path) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def copied(path: Path) -> list[tuple[str, Any, Any, bytes]]:
    """The packets of all streams but the pictures."""
    with av.open(path) as container:
        others = [stream for stream in container.streams if stream.type in ("audio", "subtitle")]
        packets = [p for p in container.demux(*others) if p.size]
        return sorted((p.stream.type, p.pts * p.time_base, p.duration * p.time_base, bytes(p)) for p in packets)


def described(path: Path) -> dict[str, Any]:
    """What has to be the same before and after."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        context = stream.codec_context
        return {
            "codec": context.codec.canonical_name,
            "pixels": context.pix_fmt,
            "colours": (context.color_range, context.color_primaries, context.color_trc, context.colorspace),
            "aspect": stream.sample_aspect_ratio,
            "rotation": frame.rotation,
            "base": stream.time_base,
            "title": container.metadata.get("title"),
            "streams": [(s.type, s.language, s.disposition, s.metadata.get("title")) for s in container.streams],
            "chapters": [(c["start"] * c["time_base"], c["metadata"]) for c in container.chapters()],
            "attached": [(s.name, s.data) for s in container.streams if s.type == "attachment"],
        }


BT709 = {"colorspace": 1, "color_range": 1, "color_primaries": ColorPrimaries.BT709, "color_trc": ColorTrc.BT709}
HDR = {"colorspace": 9, "color_range": 1, "color_primaries": ColorPrimaries.BT2020, "color_trc": ColorTrc.SMPTE2084}


@pytest.mark.parametrize(
    ("name", "encoder", "pixels", "tags"),
    [
        ("a.mp4", "libx264", "yuv420p", BT709),
        ("a.mkv", "libx264", "yuv444p", BT709),
        ("a.mov", "libx265", "yuv420p10le", HDR),
        ("a.mov", "prores_ks", "yuv422p10le", BT709),
        ("a.webm", "libvpx-vp9", "yuv420p", BT709 | {"color_range": 2}),
        ("a.mkv", "libsvtav1", "yuv420p10le", HDR),
        ("a.mkv", "ffv1", "gray", {}),
    ],
)
def test_all_but_the_pictures_stays(
    make: Maker, upscaler: Upscaler, name: str, encoder: str, pixels: str, tags: dict[str, Any]
) -> None:
    source = make(name, encoder, pixels, **tags)
    target = upscale(upscaler, source)
    assert times(target) == times(source)
    assert len(times(target)) == FRAMES
    assert described(target) == described(source)
    assert copied(target) == copied(source)
    with av.open(target) as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {(2 * WIDTH, 2 * HEIGHT)}
    assert sorted(path.name for path in source.parent.iterdir()) == sorted([source.name, target.name])


@pytest.mark.parametrize(("pixels", "tolerance"), [("yuv444p", 1), ("yuv444p16le", 160)])
def test_a_video_goes_through_in_its_own_colours(make: Maker, tmp_path: Path, pixels: str, tolerance: int) -> None:
    """Pixels doubled in RGB are the source's, whatever the matrix and range; FFmpeg's sums are good to half of 1/256."""
    for number, tags in enumerate([BT709, HDR, BT709 | {"color_range": 2}, {}]):
        source = make(f"{number}.mkv", "ffv1", pixels, **tags)
        target = upscale(Nearest(), source, tmp_path / f"{number}_big.mkv")
        with av.open(source) as before, av.open(target) as after:
            for small, big in zip(before.decode(video=0), after.decode(video=0), strict=True):
                expected, got = (frame.to_ndarray(channel_last=True).astype(int) for frame in (small, big))
                assert np.abs(got - expected.repeat(2, 0).repeat(2, 1)).max() <= tolerance


def test_chroma_stays_where_it_was(make: Maker, tmp_path: Path) -> None:
    """4:2:0 samples lie left of the pixels they stand for: taken as centred, colours would move by a pixel at x4."""
    source = tmp_path / "edge.mkv"
    with av.open(source, "w") as container:
        stream = container.add_stream("ffv1", 25, width=64, height=64, pix_fmt="yuv420p")
        planes = np.full((96, 64), 128, np.uint8)
        ramp = np.linspace(40, 210, 32).astype(np.uint8)
        planes[64:80] = np.tile(ramp, (32, 1)).reshape(16, 64)
        container.mux([*stream.encode(av.VideoFrame.from_ndarray(planes, "yuv420p")), *stream.encode(None)])
    target = upscale(Nearest(), source)
    with av.open(target) as container:
        blue = next(container.decode(video=0)).to_ndarray()[128:160].reshape(64, 64)[32].astype(float)
    # Sample j of the source lies at pixel 2j, so at 4j + 0.5 of the result, whose own sample k lies at 2k.
    expected = np.interp(np.arange(64) * 2, np.arange(32) * 4 + 0.5, ramp)
    assert np.abs(blue - expected)[12:-12].max() < 1


def test_a_video_that_says_no_matrix_gets_the_one_it_was_seen_by(make: Maker, upscaler: Upscaler) -> None:
    """Players guess it from the size, and would guess another for 128 x 96 than for 1280 x 960."""
    target = upscale(upscaler, make("a.mp4"))
    assert described(target)["colours"] == (1, 2, 2, 6)


def test_an_interruption_costs_one_part(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source, target = make("a.mp4", **BT709), tmp_path / "cut.mp4"
    whole = upscale(upscaler, source)
    running = steps(upscaler, source, target)
    for _ in range(6):
        next(running)
    running.close()  # as Ctrl-C does
    assert not target.exists()
    folder = tmp_path / ".cut.mp4.partial"
    first = (folder / "000000.mkv").stat().st_mtime_ns

    calls = 0

    class Counting(Upscaler):
        def __call__(
            self, array: np.ndarray, size: tuple[int, int] | None = None, white: float | None = None
        ) -> np.ndarray:
            nonlocal calls
            calls += 1
            assert (folder / "000000.mkv").stat().st_mtime_ns == first
            return super().__call__(array, size, white)

    upscale(Counting(upscaler.network, "cpu"), source, target)
    assert calls == FRAMES - 4
    assert target.read_bytes() == whole.read_bytes()
    assert not folder.exists()


def test_times_cut_short_cost_their_part(
    make: Maker, upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = make("a.mp4"), tmp_path / "cut.mp4"
    whole = upscale(upscaler, source)
    write = Path.write_text

    def cut(path: Path, text: str) -> int:
        if not text.startswith("[["):
            return write(path, text)
        write(path, text[:3])
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", cut)
        with pytest.raises(BadImageError):
            upscale(upscaler, source, target)
    upscale(upscaler, source, target)
    assert target.read_bytes() == whole.read_bytes()


def test_parts_of_other_weights_are_not_used(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source, target = make("a.mp4"), tmp_path / "cut.mp4"
    torch.manual_seed(1)
    running = steps(Upscaler(LAMNet(upscaler.network.config), "cpu"), source, target)
    for _ in range(6):
        next(running)
    running.close()
    assert upscale(upscaler, source, target).read_bytes() == upscale(upscaler, source).read_bytes()


def test_a_folder_with_something_else_is_left_alone(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    mine = tmp_path / ".big.mp4.partial" / "000000.mkv"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(BadImageError, match="partial"):
        upscale(upscaler, make("a.mp4"))
    assert mine.read_text() == "mine"


def test_what_is_no_whole_video_is_one_line(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    whole = make("a.mp4").read_bytes()
    spoilt = {
        "empty.mp4": b"",
        "text.mp4": b"no video" * 99,
        "half.mp4": whole[: len(whole) // 2],
        "font.mkv": b"\x1aE\xdf\xa3",
    }
    for name, content in spoilt.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadImageError, match=name) as caught:
            upscale(upscaler, tmp_path / name, tmp_path / "out.mp4")
        assert "\n" not in str(caught.value)
    with pytest.raises(BadImageError, match="missing"):
        upscale(upscaler, tmp_path / "missing.mp4", tmp_path / "out.mp4")
    assert not list(tmp_path.glob("out*"))


def test_the_command_takes_videos_among_pictures(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source, model = make("a.mp4"), tmp_path / "model.safetensors"
    weights.save(model, upscaler.network)
    arrays.write_array(tmp_path / "b.png", picture(0))
    command = [sys.executable, "-m", "lamnet", "upscale", str(tmp_path), "--scale", "2", "--device", "cpu"]
    done = subprocess.run([*command, "--model", str(model)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(tmp_path / "a_x2.mp4"), str(tmp_path / "b_x2.png")], done.stderr
    assert times(tmp_path / "a_x2.mp4") == times(source)


def test_a_container_that_cannot_hold_the_subtitles_is_refused_before_the_work(
    make: Maker, upscaler: Upscaler, tmp_path: Path
) -> None:
    with pytest.raises(BadImageError, match=r"out\.webm.*mkv"):
        next(steps(upscaler, make("a.mkv"), tmp_path / "out.webm"))


def test_another_container_keeps_sound_and_times(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source = make("a.webm", "libvpx-vp9")
    target = upscale(upscaler, source, tmp_path / "out.mp4")
    assert times(target) == times(source)
    assert [packet[3] for packet in copied(target)] == [packet[3] for packet in copied(source)]
    assert described(target)["codec"] == "vp9"


@pytest.mark.parametrize(
    ("name", "encoder", "goal", "size"),
    [
        ("a.mp4", "libx264", Goal(1.5), (96, 72)),
        ("a.mp4", "libx264", Goal(1.45), (92, 70)),  # 92.8 x 69.6, in whole samples of chroma
        ("a.webm", "libvpx-vp9", Goal(1.45), (93, 70)),  # whose codec takes any
        ("a.mp4", "libx264", Goal(width=100), (74, 56)),  # its pixels are 4:3, so 74 of them are shown as 99
        ("a.mp4", "libx264", Goal(height=170, width=80), (106, 80)),  # shown upright: 48 x 85 before
    ],
)
def test_any_size_keeps_the_pixels_shape(
    make: Maker, upscaler: Upscaler, name: str, encoder: str, goal: Goal, size: tuple[int, int]
) -> None:
    source = make(name, encoder, **(BT709 if goal.height else {}))
    target = upscale(Upscaler(upscaler.network, "cpu", goal=goal), source)
    assert times(target) == times(source)
    assert described(target)["aspect"] == described(source)["aspect"]
    with av.open(target) as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {size}


def test_a_reduced_frame_is_the_reduced_picture(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    reduced = Upscaler(upscaler.network, "cpu", goal=Goal(1.5))
    source = make("a.mkv", "ffv1", "gbrp16le")
    target = upscale(reduced, source)
    with av.open(source) as before, av.open(target) as after:
        small, big = (next(one.decode(video=0)).to_ndarray(format="rgb48le") for one in (before, after))
    assert (reduced(small) == big).all()


def test_a_dry_run_says_what_would_be_done(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    make("a.mp4")
    make("b.mkv")
    jobs = [Job(tmp_path / "a.mp4", tmp_path / "a_x2"), Job(tmp_path / "b.mkv", tmp_path / "b.webm", False)]
    upscalers = Upscalers([Upscaler(upscaler.network, "cpu")], Goal(2), 10_000)
    line, refused = describe.describe_jobs(jobs, upscalers)
    assert str(line).startswith(
        f"{tmp_path}/a.mp4 -> {tmp_path}/a_x2.mp4: 64 x 48 -> 128 x 96, 10 frames, h264 yuv420p, "
    )
    assert isinstance(refused, Outcome)
    assert "cannot hold" in str(refused.problem)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_encoder_has_its_share_of_the_memory(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source, target = make("clip.mp4"), tmp_path / "big.mp4"
    clip = video.open_clip(source)
    plan = video.beside_encoder(upscaler, video.encoding_for(upscaler, clip, target)).plan(clip.height, clip.width)
    assert plan.memory == upscaler.plan(clip.height, clip.width).memory + video.HELD * 4 * WIDTH * HEIGHT
    with pytest.raises(BadArgumentError, match="memory: expected at least"):
        Upscaler(upscaler.network, "cpu", memory=500_500_000).file(source, target)


def test_too_little_memory_is_refused_and_leaves_nothing(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    with pytest.raises(BadArgumentError, match="memory: expected"):
        Upscaler(upscaler.network, "cpu", memory=1_000_000).file(make("clip.mp4"), tmp_path / "big.mp4")
    assert not list(tmp_path.glob("*big*")) + list(tmp_path.glob(".*"))


def test_an_upscaler_takes_video_files(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source = make("a.mp4")
    upscaler.file(source, tmp_path / "big.mp4")
    assert times(tmp_path / "big.mp4") == times(source)
    with pytest.raises(BadImageError, match="max-pixels"):
        Upscaler(upscaler.network, "cpu", max_pixels=1000).file(source, tmp_path / "other.mp4")


@pytest.mark.parametrize(
    ("encoder", "pixels", "target"),
    [("png", "rgba", "big.mkv"), ("png", "rgba", "big.mp4"), ("qtrle", "rgb24", "big.mkv")],
)
def test_transparency_and_rgb_are_kept(make: Maker, tmp_path: Path, encoder: str, pixels: str, target: str) -> None:
    """Once RGB became YUV that was said to be RGB, and transparency was gone."""
    small = make("a.mov", encoder, pixels)
    big = upscale(Nearest(), small, tmp_path / target)
    assert described(big)["codec"] == "ffv1"
    with av.open(small) as before, av.open(big) as after:
        one, other = (next(found.decode(video=0)).to_ndarray(format=pixels) for found in (before, after))
    assert (one.repeat(2, 0).repeat(2, 1) == other).all()


def test_transparency_that_no_codec_of_the_container_holds_is_refused(make: Maker, tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match="transparency"):
        upscale(Nearest(), make("a.mov", "png", "rgba"), tmp_path / "out.mov")


def test_a_picture_with_the_name_of_a_video_is_refused(tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.png", picture(0))
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    with pytest.raises(BadImageError, match="found a picture"):
        video.open_clip(tmp_path / "a.mp4")
