"""Clips of every container, progressive or interlaced, of which it is known what each moment shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
from av.codec.context import Flags

WIDTH, HEIGHT = 64, 48
TOP, BOTTOM = "tff", "bff"


def moment(number: int) -> np.ndarray:
    """A soft bar that moves by two pixels a moment, in grey as RGB: so soft that coding hardly changes it."""
    wave = 128 + 80 * np.sin((np.arange(WIDTH) - 2 * number) / 5)
    return np.broadcast_to(wave[None, :, None], (HEIGHT, WIDTH, 3)).astype(np.uint8)


def woven(count: int, order: str) -> list[np.ndarray]:
    """Frames of two moments each: the earlier in the field that is shown first."""
    frames = [moment(2 * number) for number in range(count)]
    for number, frame in enumerate(frames):
        frame = frames[number] = frame.copy()
        frame[1 if order == TOP else 0 :: 2] = moment(2 * number + 1)[::2]
    return frames


def write(
    path: Path,
    encoder: str,
    frames: Sequence[np.ndarray],
    pixels: str = "yuv420p",
    order: str = "prog",
    sound: str | None = None,
    muxer: str | None = None,
    rate: Fraction | int = 25,
    options: dict[str, str] | None = None,
    times: Iterable[int] | None = None,
    field_order: int | None = None,
) -> Path:
    """Write a clip.

    Args:
        order: of the fields of frames, as the frames say it; "prog" for progressive ones.
        field_order: as the container says it, in FFmpeg's numbers.
        times: of the frames in milliseconds.
    """
    base = 1 / Fraction(rate) if times is None else Fraction(1, 1000)
    with av.open(str(path), "w", format=muxer) as container:
        stream: Any = container.add_stream(encoder, rate, options=options or {}, time_base=base)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if order != "prog":
            stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        if field_order is not None:
            stream.codec_context.field_order = field_order
        if sound:
            _sound(container, sound)
        graph = _graph(pixels, order, frames[0].shape)
        for array, time in zip(frames, times or range(len(frames)), strict=False):
            graph.vpush(av.VideoFrame.from_ndarray(array, "rgb24"))
            frame = graph.vpull()
            frame.pts, frame.time_base, frame.pict_type = time, base, 0
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def remuxed(source: Path, target: Path, nal: bytes, last: bool = False) -> Path:
    """Copy an HEVC clip in Matroska with a NAL unit more in each packet, in front or at its end."""
    with av.open(source) as before, av.open(str(target), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0], opaque=True)
        sized = len(nal).to_bytes(4, "big") + nal
        for packet in before.demux(video=0):
            if packet.size:
                changed = av.Packet(bytes(packet) + sized if last else sized + bytes(packet))
                changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                changed.is_keyframe, changed.stream = packet.is_keyframe, stream
                after.mux(changed)
    return target


def raw(source: Path, target: Path, name: str) -> Path:
    """Write the bare stream of a clip, through the bitstream filter of this name."""
    with av.open(source) as container, target.open("wb") as file:
        context: Any = av.bitstream.BitStreamFilterContext(name, container.streams.video[0])
        for packet in container.demux(video=0):
            for filtered in context.filter(packet if packet.size else None):
                file.write(bytes(filtered))
    return target


def frames_of(path: Path) -> list[np.ndarray]:
    """All frames in grey, (H, W) of 0..255."""
    with av.open(path) as container:
        return [frame.to_ndarray(format="gray").astype(float) for frame in container.decode(video=0)]


def _sound(container: Any, encoder: str) -> None:
    stream = container.add_stream(encoder, 48000)
    stream.layout = "stereo"
    container.start_encoding()
    tone = (np.sin(np.arange(24_000) / 20) * 9000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.stack([tone, tone], -1).reshape(1, -1), "s16", "stereo")
    frame.sample_rate = 48000
    resampler = av.AudioResampler(stream.format, stream.layout, 48000, stream.frame_size or None)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(part))
    container.mux(stream.encode(None))


def _graph(pixels: str, order: str, shape: tuple[int, ...]) -> Any:
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add("buffer", f"video_size={shape[1]}x{shape[0]}:pix_fmt=rgb24:time_base=1/1"),
        graph.add("scale", "flags=bicubic+accurate_rnd"),
        graph.add("format", f"pix_fmts={pixels}"),
        graph.add("setfield", order),
        graph.add("buffersink"),
    ).configure()
    return graph
