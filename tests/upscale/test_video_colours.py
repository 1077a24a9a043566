"""Colours and transparency of frames, from a file to the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lamnet import Upscaler

av = pytest.importorskip("av", reason='needs PyAV: pip install "lamnet-sr[video]"')
from support.clips import (  # noqa: E402
    BT709,
    HDR,
    NEAREST,
    described,
    upscale,
)

Maker = Callable[..., Path]


@pytest.mark.thorough
@pytest.mark.parametrize(("pixels", "tolerance"), [("yuv444p", 1), ("yuv444p16le", 160)])
def test_a_video_goes_through_in_its_own_colours(make: Maker, tmp_path: Path, pixels: str, tolerance: int) -> None:
    """Pixels doubled in RGB are the source's, whatever the matrix and range; FFmpeg's sums are good to half of 1/256."""
    for number, tags in enumerate([BT709, HDR, BT709 | {"color_range": 2}, {}]):
        source = make(f"{number}.mkv", "ffv1", pixels, **tags)
        target = upscale(NEAREST, source, tmp_path / f"{number}_big.mkv")
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
    target = upscale(NEAREST, source)
    with av.open(target) as container:
        blue = next(container.decode(video=0)).to_ndarray()[128:160].reshape(64, 64)[32].astype(float)
    # Sample j of the source lies at pixel 2j, so at 4j + 0.5 of the result, whose own sample k lies at 2k.
    expected = np.interp(np.arange(64) * 2, np.arange(32) * 4 + 0.5, ramp)
    assert np.abs(blue - expected)[12:-12].max() < 1


def test_a_video_that_says_no_matrix_gets_the_one_it_was_seen_by(make: Maker, upscaler: Upscaler) -> None:
    """Players guess it from the size, and would guess another for 128 x 96 than for 1280 x 960."""
    target = upscale(upscaler.planner, make("a.mp4"))
    assert described(target)["colours"] == (1, 2, 2, 6)


@pytest.mark.parametrize(
    ("encoder", "pixels", "target"),
    [("png", "rgba", "big.mkv"), ("png", "rgba", "big.mp4"), ("qtrle", "rgb24", "big.mkv")],
)
def test_transparency_and_rgb_are_kept(make: Maker, tmp_path: Path, encoder: str, pixels: str, target: str) -> None:
    """Once RGB became YUV that was said to be RGB, and transparency was gone."""
    small = make("a.mov", encoder, pixels)
    big = upscale(NEAREST, small, tmp_path / target)
    assert described(big)["codec"] == "ffv1"
    with av.open(small) as before, av.open(big) as after:
        one, other = (next(found.decode(video=0)).to_ndarray(format=pixels) for found in (before, after))
    assert (one.repeat(2, 0).repeat(2, 1) == other).all()
