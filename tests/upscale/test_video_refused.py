"""Videos and targets that are refused, in one line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lamnet import Upscaler
from lamnet.base.errors import BadArgumentError, BadImageError
from lamnet.media import arrays
from lamnet.upscale import video

av = pytest.importorskip("av", reason='needs PyAV: pip install "lamnet-sr[video]"')
from support.clips import (  # noqa: E402
    NEAREST,
    picture,
    steps,
    upscale,
)

Maker = Callable[..., Path]


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
            upscale(upscaler.planner, tmp_path / name, tmp_path / "out.mp4")
        assert "\n" not in str(caught.value)
    with pytest.raises(BadImageError, match="missing"):
        upscale(upscaler.planner, tmp_path / "missing.mp4", tmp_path / "out.mp4")
    assert not list(tmp_path.glob("out*"))


def test_a_container_that_cannot_hold_the_subtitles_is_refused_before_the_work(
    make: Maker, upscaler: Upscaler, tmp_path: Path
) -> None:
    with pytest.raises(BadImageError, match=r"out\.webm.*mkv"):
        next(steps(upscaler.planner, make("a.mkv"), tmp_path / "out.webm"))


def test_too_little_memory_is_refused_and_leaves_nothing(make: Maker, upscaler: Upscaler, tmp_path: Path) -> None:
    with pytest.raises(BadArgumentError, match="memory: expected"):
        Upscaler(upscaler.engine.network, "cpu", memory=1_000_000).file(make("clip.mp4"), tmp_path / "big.mp4")
    assert not list(tmp_path.glob("*big*")) + list(tmp_path.glob(".*"))


def test_transparency_that_no_codec_of_the_container_holds_is_refused(make: Maker, tmp_path: Path) -> None:
    with pytest.raises(BadImageError, match="transparency"):
        upscale(NEAREST, make("a.mov", "png", "rgba"), tmp_path / "out.mov")


def test_a_picture_with_the_name_of_a_video_is_refused(tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.png", picture(0))
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    with pytest.raises(BadImageError, match="found a picture"):
        video.open_clip(tmp_path / "a.mp4")
