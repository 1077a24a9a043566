"""`lamnet upscale clip.mp4`: everything but the pictures stays as it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.batch import describe
from lamnet.batch.jobs import Job
from lamnet.batch.outcome import Outcome
from lamnet.batch.upscalers import Upscalers
from lamnet.media import arrays
from lamnet.network import weights
from lamnet.upscale.goal import Goal

av = pytest.importorskip("av", reason='needs PyAV: pip install "lamnet-sr[video]"')
from support.clips import (  # noqa: E402
    BT709,
    FRAMES,
    HDR,
    HEIGHT,
    WIDTH,
    copied,
    described,
    picture,
    times,
    upscale,
)

Maker = Callable[..., Path]


@pytest.mark.thorough
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
    target = upscale(upscaler.planner, source)
    assert times(target) == times(source)
    assert len(times(target)) == FRAMES
    assert described(target) == described(source)
    assert copied(target) == copied(source)
    with av.open(target) as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {(2 * WIDTH, 2 * HEIGHT)}
    assert sorted(path.name for path in source.parent.iterdir()) == sorted([source.name, target.name])


def test_another_container_keeps_sound_and_times(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source = make("a.webm", "libvpx-vp9")
    target = upscale(upscaler.planner, source, tmp_path / "out.mp4")
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
    target = upscale(Upscaler(upscaler.engine.network, "cpu", goal=goal).planner, source)
    assert times(target) == times(source)
    assert described(target)["aspect"] == described(source)["aspect"]
    with av.open(target) as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {size}


def test_a_reduced_frame_is_the_reduced_picture(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    reduced = Upscaler(upscaler.engine.network, "cpu", goal=Goal(1.5))
    source = make("a.mkv", "ffv1", "gbrp16le")
    target = upscale(reduced.planner, source)
    with av.open(source) as before, av.open(target) as after:
        small, big = (next(one.decode(video=0)).to_ndarray(format="rgb48le") for one in (before, after))
    assert (reduced(small) == big).all()


@pytest.mark.thorough
def test_the_command_takes_videos_among_pictures(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source, model = make("a.mp4"), tmp_path / "model.safetensors"
    weights.save(upscaler.engine.network, model)
    arrays.write_array(tmp_path / "b.png", picture(0))
    command = [sys.executable, "-m", "lamnet", "upscale", str(tmp_path), "--scale", "2", "--device", "cpu"]
    done = subprocess.run([*command, "--model", str(model)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(tmp_path / "a_x2.mp4"), str(tmp_path / "b_x2.png")], done.stderr
    assert times(tmp_path / "a_x2.mp4") == times(source)


def test_a_dry_run_says_what_would_be_done(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    make("a.mp4")
    make("b.mkv")
    jobs = [Job(tmp_path / "a.mp4", tmp_path / "a_x2"), Job(tmp_path / "b.mkv", tmp_path / "b.webm", False)]
    upscalers = Upscalers([Upscaler(upscaler.engine.network, "cpu")], Goal(2), 10_000)
    line, refused = describe.describe_jobs(jobs, upscalers)
    assert str(line).startswith(
        f"{tmp_path}/a.mp4 -> {tmp_path}/a_x2.mp4: 64 x 48 -> 128 x 96, 10 frames, h264 yuv420p, "
    )
    assert isinstance(refused, Outcome)
    assert "cannot hold" in str(refused.problem)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_upscaler_takes_video_files(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    source = make("a.mp4")
    upscaler.file(source, tmp_path / "big.mp4")
    assert times(tmp_path / "big.mp4") == times(source)
    with pytest.raises(BadImageError, match="max-pixels"):
        Upscaler(upscaler.engine.network, "cpu", max_pixels=1000).file(source, tmp_path / "other.mp4")
