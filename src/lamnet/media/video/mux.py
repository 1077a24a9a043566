"""Writes video through PyAV: parts of a clip on their own, and the parts joined with the other streams."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from heapq import merge
from itertools import count
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lamnet.base import files, records
from lamnet.base.errors import BadImageError
from lamnet.base.files import read_text
from lamnet.media.video import containers
from lamnet.media.video.clip import Clip, video_errors
from lamnet.media.video.encoding import BY_RATE, OF_THE_SOURCE, Encoding

_MILLISECOND = Fraction(1, 1000)
PROGRESSIVE = 1  # of FFmpeg's AVFieldOrder, whose larger numbers are interlaced


def encode(clip: Clip, encoding: Encoding, frames: Iterable[VideoFrame], part: Path) -> Iterator[None]:
    """Encode frames into a Matroska file, one a step, or a NUT file where they are raw.

    At the end their times and durations, unrounded, are written as JSON.
    """
    times: list[tuple[int, int]] = []
    numbers = count()
    kind = "nut" if encoding.codec == "rawvideo" else "matroska"  # which holds no raw samples of more than 8 bits
    with av.open(part, "w", format=kind) as container:
        stream: Any = _add_encoder(clip, encoding, container)  # PyAV leaves the kind of its packets open
        stream.time_base = _MILLISECOND
        for number, frame in enumerate(frames):
            assert frame.pts is not None
            times.append((frame.pts, frame.duration))
            if encoding.codec in BY_RATE:
                frame.pts, frame.time_base = number, 1 / clip.rate
            _write(container, stream.encode(frame), numbers)
            yield
        _write(container, stream.encode(None), numbers)
    files.write_text(times_of(part), json.dumps(times), BadImageError)


def _write(container: OutputContainer, packets: list[Any], numbers: Iterator[int]) -> None:
    """Write packets at the times 0, 1, 2 ... ms: milliseconds are the only time that Matroska knows here.

    Without B-frames packets come in the order of time, one a frame.
    """
    for packet in packets:
        packet.pts = packet.dts = next(numbers)
        packet.time_base = _MILLISECOND
        container.mux(packet)


def times_of(part: Path) -> Path:
    """Name the file with a part's times, (start, duration) of each frame in the clip's time base.

    It is there once the part is whole.
    """
    return part.with_suffix(".json")


def is_whole(part: Path) -> bool:
    """Tell whether a part is there with the times of all its frames; a damaged one is not, and is encoded anew."""
    try:
        times = _times_in(part)
        with av.open(part) as container:
            return sum(1 for _ in _whole(container.demux())) == len(times)
    except (FFmpegError, OSError, ValueError):
        return False


def _times_in(part: Path) -> list[tuple[int, int]]:
    """Read a part's times. Raises OSError, ValueError."""
    times = list[tuple[int, int]]()
    for pair in records.items(records.parsed(read_text(times_of(part))), "times"):
        start, duration = records.items(pair, "times")
        times.append((records.whole(start, "start"), records.whole(duration, "duration")))
    return times


def check(clip: Clip, encoding: Encoding, target: Path) -> None:
    """Raise BadImageError when the target's container cannot hold the result and all the other streams."""
    what = f"cannot hold the streams of {clip.path} (a name that ends in .mkv may)"
    with video_errors(target, what), av.open(clip.path) as source, _open(io.BytesIO(), clip, source, target) as result:
        _add_streams(clip, encoding, source, None, result)
        result.start_encoding()


def join(clip: Clip, encoding: Encoding, parts: Sequence[Path], target: Path, result: Path) -> None:
    """Copy the parts' packets and all other streams of the clip's file into `result`, of the kind that `target` names."""
    with av.open(clip.path) as source, av.open(parts[0]) as first, _open(str(result), clip, source, target) as joined:
        streams = _add_streams(clip, encoding, source, first, joined)
        packets = merge(
            _packets(clip, parts, _start_codes(encoding, joined)), _copied(clip, source, streams), key=_time
        )
        for packet in packets:
            packet.stream = streams[packet.stream.index if packet.stream.container is source else clip.stream]
            joined.mux(packet)


def _open(file: str | io.BytesIO, clip: Clip, source: InputContainer, target: Path) -> OutputContainer:
    suffix = target.suffix.lower()
    options, muxer = dict(containers.OPTIONS.get(suffix, {})), containers.MUXERS[suffix]
    if muxer in containers.QUICKTIME:
        options["video_track_timescale"] = str(clip.time_base.denominator)
        if any(key.startswith("com.") for key in source.metadata):
            options["movflags"] = "use_metadata_tags"  # place, camera and the like of telephones
    container = av.open(file, "w", format=muxer, container_options=options)
    container.metadata.update(still_true(source.metadata))
    container.set_chapters(source.chapters())
    return container


def _add_streams(
    clip: Clip, encoding: Encoding, source: InputContainer, part: InputContainer | None, result: OutputContainer
) -> dict[int, Stream]:
    """Add the result's streams, by the index of the source's and in the same order; streams of bare data are left out.

    The pictures are those of an encoded part, or still to be encoded where there is none.
    """
    streams: dict[int, Stream] = {}
    for stream in source.streams:
        if stream.index == clip.stream:
            added = (
                _add_encoder(clip, encoding, result)
                if part is None
                else _add_joined(clip, encoding, source, part, result)
            )
            if clip.display:
                added.set_display_matrix(clip.display)
        elif stream.type in ("video", "audio", "subtitle", "attachment"):
            added = result.add_stream_from_template(stream, opaque=True)
        else:
            continue
        added.metadata.update(still_true(stream.metadata))
        added.disposition = stream.disposition
        streams[stream.index] = added
    return streams


def _add_encoder(clip: Clip, encoding: Encoding, container: OutputContainer) -> VideoStream:
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 talks on stderr unless told so before it starts
    options = encoding.options | {"chroma_sample_location": clip.siting}
    base = 1 / clip.rate if encoding.codec in BY_RATE else clip.time_base
    stream = container.add_stream(encoding.encoder, clip.rate, options, time_base=base)
    assert isinstance(stream, VideoStream)
    stream.codec_context.max_b_frames = 0
    _describe(stream, clip, encoding)
    return stream


def _add_joined(
    clip: Clip, encoding: Encoding, source: InputContainer, part: InputContainer, result: OutputContainer
) -> VideoStream:
    """Add the stream of a part's packets, with what the source's container says of the light and the projection.

    Dolby's layers are gone.
    """
    same = clip.codec == encoding.codec and not clip.dolby
    encoded = part.streams.video[0]
    stream = result.add_stream_from_template(source.streams[clip.stream] if same else encoded, opaque=True)
    assert isinstance(stream, VideoStream)
    stream.codec_context.extradata = encoded.codec_context.extradata
    stream.codec_context.bit_rate = 0
    stream.time_base = 1 / clip.rate if result.format.name in containers.STEADY else clip.time_base
    if same and result.format.name == source.format.name:
        stream.codec_context.codec_tag = source.streams[clip.stream].codec_context.codec_tag
    _describe(stream, clip, encoding)
    return stream


def _describe(stream: VideoStream, clip: Clip, encoding: Encoding) -> None:
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = encoding.width, encoding.height, encoding.pixels
    context.framerate = clip.rate
    context.field_order = min(context.field_order, PROGRESSIVE)
    if clip.aspect is not None:
        context.sample_aspect_ratio = clip.aspect
    context.color_range, context.colorspace = clip.range, clip.matrix
    context.color_primaries, context.color_trc = clip.primaries, clip.transfer


def _start_codes(encoding: Encoding, result: OutputContainer) -> bool:
    """Tell whether a result's packets need H.264's start codes in place of lengths, and its muxer does not see to it."""
    return encoding.codec == "h264" and result.format.name == "avi"


def _with_start_codes(part: InputContainer) -> Iterator[Packet[Stream]]:
    stream = part.streams.video[0]
    context: Any = BitStreamFilterContext("h264_mp4toannexb", stream)  # PyAV leaves the kind of its packets open
    for packet in _whole(part.demux()):
        for filtered in context.filter(packet):
            filtered.stream = stream
            yield filtered


def _packets(clip: Clip, parts: Sequence[Path], start_codes: bool) -> Iterator[Packet[Stream]]:
    """Yield the packets of parts at the clip's times."""
    for part in parts:
        times = _times_in(part)
        with av.open(part) as container:
            packets = _with_start_codes(container) if start_codes else _whole(container.demux())
            for packet, (time, duration) in zip(packets, times, strict=True):
                packet.pts = packet.dts = time
                packet.duration = duration
                packet.time_base = clip.time_base
                yield packet


def _copied(clip: Clip, source: InputContainer, streams: dict[int, Stream]) -> Iterator[Packet[Stream]]:
    with video_errors(clip.path, "expected a whole video"):
        wanted = [source.streams[index] for index in streams if index != clip.stream]
        if wanted:
            yield from _whole(source.demux(*wanted))


def _whole(packets: Iterator[Packet[Stream]]) -> Iterator[Packet[Stream]]:
    return (packet for packet in packets if packet.size)  # the last of each stream is an empty one


def _time(packet: Packet[Stream]) -> Fraction:
    start = packet.pts if packet.dts is None else packet.dts
    return (start or 0) * (packet.time_base or Fraction(1))


def still_true(metadata: dict[str, str]) -> dict[str, str]:
    """Return the metadata that is about a file's content and not about its bytes."""
    return {key: value for key, value in metadata.items() if not key.startswith(OF_THE_SOURCE)}
