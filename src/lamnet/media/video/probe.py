"""Finds out what has to be known of a video file before it can be enlarged."""

from __future__ import annotations

import struct
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lamnet.base.errors import BadImageError
from lamnet.media.video.clip import (
    BT709,
    FULL_RANGE,
    MATRICES,
    SMPTE170M,
    Clip,
    Clock,
    Fields,
    check_fields,
    side_data,
    video_errors,
    without_range,
)
from lamnet.media.video.combs import order_by_combs
from lamnet.media.video.light import light_of

ORDERS = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}  # FFmpeg's AVFieldOrder: the field that is shown first
_KNOW_NO_FIELDS = frozenset(
    {
        *("mjpeg", "png", "qtrle", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "v210", "r210", "jpeg2000", "cfhd"),
        *("vp8", "vp9", "av1"),
    }
)
"""Codecs whose frames are interlaced where the container says so; those of others say it themselves."""


def probe(path: Path, max_pixels: int, fields: Fields = "deinterlace") -> Clip:
    """Read a video file's header, the times of all its packets, and its first frames.

    Raises BadImageError when it is missing, cut off, or no video, or its frames claim more pixels, or are interlaced where
    fields are to be kept.
    """
    with video_errors(path, "expected a video"):
        with av.open(path) as container:
            if container.format.name.endswith("_pipe"):
                raise BadImageError(f"{path}: expected a video, found a picture")
            stream = _picture_stream(path, container)
            _check_size(path, stream, max_pixels)
            packets, times = _times(path, container, stream)
        with av.open(path) as container:  # anew, since streams without a container cannot be sought in
            clip = _described(path, container, packets, times, fields)
    if clip.interlaced:
        check_fields(clip)
    return clip


def _described(path: Path, container: InputContainer, packets: int, times: list[int], fields: Fields) -> Clip:
    stream = _picture_stream(path, container)
    frames = container.decode(stream)
    first = next(frames, None)
    if first is None or stream.time_base is None:
        raise BadImageError(f"{path}: expected a video, found no frame")
    if stream.metadata.get("alpha_mode") == "1":
        raise BadImageError(
            f"{path}: expected alpha within the pixels or none, found VP8 or VP9 with alpha in another stream"
        )
    context, rate = stream.codec_context, _rate(stream)
    codec, pixels = context.codec.canonical_name, without_range(first.format.name)
    display = side_data(first, Type.DISPLAYMATRIX)
    order = ORDERS.get(context.field_order) if codec in _KNOW_NO_FIELDS and not first.interlaced_frame else None
    light = light_of(side_data(first, Type.MASTERING_DISPLAY_METADATA), side_data(first, Type.CONTENT_LIGHT_LEVEL))
    marked = first.interlaced_frame or order is not None
    by_combs = None if marked or fields == "progressive" else order_by_combs(chain([first], frames))
    return Clip(
        path=path,
        stream=stream.index,
        codec=codec,
        width=first.width,
        height=first.height,
        pixels=pixels,
        time_base=stream.time_base,
        rate=rate,
        aspect=stream.sample_aspect_ratio,
        packets=packets,
        clock=_clock(container, times),
        steady=_is_steady(times, 1 / (rate * stream.time_base)),
        full_range=first.format.is_rgb or context.color_range == FULL_RANGE or pixels != first.format.name,
        range=context.color_range,
        primaries=context.color_primaries,
        transfer=context.color_trc,
        matrix=_matrix(context.colorspace, first),
        display=struct.unpack("=9i", display[:36]) if display else None,
        light=light,
        dolby=side_data(first, Type.DOVI_RPU_BUFFER) is not None,
        interlaced=marked or by_combs is not None,
        combed=by_combs is not None,
        order=order or by_combs,
        fields=fields,
    )


def _rate(stream: VideoStream) -> Fraction:
    """Find the rate that a file states: its average where that is one, since the rate of its ticks can be far higher."""
    average, ticks = stream.average_rate, stream.guessed_rate
    return (average if average and not (ticks and average > ticks) else ticks) or Fraction(25)


def _is_steady(times: list[int], step: Fraction) -> bool:
    """Tell whether times are those of one rate, but for the rounding of a container's ticks."""
    start = min(times, default=0)
    return all(abs(time - start - number * step) <= min(1, step / 4) for number, time in enumerate(sorted(times)))


def _clock(container: InputContainer, times: list[int]) -> Clock:
    if container.format.name == "avi":
        return "dts"
    return "pts" if times else "rate"


def _picture_stream(path: Path, container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise BadImageError(f"{path}: expected a video, found no stream of pictures")


def _check_size(path: Path, stream: VideoStream, max_pixels: int) -> None:
    if stream.width * stream.height > max_pixels:
        raise BadImageError(
            f"{path}: expected at most {max_pixels:,} pixels (--max-pixels), "
            f"its header claims {stream.width} x {stream.height}"
        )


def _matrix(stated: int, first: VideoFrame) -> int:
    """The stream's matrix; where it states none, the one that players take for a video of its size.

    They would take another one at the new size, so the result has to say it.
    """
    if stated in MATRICES or first.format.is_rgb or len(first.format.components) <= 2:
        return stated
    return BT709 if first.height > 576 or first.width >= 1280 else SMPTE170M


def _times(path: Path, container: InputContainer, stream: VideoStream) -> tuple[int, list[int]]:
    """Count the stream's packets, and list their times.

    Raises BadImageError when the file ends before the time that its header claims.
    """
    packets, times, end = 0, list[int](), Fraction(0)
    without_pts = container.format.name == "avi"
    for packet in container.demux():
        if packet.size and packet.stream_index == stream.index:
            packets += 1
            if (start := packet.dts if without_pts else packet.pts) is not None:
                times.append(start)
        if packet.pts is not None:
            end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
    claimed = Fraction(container.duration or 0, av.time_base)
    if end < claimed - 1:
        raise BadImageError(f"{path}: expected {float(claimed):.1f} s of video, found {float(end):.1f} s: cut off")
    return max(1, packets), times
