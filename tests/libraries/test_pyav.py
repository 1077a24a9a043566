"""What PyAV 18.1 and FFmpeg 8.1 still cannot do, so that we do it: a test that fails here names code to delete."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av", reason='needs PyAV: pip install "lamnet-sr[video]"')


def encoded(file: Path, encoder: str = "libx264") -> None:
    with av.open(str(file), "w") as container:
        stream = container.add_stream(encoder, 25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(3):
            pixels = np.full((48, 64, 3), 40 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))


def test_pyav_still_does_not_tell_where_chroma_lies() -> None:
    """None known. media/video/clip.py: `Clip.siting`."""
    assert not [name for kind in (av.VideoCodecContext, av.VideoFrame) for name in dir(kind) if "chroma" in name]


def test_pyav_still_fails_at_side_data_that_it_does_not_know(tmp_path: Path) -> None:
    """None known. media/video/clip.py: `side_data`."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    Image.new("RGB", (16, 16)).save(tmp_path / "a.jpg", exif=exif)
    with av.open(str(tmp_path / "a.jpg")) as container:
        frame = next(container.decode(video=0))
        with pytest.raises(ValueError, match="is not a valid Type"):
            len(frame.side_data)


def test_pyav_still_hands_no_side_data_to_an_encoder() -> None:
    """None known. media/video/light.py: `with_light`."""
    assert not [name for name in dir(av.VideoCodecContext) if "side_data" in name]


def test_ffmpeg_still_puts_no_start_codes_into_an_avi(tmp_path: Path) -> None:
    """None known. media/video/mux.py: `_with_start_codes`."""
    encoded(tmp_path / "a.mkv")
    with av.open(str(tmp_path / "a.mkv")) as source, av.open(io.BytesIO(), "w", format="avi") as result:
        stream = result.add_stream_from_template(source.streams.video[0], opaque=True)
        packet = next(packet for packet in source.demux() if packet.size)
        packet.stream = stream
        with pytest.raises(av.error.InvalidDataError):
            result.mux(packet)


@pytest.mark.thorough
def test_the_encoder_of_av1_still_talks_on_stderr() -> None:
    """None known. media/video/mux.py: SVT_LOG in `_add_encoder`."""
    code = """
import io, av, numpy
with av.open(io.BytesIO(), "w", format="matroska") as container:
    stream = container.add_stream("libsvtav1", 25)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    container.mux(stream.encode(av.VideoFrame.from_ndarray(numpy.zeros((64, 64, 3), numpy.uint8), "rgb24")))
    container.mux(stream.encode(None))
"""
    quiet = {name: value for name, value in os.environ.items() if name != "SVT_LOG"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=quiet, check=True)
    assert "SVT" in done.stderr
