"""Video clips made by code, and readers of their results."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc

from lamnet.media.video import containers
from lamnet.upscale import video
from lamnet.upscale.planner import Planner
from support.engines import Nearest

WIDTH, HEIGHT, FRAMES = 64, 48, 10
TIMES = [0, 512, 1024, 1111, 2048, 4096, 4608, 5000, 5632, 6144]  # in 1/12800 s
BT709 = {"colorspace": 1, "color_range": 1, "color_primaries": ColorPrimaries.BT709, "color_trc": ColorTrc.BT709}
HDR = {"colorspace": 9, "color_range": 1, "color_primaries": ColorPrimaries.BT2020, "color_trc": ColorTrc.SMPTE2084}


NEAREST = Planner(Nearest())  # pyright: ignore


def picture(number: int) -> np.ndarray:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([80 + rows + number * 3, 80 + columns, 160 - (rows + columns) // 2], -1).astype(np.uint8)


def clip(folder: Path, name: str, encoder: str = "libx264", pixels: str = "yuv420p", **tags: Any) -> Path:
    """Make a clip: odd times, B-frames, a tone, subtitles, a chapter, tags of colour, rotation."""
    path = folder / name
    kind = containers.MUXERS[path.suffix]
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


def steps(planner: Planner, source: Path, target: Path, part: int = 4) -> Iterator[float]:
    return video.steps(planner, video.open_clip(source), target, part)


def upscale(planner: Planner, source: Path, target: Path | None = None, part: int = 4) -> Path:
    target = target or source.with_name("big" + source.suffix)
    progress = list(steps(planner, source, target, part))
    assert progress == sorted(progress)
    assert progress[-1] == 1
    return target


def times(path: Path) -> list[Fraction]:
    with av.open(path) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def since_start(path: Path) -> list[Fraction]:
    """Times from the first frame on: FFmpeg reads H.264 in AVI and ASF, which state no times, as a frame late."""
    found = times(path)
    return [time - found[0] for time in found]


def copied(path: Path) -> list[tuple[str, Any, Any, bytes]]:
    """The packets of all streams but the pictures."""
    with av.open(path) as container:
        others = [stream for stream in container.streams if stream.type in ("audio", "subtitle")]
        packets = [p for p in container.demux(*others) if p.size]
        return sorted((p.stream.type, p.pts * p.time_base, p.duration * p.time_base, bytes(p)) for p in packets)


def described(path: Path) -> dict[str, Any]:
    """Collect the facts of a clip that have to be the same before and after."""
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
